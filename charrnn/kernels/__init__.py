"""The native library that computes recurrences fast, and the functions that call it.

The library is optional: torch computes the same, slower. ``charrnn doctor`` says which of the two
is in use and why.
"""
