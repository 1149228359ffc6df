"""Every setting, its default, its bounds and its meaning. Knows nothing of torch.

A setting is a field of a frozen dataclass declared with :func:`setting`, so that the default, the
bounds and the description stand together once; the command line, the README and the checkpoint
reader all take them from here. The defaults of a cell's own settings stand in the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from charrnn.errors import UsageError
from charrnn.registry import CELLS, takers
from charrnn.settings import Config, option_name, setting

ACTIVATIONS = ("tanh", "relu", "sigmoid")
INITS = ("uniform", "orthogonal", "identity")
GRU_RESETS = ("after", "before")
LSTM_GATES = ("separate", "coupled", "capped")
NORMS = ("layer", "batch", "none")
CONNECTIONS = ("stack", "residual", "sum")
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")
UNKNOWN_CHOICES = ("error", "skip", "replace")
LENGTHS = ("epochs", "steps", "minutes")

MOST_STACK_CELLS = 2**21
"""Cells of all stacks of a network, whose values are held for every text that it reads at once."""


class OptimizerDefaults(NamedTuple):
    """What an optimiser takes where nothing is said."""

    learning_rate: float
    weight_decay: float


OPTIMIZERS = {
    "adamw": OptimizerDefaults(6e-3, 0.01),
    "adam": OptimizerDefaults(6e-3, 0.0),
    "rmsprop": OptimizerDefaults(2e-3, 0.0),
    "sgd": OptimizerDefaults(0.3, 0.0),
    "adagrad": OptimizerDefaults(3e-2, 0.0),
    "muon": OptimizerDefaults(6e-3, 0.01),
}


def _listed(defaults: Mapping[str, Any]) -> str:
    """What each of several things takes where nothing is said, for the user."""
    takers_of: dict[str, list[str]] = {}
    for name, default in defaults.items():
        shown = "off" if default is False else str(default)
        takers_of.setdefault(shown, []).append(name)
    return "; ".join(f"{shown} for {', '.join(names)}" for shown, names in takers_of.items())


def _of_cell(name: str, description: str, **bounds: Any) -> Any:
    """A setting that only some cells take, each with a default of its own."""
    return setting(None, description, otherwise=_listed(takers(name)), **bounds)


def _of_optimizer(name: str, description: str, **bounds: Any) -> Any:
    """A setting for which each optimiser has a default of its own."""
    defaults = {opt: getattr(entry, name) for opt, entry in OPTIMIZERS.items()}
    return setting(None, description, otherwise=_listed(defaults), **bounds)


@dataclass(frozen=True)
class ModelConfig(Config):
    """The shape of the network.

    What is None for a cell that takes it becomes that cell's default; what is not None for one that
    does not is refused.
    """

    cell: str = setting("lstm", "Recurrent cell.", choices=tuple(CELLS))
    layers: int = setting(2, "Recurrent layers, one on top of another.", least=1, most=64)
    hidden: int = setting(128, "Hidden units in each layer.", least=1, most=16384)
    embedding: int = setting(128, "Length of a character's vector.", least=1, most=16384)
    dropout: float = setting(
        0.0, "Share of units dropped, one mask for each window.", least=0.0, most=0.95
    )
    norm: str = setting(
        "layer",
        "layer normalises each layer's output, batch what each cell makes of its input.",
        choices=NORMS,
    )
    pyramid: int = setting(
        0,
        "Upper layers that each run at half the rate of the one below; fewer than --layers.",
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
    init: str = setting("uniform", "How recurrent matrices start.", choices=INITS)
    init_gain: float = setting(
        None,
        "Factor on the recurrent matrices' start.",
        least=0.0,
        most=100.0,
        otherwise="1; 0.5 for identity",
    )
    activation: str | None = _of_cell(
        "activation", "What the hidden units apply.", choices=ACTIVATIONS
    )
    gru_reset: str | None = _of_cell(
        "gru_reset",
        "Whether the reset gate comes before or after the recurrent product.",
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
        "Cells of each stack or list; what moves further is lost.",
        least=3,
        most=65536,
    )
    stack_only: bool | None = _of_cell(
        "stack_only", "No recurrence but through the stacks, as in the published experiments."
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
        if self.init == "identity" and self.activation is None:
            plain = " or ".join(takers("activation"))
            raise UsageError(
                f"--init identity sets the one recurrent matrix of a plain network; {self.cell} "
                f"has one for each gate. Give --cell {plain}, or --init orthogonal"
            )
        if self.stack_only and (self.init, self.init_gain) != ("uniform", 1.0):
            raise UsageError(
                "--init and --init-gain start the recurrent matrix, which --stack-only leaves out; "
                "give one or the other"
            )
        if self.pyramid >= self.layers:
            raise UsageError(
                f"--pyramid {self.pyramid} needs a layer below its own that runs at the full rate: "
                f"--layers must be at least {self.pyramid + 1}"
            )
        if self.pyramid and self.connect != "sum":
            raise UsageError(
                f"--connect {self.connect} does not go with --pyramid: its slow layers lag behind, "
                "so the head must read the sum of all layers"
            )
        cells = self.layers * (self.stacks or 0) * (self.stack_depth or 0)
        if cells > MOST_STACK_CELLS:
            raise UsageError(
                f"--stacks {self.stacks} of --stack-depth {self.stack_depth} in each layer make "
                f"{cells:,} cells to hold for every text that is read; at most "
                f"{MOST_STACK_CELLS:,} are allowed"
            )
        if self.connect != "stack" and self.layers == 1:
            raise UsageError(f"--connect {self.connect} joins layers, and --layers is 1")

    def _left_open(self, name: str) -> Any:
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
                    f"{option_name(declared.name)} belongs to --cell {' or '.join(cells)}; "
                    f"{self.cell} has no such thing"
                )


@dataclass(frozen=True)
class TrainConfig(Config):
    """How a model is trained. Exactly one of epochs, steps and minutes sets the length."""

    window: int = setting(
        128, "Characters between truncations of backpropagation.", least=1, most=65536
    )
    batch: int = setting(32, "Streams read side by side.", least=1, most=65536)
    epochs: int | None = setting(None, "Passes over the training text.", least=1, most=10**6)
    steps: int | None = setting(None, "Optimiser steps, one for each window.", least=1, most=10**9)
    minutes: float | None = setting(
        None, "Minutes of training, evaluations and saves not counted.", least=0.001, most=10**5
    )
    optimizer: str = setting("adamw", "Optimiser.", choices=tuple(OPTIMIZERS))
    learning_rate: float = _of_optimizer(
        "learning_rate", "Peak learning rate.", least=1e-8, most=10.0
    )
    warmup: int = setting(
        100, "Steps of rising learning rate, a tenth of the run at most.", least=0, most=10**6
    )
    weight_decay: float = _of_optimizer(
        "weight_decay",
        "Decay of matrices: decoupled for adamw and muon, else added to the gradient.",
        least=0.0,
        most=10.0,
    )
    clip_value: float = setting(
        0.0, "Largest value of each part of the gradient; 0 is no limit.", least=0.0, most=1e6
    )
    clip: float = setting(
        None,
        "Largest norm of the gradient; 0 turns this clipping off.",
        least=0.0,
        most=1e6,
        otherwise="1; 0 with --clip-value",
    )
    average: float = setting(
        0.995, "Decay of the weights' exponential average, for each step.", least=0.0, most=0.99999
    )
    valid: float = setting(
        0.1, "Share held out at the end of the text; 0 turns it off.", least=0.0, most=0.9
    )
    evaluations: int = setting(
        10, "Evaluations over the run, the last one at its end.", least=1, most=10**6
    )
    seed: int = setting(1, "Seed of everything that is drawn.", least=0, most=2**63 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in LENGTHS if getattr(self, name) is not None]
        if len(given) > 1:
            raise UsageError(f"--{given[0]} and --{given[1]} both set the length; give one of them")
        if self.clip and self.clip_value:
            raise UsageError("--clip and --clip-value both bound the gradient; give one of them")

    def _left_open(self, name: str) -> Any:
        if name == "clip":
            return 0.0 if self.clip_value else 1.0
        return (
            getattr(OPTIMIZERS[self.optimizer], name) if name in OptimizerDefaults._fields else None
        )


@dataclass(frozen=True)
class ComputeConfig(Config):
    """Where and how training computes."""

    device: str = setting("auto", "Where to compute.", choices=DEVICES)
    precision: str = setting(
        "auto", "Precision of the matrix products of training.", choices=PRECISIONS
    )
    threads: int | None = setting(None, "Processor threads to compute with.", least=1, most=1024)


@dataclass(frozen=True)
class SourceConfig(Config):
    """Where a corpus is read from, and how its bytes spell characters."""

    paths: tuple[str, ...] = setting((), "Text files and folders.")
    encoding: str | None = setting("utf-8", "Encoding of the text; null for bytes.")


@dataclass(frozen=True)
class SampleConfig(Config):
    """How text is drawn from a model."""

    temp: float = setting(
        1.0, "Temperature; 0 always takes the likeliest character.", least=0.0, most=100.0
    )
    length: int = setting(500, "Characters to draw for each sample.", least=0, most=10**12)
    top_k: int = setting(
        0, "Draw among the K likeliest characters only; 0 is all.", least=0, most=2**31
    )
    top_p: float = setting(
        1.0, "Draw among the likeliest that together reach P.", least=0.0, most=1.0
    )
    min_p: float = setting(
        0.0, "Drop characters below P times the likeliest one's share.", least=0.0, most=1.0
    )
    count: int = setting(1, "Samples to draw.", least=1, most=10**6)
    stop: tuple[str, ...] = setting((), "End a sample before this text; may be repeated.")
