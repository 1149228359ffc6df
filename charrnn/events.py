"""What training tells its caller as it goes, and where it stands."""

from __future__ import annotations

import math
from dataclasses import dataclass

from charrnn.plain import Plain

LONGEST_RUN_STEPS = 10**12
"""No run is longer; one whose speed was mismeasured so badly had better end."""


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
    train_nats_per_char: float
    valid_nats_per_char: float | None
    chars_per_second: float
    improved: bool


@dataclass(frozen=True)
class Checkpoint:
    """A moment at which losing the run would hurt: its length was fixed, or an evaluation ended."""


Event = Step | Evaluating | Evaluation | Checkpoint


@dataclass(frozen=True)
class Progress(Plain):
    """Where a run stands, as plain data."""

    step: int = 0
    epoch: int = 0
    window: int = 0
    total: int | None = None
    seconds: float = 0.0
    timed_steps: int = 0
    timed_seconds: float = 0.0
    nats: float = 0.0
    windows: int = 0
    evaluated_step: int = 0
    best_step: int = 0
    best_nats_per_char: float | None = None

    def is_possible(self, windows_per_epoch: int, planned: int | None) -> bool:
        """Whether a run can have come to stand here.

        Args:
            windows_per_epoch: of the streams it reads.
            planned: the steps it was meant to take; None if its seconds decide.
        """
        return (
            self.window in range(windows_per_epoch)
            and self.epoch >= 0
            and self.step == self.epoch * windows_per_epoch + self.window
            and self.step <= LONGEST_RUN_STEPS
            and (self.total is None or self.step <= self.total <= LONGEST_RUN_STEPS)
            and (planned is None or self.total == planned)
            and 0 <= self.best_step <= self.evaluated_step <= self.step
            and 0 <= self.windows <= self.step
            and 0 <= self.timed_steps <= self.step
            and all(0 <= seconds < math.inf for seconds in (self.seconds, self.timed_seconds))
            and math.isfinite(self.nats)
        )
