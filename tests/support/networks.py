"""Models and the backends that run them: through torch and through the native library."""

import numpy as np
import pytest
import torch

from charrnn.checkpoints.checkpoint import Arrays
from charrnn.config.cells import CELLS
from charrnn.data.alphabet import Ids
from charrnn.data.ngrams import count_ngrams
from charrnn.inference.backend import Backend
from charrnn.inference.native_backend import NativeBackend, build_network
from charrnn.inference.torch_backend import TorchBackend
from charrnn.kernels.library import BUILDS, find_obstacle, load_kernels
from charrnn.kernels.network import Network
from charrnn.models.char_model import CharModel, build_model
from charrnn.models.ngram_expert import NgramExpert
from tests.support.arrangements import ARRANGEMENTS, KINDS, configure

needs_library = pytest.mark.skipif(load_kernels() is None, reason="no native library here")

SERVED = [
    name
    for name in ARRANGEMENTS
    if CELLS[configure(name).cell].native_form and not configure(name).pyramid
]
"""The arrangements that the native network runs."""

both_kinds = pytest.mark.parametrize("kind", [pytest.param("native", marks=needs_library), "torch"])
"""A test of one model through each of the two backends."""

WITH_EXPERT = " with an expert"
"""Ends the kind of a backend whose network is joined with an expert."""

_JOINED = [
    pytest.param("native" + WITH_EXPERT, "lstm", marks=needs_library),
    ("torch" + WITH_EXPERT, "gru"),
]

every_backend = pytest.mark.parametrize(
    ("kind", "arrangement"),
    [
        *_JOINED,
        *(pytest.param("native", name, marks=needs_library) for name in SERVED),
        *(("torch", name) for name in ARRANGEMENTS),
    ],
)
"""A test of every arrangement through every backend that runs it."""

every_kind_of_backend = pytest.mark.parametrize(
    ("kind", "arrangement"),
    [
        *_JOINED,
        *(pytest.param("native", name, marks=needs_library) for name in KINDS if name in SERVED),
        *(("torch", name) for name in KINDS),
    ],
)
"""A test of an arrangement of every kind through every backend that runs it."""

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


def native(
    arrangement: str,
    model: CharModel,
    *,
    bfloat16: bool = False,
    expert: NgramExpert | None = None,
) -> Network:
    """The same model in the native library."""
    config = configure(arrangement, hidden=model.layers()[0].hidden, embedding=8)
    return build_network(config, arrays_of(model), bfloat16=bfloat16, expert=expert)


def make_expert(characters: int = 11, orders: int = 4) -> NgramExpert:
    """An expert that has counted a text of as many characters, with other exponents each."""
    text = np.append(np.random.default_rng(0).integers(characters, size=300), characters - 1)
    counted = count_ngrams(text, characters, orders=orders, most=10**6)
    exponents = np.random.default_rng(2).uniform(0.3, 1.2, (2, orders)).astype(np.float32)
    return NgramExpert(counted, *exponents)


def backend_of(
    kind: str,
    arrangement: str,
    model: CharModel | None = None,
    *,
    bfloat16: bool = False,
    threads: int = 1,
) -> Backend:
    """A backend of that kind, of a model or else of :func:`make_model`'s."""
    model = make_model(arrangement) if model is None else model
    expert = make_expert(model.head.out_features) if kind.endswith(WITH_EXPERT) else None
    if kind.removesuffix(WITH_EXPERT) == "torch":
        return TorchBackend(model, expert)
    return NativeBackend(native(arrangement, model, bfloat16=bfloat16, expert=expert), threads)


def random_ids(*shape: int, characters: int = 11) -> Ids:
    """Ids as a text has them."""
    return np.random.default_rng(0).integers(characters, size=shape).astype(np.uint8)
