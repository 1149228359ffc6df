"""Migrations of the headers of older checkpoints, so that old files keep loading.

format 1    the first.
format 2    settings for every form of cell, arrangement of layers and optimizer. A file of format 1
            means the values below, whatever the defaults are today.
format 3    DropConnect on recurrent weights.
format 4    the reaction to divergence, the number of halvings of the learning rate and, for a run
            that goes back, the state that it goes back to; the separator of records; the model that
            a run fine-tunes.
format 5    matrices of a model in 8 bits a number (``packed_weights.py``); headers are as before.
format 6    an expert of n-grams in a model (``packed_ngrams.py``), and whether a run may have one.
"""

from __future__ import annotations

from typing import Any

FORMAT = 6
"""Version of the headers that are written. Readers refuse a later one by its number."""

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

_TRAIN_OF_5 = {"experts": "none"}


def upgrade_header(version: int, header: dict[str, Any]) -> dict[str, Any]:
    """Upgrade the header of a checkpoint of an older format to the present one.

    Parts that are not sound stay as they are; whoever parses them refuses them.
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
    if version < 6:
        upgraded |= _extended("train", upgraded, _TRAIN_OF_5)
    return upgraded


def _extended(name: str, header: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Add entries to a part of the header; a part that has some of them already is unsound."""
    part = header.get(name)
    if not isinstance(part, dict):
        return {}
    return {name: None if part.keys() & more.keys() else {**part, **more}}
