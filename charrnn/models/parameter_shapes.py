"""The tensors that a model consists of, by name. Knows nothing of torch.

What ``build_model(config, V).state_dict()`` holds, so that a file can be held against the shapes
its header calls for before any network is made.
"""

from __future__ import annotations

from math import prod

from charrnn.config.model import ModelConfig

Shapes = dict[str, tuple[int, ...]]

EMBEDDING = "embedding.weight"
"""Vectors of the characters: looked up, not multiplied."""

_GATES = {"lstm": 4, "gru": 3}
_STACK_READS = {"stack": 2, "list": 3}
_LAYERED = ("cells", "norms")
_MEASURED = ("running_mean", "running_var")
_STACK_ACTIONS = {"stack": 2, "list": 3}


def shapes_of(config: ModelConfig, alphabet_size: int) -> Shapes:
    """The shape of every tensor of a model with V = ``alphabet_size`` characters."""
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
    hidden = config.hidden
    rows = hidden * (3 if config.lstm_gates == "coupled" else _GATES.get(config.cell, 1))
    shapes: Shapes = {"input_weight": (rows, inputs), "bias": (rows,)}
    if not config.stack_only:
        shapes["recurrent_weight"] = (rows, hidden)
    if config.gru_reset == "after":
        shapes["candidate_bias"] = (hidden,)
    if config.norm == "batch":
        for name in ("gain", *_MEASURED):
            shapes[f"input_norm.{name}"] = (rows,)
    if config.stacks is not None:
        actions = _STACK_ACTIONS[config.cell] + bool(config.stack_noop)
        shapes["stack_weight"] = (hidden, _STACK_READS[config.cell] * config.stacks)
        shapes["action_weight"] = (actions * config.stacks, hidden)
        shapes["push_weight"] = (config.stacks, hidden)
    return shapes


def count_parameters(config: ModelConfig, alphabet_size: int) -> dict[str, int]:
    """Numbers that training adjusts: of the embedding, of each layer with its norm, of the head."""
    counts: dict[str, int] = {}
    for name, shape in shapes_of(config, alphabet_size).items():
        place, _, rest = name.partition(".")
        if not rest.endswith(_MEASURED):
            part = f"layer {int(rest.split('.')[0]) + 1}" if place in _LAYERED else place
            counts[part] = counts.get(part, 0) + prod(shape)
    return counts
