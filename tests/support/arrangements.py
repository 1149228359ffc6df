"""Every form of cell and every arrangement of layers, as the program makes them."""

from typing import Any

import torch

from charrnn.cli.messages import option_name
from charrnn.config.cells import CELLS
from charrnn.config.model import ModelConfig
from charrnn.models.cells.base import Cell
from charrnn.models.cells.pyramid import SlowLayer
from charrnn.models.char_model import build_cell

VARIANTS: dict[str, dict[str, Any]] = {
    **{cell: {} for cell in CELLS},
    "lstm, coupled": {"cell": "lstm", "lstm_gates": "coupled"},
    "lstm, capped": {"cell": "lstm", "lstm_gates": "capped"},
    "gru, reset before": {"cell": "gru", "gru_reset": "before"},
    "rnn, relu": {"cell": "rnn", "activation": "relu", "init": "identity"},
    "rnn, sigmoid": {"cell": "rnn", "activation": "sigmoid", "init": "orthogonal"},
    "stack, shallow": {"cell": "stack", "stack_depth": 5, "stacks": 3},
    "stack, nothing else": {
        "cell": "stack",
        "stack_depth": 4,
        "stacks": 2,
        "stack_only": True,
    },
    "stack, no-op": {"cell": "stack", "stack_depth": 4, "stacks": 2, "stack_noop": True},
    "stack, rounded": {"cell": "stack", "stack_depth": 4, "stacks": 2, "stack_round": True},
}
"""The settings of every form that a cell can take."""

STRIDES = (2, 4)

ARRANGEMENTS: dict[str, dict[str, Any]] = {
    **{name: {"cell": name, **own} for name, own in VARIANTS.items()},
    "residual": {"layers": 3, "connect": "residual"},
    "sum": {"cell": "gru", "layers": 3, "connect": "sum"},
    "pyramid of lstm": {"layers": 3, "pyramid": 2},
    "pyramid of gru": {"cell": "gru", "layers": 2, "pyramid": 1},
    "pyramid of rnn": {"cell": "rnn", "layers": 3, "pyramid": 1},
    "batch norm": {"norm": "batch"},
    "batch norm in a pyramid": {"cell": "gru", "norm": "batch", "layers": 3, "pyramid": 2},
    "no norm": {"norm": "none"},
    "orthogonal start": {"init": "orthogonal", "init_gain": 0.9},
}
"""Settings of ModelConfig for networks of every kind."""


KINDS = ("lstm", "gru", "rnn", "stack", "residual", "pyramid of lstm", "batch norm")
"""An arrangement of every kind of state and layer, for what sees a model through its contract."""


def configure(arrangement: str, **settings: Any) -> ModelConfig:
    """The arrangement's configuration; its own settings come before those given."""
    return ModelConfig(**{**settings, **ARRANGEMENTS[arrangement]})


def as_options(settings: dict[str, Any]) -> list[str]:
    """Settings as the command line takes them."""
    return [
        word
        for name, value in settings.items()
        for word in ((option_name(name),) if value is True else (option_name(name), str(value)))
    ]


def make_cell(variant: str, input_size: int, hidden: int, seed: int = 3, **settings: Any) -> Cell:
    """The variant's cell in float64, not training."""
    torch.manual_seed(seed)
    config = ModelConfig(**{"cell": variant, **VARIANTS[variant], **settings, "hidden": hidden})
    return build_cell(config, input_size).double().eval()


def make_slow(variant: str, input_size: int, hidden: int, stride: int) -> Cell:
    """The variant's cell as a pyramid's slow layer."""
    return SlowLayer(make_cell(variant, 2 * input_size, hidden), stride)
