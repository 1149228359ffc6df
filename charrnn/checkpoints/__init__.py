"""Model files and run directories: reading, checking and writing them."""
