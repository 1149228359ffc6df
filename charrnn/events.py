"""What training tells its caller as it goes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One optimiser step was taken.

    Attributes:
        step: steps taken so far, this one included.
        total: steps of the whole run; None while ``--minutes`` is still being measured.
        nats_per_char: mean training loss since the last evaluation.
        seconds: of training so far, evaluations and saves not counted.
    """

    step: int
    total: int | None
    epoch: float
    nats_per_char: float
    gradient_norm: float
    learning_rate: float
    characters: int
    seconds: float


@dataclass(frozen=True)
class Evaluating:
    """An evaluation is under way; it may be broken off here and will be made again."""

    done: int
    total: int


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of the averaged weights ended.

    Attributes:
        valid_nats_per_char: None when nothing is held out.
        improved: the averaged weights are the best so far and ought to be kept.
    """

    step: int
    epoch: float
    train_seconds: float
    train_nats_per_char: float | None
    valid_nats_per_char: float | None
    chars_per_second: float
    improved: bool


@dataclass(frozen=True)
class Checkpoint:
    """A moment at which losing the run would hurt: its length was fixed, or an evaluation ended."""


@dataclass(frozen=True)
class RolledBack:
    """Training diverged, went back to the last good state and halved its learning rate.

    Attributes:
        step: steps taken so far, once more.
        diverged_step: steps that had been taken.
        halvings: of the learning rate, this one included.
        reason: what was not finite.
    """

    step: int
    diverged_step: int
    halvings: int
    reason: str


Event = Step | Evaluating | Evaluation | Checkpoint | RolledBack
