"""Measurements inside a network: activations, gates, gradients, memorization."""
