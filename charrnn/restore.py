"""A model as it is kept -> the network, in torch."""

from __future__ import annotations

import torch

from charrnn.model import CharModel, build_model
from charrnn.modelfile import ModelFile


def restore(model: ModelFile, device: torch.device | str = "cpu") -> CharModel:
    """The network with its weights, on a device and ready to predict."""
    with torch.device("meta"):
        network = build_model(model.model, len(model.alphabet))
    weights = {name: torch.from_numpy(array.copy()) for name, array in model.weights.items()}
    network.load_state_dict(weights, assign=True)
    return network.to(device).eval().requires_grad_(False)
