"""Measurements, printed and never asserted. ``python -m tests.benchmarks`` makes them all."""
