"""The shapes of a model's tensors, by name, without torch.

They are those of ``build_model(config, V).state_dict()``, so that a model file can be checked
before any network is made. The parameters of a cell stand in the registry,
``charrnn/config/cells.py``.
"""

from __future__ import annotations

from math import prod

from charrnn.config.cells import CELLS, Shapes
from charrnn.config.model import ModelConfig

EMBEDDING = "embedding.weight"
"""The characters' vectors: looked up, not multiplied."""

_LAYERED = ("cells", "norms")
_MEASURED = ("running_mean", "running_var")


def list_parameter_shapes(config: ModelConfig, alphabet_size: int) -> Shapes:
    """List the shape of every tensor of a model with V = ``alphabet_size`` characters."""
    hidden = config.hidden
    shapes: Shapes = {EMBEDDING: (alphabet_size, config.embedding)}
    for layer in range(config.layers):
        inputs = hidden if layer else config.embedding
        slow = layer >= config.layers - config.pyramid
        prefix = f"cells.{layer}.cell." if slow else f"cells.{layer}."
        for name, shape in _cell_shapes(config, 2 * inputs if slow else inputs).items():
            shapes[prefix + name] = shape
        if config.norm == "layer":
            shapes[f"norms.{layer}.weight"] = shapes[f"norms.{layer}.bias"] = (hidden,)
    return {**shapes, "head.weight": (alphabet_size, hidden), "head.bias": (alphabet_size,)}


def _cell_shapes(config: ModelConfig, inputs: int) -> Shapes:
    shapes = CELLS[config.cell].shapes(inputs, config.hidden, **config.cell_settings)
    if config.norm == "batch":
        for name in ("gain", *_MEASURED):
            shapes[f"input_norm.{name}"] = shapes["bias"]
    return shapes


def count_parameters_by_part(config: ModelConfig, alphabet_size: int) -> dict[str, int]:
    """Count what training adjusts: in the embedding, in each layer with its norm, in the head."""
    counts: dict[str, int] = {}
    for name, shape in list_parameter_shapes(config, alphabet_size).items():
        place, _, rest = name.partition(".")
        if not rest.endswith(_MEASURED):
            part = f"layer {int(rest.split('.')[0]) + 1}" if place in _LAYERED else place
            counts[part] = counts.get(part, 0) + prod(shape)
    return counts
