"""The registry of recurrent cells: all that is known of each without torch.

Adding a cell takes its file in ``charrnn/models/cells/`` and its line in CELLS. A setting that no
cell had before also takes its field in ``ModelConfig``. Settings are checked, help is shown and a
model file's tensors are held against their shapes from here alone; ``charrnn.models.cells``
imports a cell's module, and torch with it, when a network is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

Shapes = dict[str, tuple[int, ...]]
"""The shapes of tensors by name."""


@dataclass(frozen=True)
class CellSpec:
    """A cell of the registry.

    Attributes:
        path: module and class under ``charrnn.models.cells``.
        shapes: the cell's parameters, in the order in which they are drawn: takes the input size D,
            the hidden size H and the cell's own settings by name. The class gets its parameters
            from here, so that they are stated nowhere else. There are always an ``input_weight``
            (G * H, D) and a ``bias`` (G * H), and a ``recurrent_weight`` (G * H, H) where the
            state is multiplied.
        settings: fields of ModelConfig that this cell takes and others may not, with its defaults.
        native_training: whether the native library runs its recurrence where torch trains the
            network; its class is a ``NativeCell``.
        native_form: the setting whose value names its form in the native library, one of
            ``charrnn.kernels.network.FORMS``, through which models of it are trained, sampled and
            scored; empty if torch does that.
    """

    path: str
    shapes: Callable[..., Shapes]
    settings: Mapping[str, Any] = field(default_factory=dict)
    native_training: bool = False
    native_form: str = ""

    @property
    def gates(self) -> int:
        """Blocks of H rows in the weights (G), with the cell's default settings."""
        return self.shapes(1, 1, **self.settings)["bias"][0]


def gated_shapes(input_size: int, hidden: int, *, gates: int, **_: Any) -> Shapes:
    """Parameters of a cell whose G gates are each a product with the input and with the state."""
    rows = gates * hidden
    return {
        "input_weight": (rows, input_size),
        "recurrent_weight": (rows, hidden),
        "bias": (rows,),
    }


def _lstm_shapes(input_size: int, hidden: int, *, lstm_gates: str, **_: Any) -> Shapes:
    return gated_shapes(input_size, hidden, gates=3 if lstm_gates == "coupled" else 4)


def _gru_shapes(input_size: int, hidden: int, *, gru_reset: str) -> Shapes:
    shapes = gated_shapes(input_size, hidden, gates=3)
    return {**shapes, "candidate_bias": (hidden,)} if gru_reset == "after" else shapes


def _stack_shapes(
    input_size: int,
    hidden: int,
    *,
    reads: int,
    actions: int,
    stacks: int,
    stack_only: bool,
    stack_noop: bool,
    **_: Any,
) -> Shapes:
    shapes = gated_shapes(input_size, hidden, gates=1)
    if stack_only:
        del shapes["recurrent_weight"]
    return {
        **shapes,
        "stack_weight": (hidden, reads * stacks),
        "action_weight": ((actions + stack_noop) * stacks, hidden),
        "push_weight": (stacks, hidden),
    }


_STACKS = {
    "activation": "sigmoid",
    "stacks": 10,
    "stack_depth": 200,
    "stack_only": False,
    "stack_noop": False,
    "stack_round": False,
}

CELLS = {
    "lstm": CellSpec(
        "lstm.LSTM",
        _lstm_shapes,
        {"lstm_gates": "separate", "forget_bias": 1.0},
        native_training=True,
        native_form="lstm_gates",
    ),
    "gru": CellSpec(
        "gru.GRU",
        _gru_shapes,
        {"gru_reset": "after"},
        native_training=True,
        native_form="gru_reset",
    ),
    "rnn": CellSpec(
        "rnn.RNN",
        partial(gated_shapes, gates=1),
        {"activation": "tanh"},
        native_form="activation",
    ),
    "stack": CellSpec("stack_rnn.StackRNN", partial(_stack_shapes, reads=2, actions=2), _STACKS),
    "list": CellSpec("stack_rnn.ListRNN", partial(_stack_shapes, reads=3, actions=3), _STACKS),
}


def takers(setting: str) -> dict[str, Any]:
    """The cells that take a setting of some cells only, with the default each has for it."""
    return {
        name: spec.settings[setting] for name, spec in CELLS.items() if setting in spec.settings
    }
