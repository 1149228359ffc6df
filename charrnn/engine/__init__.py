"""Using a model without torch: the native network, and what samples from it and scores with it."""
