"""Run a trained model: backends, sampling, interactive writing."""
