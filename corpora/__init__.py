"""The texts that ship with charrnn, and the catalogue that names them."""
