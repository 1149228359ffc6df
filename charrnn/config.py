"""Every setting, its default, its bounds and its meaning. Knows nothing of torch.

A setting is a field of a frozen dataclass declared with :func:`setting`, so that the default, the
bounds and the description stand together once; the command line, the README and the checkpoint
reader all take them from here.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any

from charrnn.errors import UsageError
from charrnn.plain import Plain, has_declared_type

CELLS = ("lstm", "gru", "rnn")
NORMS = ("layer", "none")
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")
UNKNOWN_CHOICES = ("error", "skip", "replace")
LENGTHS = ("epochs", "steps", "minutes")


def setting(
    default: Any,
    description: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a dataclass field with its default, bounds (inclusive) and description."""
    metadata = {"description": description, "least": least, "most": most, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config(Plain):
    """Base of all configurations: checks every field against its declaration.

    Raises:
        UsageError: a value of the wrong type, outside its bounds or not among its choices. The
            message names the option, the value and what is allowed.
    """

    def __post_init__(self) -> None:
        for declared in fields(self):
            _check(declared, getattr(self, declared.name))


def option_name(field_name: str) -> str:
    """The command-line option that sets a field."""
    return "--" + field_name.replace("_", "-")


def _check(declared: Field[Any], value: Any) -> None:
    option = option_name(declared.name)
    if not has_declared_type(declared, value):
        raise UsageError(f"{option} is {value!r:.60}; it must be of type {declared.type}")
    if value is None:
        return
    choices = declared.metadata.get("choices", ())
    if choices and value not in choices:
        raise UsageError(f"{option} is {value!r:.60}; it must be one of {', '.join(choices)}")
    least, most = declared.metadata.get("least"), declared.metadata.get("most")
    too_small = least is not None and not value >= least
    too_large = most is not None and not value <= most
    if too_small or too_large:
        span = f"from {least} to {most}"
        if most is None or least is None:
            span = f"at least {least}" if most is None else f"at most {most}"
        raise UsageError(f"{option} is {value:,}; it must be {span}")


@dataclass(frozen=True)
class ModelConfig(Config):
    """The shape of the network."""

    cell: str = setting("lstm", "Recurrent cell.", choices=CELLS)
    layers: int = setting(2, "Recurrent layers, one on top of another.", least=1, most=64)
    hidden: int = setting(128, "Hidden units in each layer.", least=1, most=16384)
    embedding: int = setting(128, "Length of a character's vector.", least=1, most=16384)
    dropout: float = setting(
        0.0, "Share of units dropped, one mask for each window.", least=0.0, most=0.95
    )
    norm: str = setting("layer", "Normalisation of each layer's output.", choices=NORMS)


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
    learning_rate: float = setting(6e-3, "Peak learning rate.", least=1e-8, most=10.0)
    warmup: int = setting(
        100, "Steps of rising learning rate, a tenth of the run at most.", least=0, most=10**6
    )
    weight_decay: float = setting(0.01, "AdamW's decoupled weight decay.", least=0.0, most=10.0)
    clip: float = setting(
        1.0, "Largest norm of the gradient; 0 turns clipping off.", least=0.0, most=1e6
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
