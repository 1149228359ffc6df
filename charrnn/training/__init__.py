"""Train a model: data, optimizer, schedule, trainer, and the run that holds them together."""
