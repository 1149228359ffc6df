"""The settings of a network's shape, and which of them go together, without torch.

The defaults of a cell's own settings stand in the registry, ``cells.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from charrnn.config.cells import CELLS, takers
from charrnn.config.settings import Config, list_defaults, setting
from charrnn.errors import Remedy, UsageError

ACTIVATIONS = ("tanh", "relu", "sigmoid")
INITS = ("uniform", "orthogonal", "identity")
GRU_RESETS = ("after", "before")
LSTM_GATES = ("separate", "coupled", "capped")
NORMS = ("layer", "batch", "none")
CONNECTIONS = ("stack", "residual", "sum")

MOST_STACK_ELEMENTS = 2**21
"""Limit of the elements in all stacks of a network, which are held for every stream."""


def _of_cell(name: str, description: str, **bounds: Any) -> Any:
    """Declare a setting that only some cells take, each with a default of its own."""
    return setting(None, description, otherwise=list_defaults(takers(name)), **bounds)


@dataclass(frozen=True)
class ModelConfig(Config):
    """The shape of a network.

    A cell's own setting that is None becomes that cell's default. A setting of other cells that is
    not None is refused.
    """

    cell: str = setting("lstm", "Recurrent cell.", choices=tuple(CELLS))
    layers: int = setting(
        2, "Recurrent layers, one on top of another.", least=1, most=64, automatic=True
    )
    hidden: int = setting(128, "Hidden units in each layer.", least=1, most=16384, automatic=True)
    embedding: int = setting(128, "Length of a character's vector.", least=1, most=16384)
    dropout: float = setting(
        0.0,
        "Share of each layer's outputs dropped, one mask per window.",
        least=0.0,
        most=0.95,
        automatic=True,
    )
    weight_drop: float = setting(
        0.0,
        "Share of recurrent weights dropped, one mask per window.",
        least=0.0,
        most=0.95,
        automatic=True,
    )
    norm: str = setting(
        "layer",
        "layer normalizes each layer's output, batch the input's part in each cell's gates.",
        choices=NORMS,
    )
    pyramid: int = setting(
        0,
        "Upper layers that each run at half the rate of the one below; fewer than layers.",
        least=0,
        most=6,
    )
    connect: str = setting(
        None,
        "stack: the top layer is read; residual: each layer adds its input to its output; sum: all "
        "layers' outputs are added and read.",
        choices=CONNECTIONS,
        otherwise="stack; sum for a pyramid",
    )
    init: str = setting("uniform", "Start of the recurrent matrices.", choices=INITS)
    init_gain: float = setting(
        None,
        "Factor on the recurrent matrices' start.",
        least=0.0,
        most=100.0,
        otherwise="1; 0.5 for identity",
    )
    activation: str | None = _of_cell(
        "activation", "Function of the hidden units.", choices=ACTIVATIONS
    )
    gru_reset: str | None = _of_cell(
        "gru_reset",
        "Reset gate after the recurrent product, or before it.",
        choices=GRU_RESETS,
    )
    lstm_gates: str | None = _of_cell(
        "lstm_gates",
        "Input gate: separate, its own; coupled, 1 - forget; capped, its own up to 1 - forget.",
        choices=LSTM_GATES,
    )
    forget_bias: float | None = _of_cell(
        "forget_bias", "Start of the forget gate's bias.", least=-20.0, most=20.0
    )
    stacks: int | None = _of_cell("stacks", "Stacks, or lists, side by side.", least=1, most=1024)
    stack_depth: int | None = _of_cell(
        "stack_depth",
        "Elements of each stack or list; one that moves further is lost.",
        least=3,
        most=65536,
    )
    stack_only: bool | None = _of_cell(
        "stack_only", "Leave out the recurrent matrix, as the published experiments do."
    )
    stack_noop: bool | None = _of_cell(
        "stack_noop", "Let a stack stay as it is, besides push and pop."
    )
    stack_round: bool | None = _of_cell(
        "stack_round", "Take only the likeliest action of each stack when not training."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse_settings_of_other_cells()
        if self.init == "identity" and CELLS[self.cell].gates > 1:
            plain = ", ".join(name for name, spec in CELLS.items() if spec.gates == 1)
            raise UsageError(
                "is identity, which sets the one recurrent matrix of a plain network; "
                f"{self.cell} has one for each gate",
                Remedy(f"take a plain network ({plain})", "cell"),
                Remedy("start otherwise", "init", "orthogonal"),
                settings=("init",),
            )
        if self.stack_only and (self.init, self.init_gain) != ("uniform", 1.0):
            raise UsageError(
                "do not go together: the one starts the recurrent matrix, which the other leaves "
                "out",
                settings=("init_gain" if self.init == "uniform" else "init", "stack_only"),
            )
        if self.stack_only and self.weight_drop:
            raise UsageError(
                "do not go together: the one drops some of the recurrent matrix, which the other "
                "leaves out",
                settings=("weight_drop", "stack_only"),
            )
        if self.pyramid >= self.layers:
            raise UsageError(
                f"is {self.pyramid} and needs a layer below that runs at the full rate",
                Remedy("have more layers", "layers", str(self.pyramid + 1)),
                settings=("pyramid",),
            )
        if self.pyramid and self.connect != "sum":
            raise UsageError(
                "do not go together: a pyramid's slow layers lag behind, so the head must read "
                f"the sum of all layers, and the connection is {self.connect}",
                settings=("connect", "pyramid"),
            )
        elements = self.layers * (self.stacks or 0) * (self.stack_depth or 0)
        if elements > MOST_STACK_ELEMENTS:
            raise UsageError(
                f"are {self.stacks} and {self.stack_depth}, which in {self.layers} layers makes "
                f"{elements:,} elements to hold for every stream that is read; at most "
                f"{MOST_STACK_ELEMENTS:,} are allowed",
                settings=("stacks", "stack_depth"),
            )
        if self.connect != "stack" and self.layers == 1:
            raise UsageError(
                f"is {self.connect}, which joins layers, and there is one layer",
                Remedy("have more layers", "layers", "2"),
                settings=("connect",),
            )

    @property
    def cell_settings(self) -> dict[str, Any]:
        """The settings that are the cell's own."""
        return {name: getattr(self, name) for name in CELLS[self.cell].settings}

    @property
    def steps_natively(self) -> bool:
        """True if the native library takes whole training steps of it on the CPU."""
        form = CELLS[self.cell].native_form
        return bool(form) and self.norm != "batch" and not self.pyramid

    @property
    def trains_natively(self) -> bool:
        """True if the native library takes whole training steps of it or runs its recurrences."""
        return self.steps_natively or CELLS[self.cell].native_training

    def _derive_default(self, name: str) -> Any:
        if name == "connect":
            return "sum" if self.pyramid else "stack"
        if name == "init_gain":
            return 0.5 if self.init == "identity" else 1.0
        return takers(name).get(self.cell)

    def _refuse_settings_of_other_cells(self) -> None:
        for declared in fields(self):
            cells = takers(declared.name)
            if cells and self.cell not in cells and getattr(self, declared.name) is not None:
                raise UsageError(
                    f"applies to {' or '.join(cells)}, not to {self.cell}",
                    settings=(declared.name,),
                )
