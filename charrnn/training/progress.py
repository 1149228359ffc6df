"""The progress of a training run, as plain data, and the events that tell of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.config.model import ModelConfig
from charrnn.config.settings import Plain
from charrnn.config.training import LONGEST_RUN_STEPS, MOST_HALVINGS, ComputeConfig
from charrnn.data.batches import Position

SAVE_EVERY = 30.0
"""Seconds between saves, evaluations apart, where nothing else is asked for."""

_UNTIMED_STEPS = 3
_TIMED_SECONDS = 30.0
_TIMED_SHARE = 0.1


@dataclass(frozen=True)
class Progress(Plain):
    """Where a run stands.

    Attributes:
        total: steps of the whole run; None while its speed is still being measured.
        seconds: of training, what was taken back included.
        nats: sum of the training loss over the ``windows`` since the last evaluation.
        windows: as full ones: half of one that is half padding.
        halvings: how often the run went back and halved its learning rate.
    """

    step: int = 0
    epoch: int = 0
    window: int = 0
    total: int | None = None
    seconds: float = 0.0
    timed_steps: int = 0
    timed_seconds: float = 0.0
    nats: float = 0.0
    windows: float = 0
    evaluated_step: int = 0
    best_step: int = 0
    best_nats_per_char: float | None = None
    halvings: int = 0

    @property
    def position(self) -> Position:
        """The window that the next step reads."""
        return Position(self.epoch, self.window)

    @property
    def nats_per_char(self) -> float | None:
        """The mean training loss since the last evaluation; None if there was no step."""
        return self.nats / self.windows if self.windows else None

    def after_step(
        self, following: Position, nats: float, seconds: float, share: float = 1
    ) -> Progress:
        """After one more step.

        Args:
            following: the position after it.
            nats: what a character of it cost.
            seconds: that it took.
            share: of its window that was no padding.
        """
        timed = self.step >= _UNTIMED_STEPS
        return replace(
            self,
            step=self.step + 1,
            epoch=following.epoch,
            window=following.window,
            seconds=self.seconds + seconds,
            timed_steps=self.timed_steps + timed,
            timed_seconds=self.timed_seconds + seconds * timed,
            nats=self.nats + nats * share,
            windows=self.windows + share,
        )

    def after_evaluation(self, valid: float | None, *, improved: bool) -> Progress:
        """After an evaluation that found this held-out loss."""
        evaluated = replace(self, evaluated_step=self.step, nats=0.0, windows=0)
        if not improved:
            return evaluated
        return replace(evaluated, best_step=self.step, best_nats_per_char=valid)

    def gone_back_to(self, earlier: Progress) -> Progress:
        """At an earlier point of the same run again, the learning rate halved once more.

        The length that was once measured stays, and so does the time that was spent.
        """
        return replace(earlier, total=self.total, seconds=self.seconds, halvings=self.halvings + 1)

    def total_within(self, seconds: float) -> int | None:
        """The steps of a run of that many seconds; None until enough were timed."""
        enough = min(_TIMED_SECONDS, _TIMED_SHARE * seconds)
        if not self.timed_steps or (self.timed_seconds < enough and self.seconds < seconds):
            return None
        left = (seconds - self.seconds) / (self.timed_seconds / self.timed_steps)
        return self.step + min(max(round(left), 0), LONGEST_RUN_STEPS - self.step)

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
            and 0 <= self.halvings <= MOST_HALVINGS
        )


@dataclass(frozen=True)
class Step:
    """One optimiser step was taken.

    Attributes:
        step: steps taken so far, this one included.
        total: steps of the whole run; None while the speed is still being measured.
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
"""Everything that a trainer tells as it goes."""


@dataclass(frozen=True)
class Note:
    """Something that the user should know of the run; one or two lines."""

    text: str


@dataclass(frozen=True)
class Started:
    """The run is about to train.

    Attributes:
        path: its directory.
        corpus: the name of its text.
        characters: in the text.
        alphabet: how many of them differ.
        model: its network.
        parameters: numbers that training adjusts.
        step: steps taken before, if the run is resumed.
        total: steps of the whole run; None if ``minutes`` decide and have not been measured yet.
        minutes: of training that were asked for; None if ``total`` decides.
        compute: device, precision and threads.
    """

    path: Path
    corpus: str
    characters: int
    alphabet: int
    model: ModelConfig
    parameters: int
    step: int
    total: int | None
    minutes: float | None
    compute: ComputeConfig


@dataclass(frozen=True)
class SettingsChosen:
    """Settings that were left open have been chosen.

    Attributes:
        settings: their values, by name.
        characters: of the text to train on.
        epochs: times that it will be read.
        operations_per_second: of the matrix products of training, as measured.
    """

    settings: Mapping[str, Any]
    characters: int
    epochs: float
    operations_per_second: float


@dataclass(frozen=True)
class Ready:
    """Everything is settled and nothing is written yet.

    From here on the run must be ended by :attr:`Observer.should_stop`, which saves it.
    """


@dataclass(frozen=True)
class Drawn:
    """Some text that was drawn at an evaluation."""

    step: int
    text: str


RunEvent = Event | Note | SettingsChosen | Ready | Started | Drawn
"""Everything that an observer is told."""


@dataclass(frozen=True)
class Observer:
    """Whoever follows a run.

    Attributes:
        on_event: is called with every event, between two steps.
        should_stop: is asked after every step; once it says so, the run is saved and ends.
    """

    on_event: Callable[[RunEvent], None] | None = None
    should_stop: Callable[[], bool] | None = None

    def tell(self, event: RunEvent) -> None:
        """Tell an event."""
        if self.on_event is not None:
            self.on_event(event)

    def note(self, text: str) -> None:
        """Tell a note."""
        self.tell(Note(text))

    def wants_stop(self) -> bool:
        """Ask whether the run is to end."""
        return self.should_stop is not None and self.should_stop()
