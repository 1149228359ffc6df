"""How a recurrence is computed fast: a small native library, and what calls it.

The library is optional. Whatever it does, torch does as well, slower; ``charrnn doctor`` says which
of the two is in use and why.
"""
