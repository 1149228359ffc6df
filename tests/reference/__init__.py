"""Recurrent cells in plain NumPy with hand-derived gradients, the yardstick for the fast layers."""
