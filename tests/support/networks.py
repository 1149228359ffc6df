"""Models for both ways of running them: through torch and through the native library."""

import numpy as np
import pytest
import torch

from charrnn.checkpoints.checkpoint import Arrays
from charrnn.config.cells import CELLS
from charrnn.data.alphabet import Ids
from charrnn.inference.native_backend import build_network
from charrnn.kernels.library import BUILDS, find_obstacle, load_kernels
from charrnn.kernels.network import Network
from charrnn.models.char_model import CharModel, build_model
from tests.support.arrangements import ARRANGEMENTS, configure

needs_library = pytest.mark.skipif(load_kernels() is None, reason="no native library here")

SERVED = [
    name
    for name in ARRANGEMENTS
    if CELLS[configure(name).cell].native_form and not configure(name).pyramid
]
"""The arrangements that the native network runs."""

RUNNABLE = [build for build in BUILDS if not find_obstacle(build)]


def make_model(arrangement: str, characters: int = 11, hidden: int = 19) -> CharModel:
    """A model with nothing about it that is 0 or 1 by default."""
    config = configure(arrangement, hidden=hidden, embedding=8)
    model = build_model(config, characters, seed=4).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if tensor.ndim == 1:
            sign = tensor.abs() if name.endswith("var") else tensor
            tensor.copy_(sign + 0.3 * torch.rand(tensor.shape, generator=generator))
    # Logits of a deviation of about 2, so that texts differ by more than noise.
    torch.nn.init.normal_(model.head.weight, std=2 / hidden**0.5, generator=generator)
    return model


def arrays_of(model: CharModel) -> Arrays:
    """The model's weights by name."""
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def native(arrangement: str, model: CharModel, *, bfloat16: bool = False) -> Network:
    """The same model in the native library."""
    config = configure(arrangement, hidden=model.layers()[0].hidden, embedding=8)
    return build_network(config, arrays_of(model), bfloat16=bfloat16)


def random_ids(*shape: int, characters: int = 11) -> Ids:
    """Ids as a text has them."""
    return np.random.default_rng(0).integers(characters, size=shape).astype(np.uint8)
