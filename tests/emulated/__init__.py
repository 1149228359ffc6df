"""The native library built for another processor and run in an emulator, for its results alone.

``python -m tests.emulated`` runs the package's own calls once through the library of this machine
and once through the one in the emulator, and compares the results in one table.
"""
