"""The recurrent cells by name: where each is defined, and the settings that are its own.

Adding a cell takes its file in ``charrnn/cells/`` and its line here; a setting that no cell had
before also takes its field in ``config.py``. Knows nothing of torch, so that settings can be
checked, and help shown, without it; ``charrnn.cells`` imports a cell's module when first asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_STACKS = {
    "stacks": 10,
    "stack_depth": 200,
    "stack_only": False,
    "stack_noop": False,
    "stack_round": False,
}


@dataclass(frozen=True)
class CellEntry:
    """A cell of the registry.

    Attributes:
        path: module and class under ``charrnn.cells``.
        compiled: whether the native library runs it.
        settings: fields of ModelConfig that this cell takes and others may not, with its defaults.
    """

    path: str
    compiled: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


CELLS = {
    "lstm": CellEntry(
        "lstm.LSTM", compiled=True, settings={"lstm_gates": "separate", "forget_bias": 1.0}
    ),
    "gru": CellEntry("gru.GRU", compiled=True, settings={"gru_reset": "after"}),
    "rnn": CellEntry("rnn.RNN", settings={"activation": "tanh"}),
    "stack": CellEntry("stack.StackRNN", settings={"activation": "sigmoid", **_STACKS}),
    "list": CellEntry("lists.ListRNN", settings={"activation": "sigmoid", **_STACKS}),
}


def takers(setting: str) -> dict[str, Any]:
    """The cells that take a setting of some cells only, with the default each has for it."""
    return {
        name: entry.settings[setting] for name, entry in CELLS.items() if setting in entry.settings
    }
