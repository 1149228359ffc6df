"""Inference: run a trained model through a backend, sample from it, write interactively."""
