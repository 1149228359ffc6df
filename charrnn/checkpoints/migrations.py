"""What the headers of older checkpoints lack, so that old files keep loading.

format 1    the first.
format 2    settings for every form of cell, arrangement of layers and optimiser. What a file of
            format 1 holds is what these settings say below, whatever the defaults have become.
format 3    DropConnect on recurrent weights.
format 4    what to do if training diverges, how often the learning rate was halved and, for a run
            that goes back, the state that it would go back to; what parts a text into records; the
            model that a run went on from.
"""

from __future__ import annotations

from typing import Any

FORMAT = 4
"""Version of the headers written now. Readers refuse a later one by its number."""

_MODEL_OF_1 = {"pyramid": 0, "connect": "stack", "init": "uniform", "init_gain": 1.0}
_CELL_OF_1: dict[str, dict[str, Any]] = {
    "activation": {"rnn": "tanh"},
    "gru_reset": {"gru": "after"},
    "lstm_gates": {"lstm": "separate"},
    "forget_bias": {"lstm": 1.0},
    "stacks": {},
    "stack_depth": {},
    "stack_only": {},
    "stack_noop": {},
    "stack_round": {},
}
_TRAIN_OF_1 = {"optimizer": "adamw", "clip_value": 0.0}

_MODEL_OF_2 = {"weight_drop": 0.0}

_TRAIN_OF_3 = {"on_divergence": "stop"}
_PROGRESS_OF_3 = {"halvings": 0}
_CORPUS_OF_3 = {"records": None}


def upgrade(version: int, header: dict[str, Any]) -> dict[str, Any]:
    """The header of a checkpoint of that format as the present one would have it.

    What is not a header at all stays as it is; whoever reads it will refuse it.
    """
    upgraded = dict(header)
    if version < 2:
        model = header.get("model")
        cell = str(model.get("cell")) if isinstance(model, dict) else ""
        own = {name: values.get(cell) for name, values in _CELL_OF_1.items()}
        upgraded |= _extended("model", upgraded, {**_MODEL_OF_1, **own})
        upgraded |= _extended("train", upgraded, _TRAIN_OF_1)
    if version < 3:
        upgraded |= _extended("model", upgraded, _MODEL_OF_2)
    if version < 4:
        upgraded |= _extended("train", upgraded, _TRAIN_OF_3)
        upgraded |= _extended("progress", upgraded, _PROGRESS_OF_3)
        upgraded |= _extended("corpus", upgraded, _CORPUS_OF_3)
    return upgraded


def _extended(name: str, header: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """A part of the header with what it lacks; nothing, if it claims to have some of that."""
    part = header.get(name)
    if not isinstance(part, dict):
        return {}
    return {name: None if part.keys() & more.keys() else {**part, **more}}
