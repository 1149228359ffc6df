"""Settings of training, of computing, and of the text that is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from charrnn.config.settings import Config, list_defaults, setting
from charrnn.errors import UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")
EXPERTS = ("auto", "ngram", "none")
AUTO, NONE = "auto", "none"
"""Stand for the base model that is near to a text, and for no model, where one is named."""

LENGTHS = ("epochs", "steps", "minutes")
SAVE_EVERY = 30.0
"""Default number of seconds between saves; an evaluation saves in addition."""

MOST_HALVINGS = 3
"""Times that a diverging run goes back and halves its learning rate before it gives up."""


class OptimizerDefaults(NamedTuple):
    """The defaults of an optimizer."""

    learning_rate: float
    weight_decay: float


OPTIMIZERS = {
    "adamw": OptimizerDefaults(1e-2, 0.01),
    "adam": OptimizerDefaults(6e-3, 0.0),
    "rmsprop": OptimizerDefaults(4e-3, 0.0),
    "sgd": OptimizerDefaults(0.3, 0.0),
    "adagrad": OptimizerDefaults(1e-1, 0.0),
    "muon": OptimizerDefaults(1.2e-2, 0.01),
}


def _of_optimizer(name: str, description: str, **bounds: Any) -> Any:
    """Declare a setting for which each optimizer has a default of its own."""
    defaults = {opt: getattr(entry, name) for opt, entry in OPTIMIZERS.items()}
    return setting(None, description, otherwise=list_defaults(defaults), **bounds)


@dataclass(frozen=True)
class TrainConfig(Config):
    """The training of a model. At most one of epochs, steps and minutes is given."""

    window: int = setting(
        128,
        "Characters between truncations of backpropagation.",
        least=1,
        most=65536,
        automatic=True,
    )
    batch: int = setting(
        32,
        "Streams, or records, read side by side.",
        least=1,
        most=65536,
        automatic=True,
    )
    epochs: int | None = setting(None, "Passes over the training text.", least=1, most=10**6)
    steps: int | None = setting(None, "Optimizer steps, one for each window.", least=1, most=10**9)
    minutes: float | None = setting(
        None,
        "Minutes of training, evaluations and saves not counted.",
        least=0.001,
        most=10**5,
        automatic=True,
    )
    optimizer: str = setting("adamw", "Optimizer.", choices=tuple(OPTIMIZERS))
    learning_rate: float = _of_optimizer(
        "learning_rate",
        "Peak learning rate; adamw's falls for layers wider than 512.",
        least=1e-8,
        most=10.0,
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
        otherwise="1; 0 where values are clipped",
    )
    average: float = setting(
        0.995, "Decay of the weights' exponential average, for each step.", least=0.0, most=0.99999
    )
    valid: float = setting(
        0.1, "Share held out at the end of the text; 0 turns it off.", least=0.0, most=0.9
    )
    evaluations: int = setting(
        10,
        "Evaluations over the run, one a step at most, the last one at its end.",
        least=1,
        most=10**6,
        automatic=True,
    )
    experts: str = setting(
        "auto",
        "Expert that is joined with the network: ngram, counts of short strings in the training "
        "text; auto, that where it lowers the held-out loss.",
        choices=EXPERTS,
    )
    on_divergence: str = setting(
        "stop",
        "Reaction to a loss, gradient or weight that is not finite: stop, or go back to the last "
        f"evaluation and halve the learning rate, {MOST_HALVINGS} times at most.",
        choices=("stop", "rollback"),
    )
    seed: int = setting(1, "Seed of everything that is drawn.", least=0, most=2**63 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [name for name in LENGTHS if getattr(self, name) is not None]
        if len(given) > 1:
            raise UsageError("both set the length; give one of them", settings=tuple(given[:2]))
        if self.experts == "ngram" and not self.valid:
            raise UsageError(
                "do not go together: the expert's weights are fitted to the text that is held out",
                settings=("experts", "valid"),
            )
        if self.clip and self.clip_value:
            raise UsageError(
                "both bound the gradient; give one of them", settings=("clip", "clip_value")
            )

    def _derive_default(self, name: str) -> Any:
        if name == "clip":
            return 0.0 if self.clip_value else 1.0
        return (
            getattr(OPTIMIZERS[self.optimizer], name) if name in OptimizerDefaults._fields else None
        )


@dataclass(frozen=True)
class ComputeConfig(Config):
    """The device, precision and threads of training."""

    device: str = setting("auto", "Where to compute.", choices=DEVICES)
    precision: str = setting(
        "auto", "Precision of the matrix products of training.", choices=PRECISIONS
    )
    threads: int | None = setting(
        None, "Processor threads to compute with, at most.", least=1, most=1024
    )


@dataclass(frozen=True)
class SourceConfig(Config):
    """The files of a corpus and their encoding."""

    paths: tuple[str, ...] = setting((), "Text files and folders.")
    encoding: str | None = setting("utf-8", "Encoding of the text; null for bytes.")


LONGEST_RUN_STEPS = 10**12
"""Steps of the longest run; one that is longer was mismeasured."""
