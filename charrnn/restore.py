"""What is kept -> the network, in torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray

from charrnn.cells.contract import restore_states
from charrnn.model import CharModel, build_model
from charrnn.modelconfig import ModelConfig
from charrnn.modelfile import ModelFile


def restore(model: ModelFile, device: torch.device | str = "cpu") -> CharModel:
    """The network with its weights, on a device and ready to predict."""
    with torch.device("meta"):
        network = build_model(model.model, len(model.alphabet))
    weights = {name: torch.from_numpy(array.copy()) for name, array in model.weights.items()}
    network.load_state_dict(weights, assign=True)
    return network.to(device).eval().requires_grad_(False)


def check_states(
    config: ModelConfig, alphabet_size: int, batch: int, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Hold saved states against a run's before room is made for them: no weight vouches for theirs.

    Raises:
        ValueError: a tensor is missing, unknown, or of another shape or type.
    """
    with torch.device("meta"):
        states = build_model(config, alphabet_size).initial_states(batch)
    restore_states(states, {name: torch.from_numpy(array) for name, array in arrays.items()})
