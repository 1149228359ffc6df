"""Promises of charrnn about people's work and strange input, tried many thousand times.

``python -m tests.robustness`` runs every promise's trials and prints one table; the test suite runs
few of the same trials. Each other file here tries the promises of one kind.
"""
