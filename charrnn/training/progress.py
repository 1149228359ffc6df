"""The progress of a training run as plain data, and the events that report it."""

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

_UNTIMED_STEPS = 3


@dataclass(frozen=True)
class Progress(Plain):
    """The position of a run and its running totals.

    Attributes:
        step: optimizer steps taken.
        epoch: the epoch of the next window, from 0.
        window: the next window in that epoch, from 0.
        total: steps of the whole run; None while the speed is being measured. That of a run that
            is limited by time is planned again as it goes.
        seconds: training time, steps that were rolled back included.
        timed_steps: steps in the measurement of the present speed; a part of one may count.
        timed_seconds: time that these steps took.
        nats: sum of the training loss over the ``windows`` since the last evaluation.
        windows: their number, each weighted by the share of it that is not padding.
        evaluated_step: the step of the last evaluation.
        best_step: the step of the best evaluation.
        best_nats_per_char: the lowest validation loss; None if there is none.
        halvings: number of rollbacks, each of which halved the learning rate.
    """

    step: int = 0
    epoch: int = 0
    window: int = 0
    total: int | None = None
    seconds: float = 0.0
    timed_steps: float = 0
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
        """Mean training loss since the last evaluation; None before the first step after it."""
        return self.nats / self.windows if self.windows else None

    def after_step(
        self, following: Position, nats: float, seconds: float, share: float = 1
    ) -> Progress:
        """Return the progress after one more step.

        Args:
            following: the position after the step.
            nats: its mean loss per character.
            seconds: its duration.
            share: the share of its window that is not padding.
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
        """Return the progress after an evaluation with this validation loss."""
        evaluated = replace(self, evaluated_step=self.step, nats=0.0, windows=0)
        if not improved:
            return evaluated
        return replace(evaluated, best_step=self.step, best_nats_per_char=valid)

    def rolled_back_to(self, earlier: Progress) -> Progress:
        """Return earlier progress of the same run, with the learning rate halved once more.

        The total number of steps and the time spent are kept.
        """
        return replace(earlier, total=self.total, seconds=self.seconds, halvings=self.halvings + 1)

    def forget_speed(self, seconds: float) -> Progress:
        """Return the progress with a measurement of the speed that weighs at most that long."""
        share = min(seconds / self.timed_seconds, 1.0) if self.timed_seconds else 1.0
        return replace(
            self,
            timed_steps=self.timed_steps * share,
            timed_seconds=self.timed_seconds * share,
        )

    def is_possible(self, windows_per_epoch: int, planned: int | None) -> bool:
        """Return whether a run can reach this progress.

        Args:
            windows_per_epoch: windows per epoch of the run's streams.
            planned: total number of steps in the request; None if its seconds set the total.
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
    """One optimizer step was taken.

    Attributes:
        step: steps taken so far, including this one.
        total: steps of the whole run; None while the speed is being measured.
        epoch: epochs completed, a partial one included.
        nats_per_char: mean training loss since the last evaluation.
        gradient_norm: norm of the gradient before clipping.
        learning_rate: the learning rate of the step.
        characters: training characters read so far.
        seconds: training time so far, without evaluations and saves.
        seconds_left: expected training time left.
    """

    step: int
    total: int | None
    epoch: float
    nats_per_char: float
    gradient_norm: float
    learning_rate: float
    characters: int
    seconds: float
    seconds_left: float

    @property
    def expected_total(self) -> int:
        """Steps of the whole run: the plan or, before the first, as the speed makes likely."""
        if self.total is not None:
            return self.total
        return self.step + round(self.step * self.seconds_left / max(self.seconds, 1e-9))


@dataclass(frozen=True)
class Evaluating:
    """An evaluation is in progress; if the run is stopped here, the evaluation is repeated.

    Attributes:
        done: characters scored.
        total: characters to score.
    """

    done: int
    total: int


@dataclass(frozen=True)
class Evaluated:
    """An evaluation of the averaged weights is complete.

    Attributes:
        step: steps taken so far.
        total: steps of the whole run, as planned by now; None before the first plan.
        epoch: epochs completed, a partial one included.
        train_seconds: training time so far.
        train_nats_per_char: mean training loss since the previous evaluation; None before training.
        valid_nats_per_char: validation loss; None without a validation split.
        chars_per_second: training speed over the run.
        improved: True if the averaged weights are the best so far and are to be saved.
    """

    step: int
    total: int | None
    epoch: float
    train_seconds: float
    train_nats_per_char: float | None
    valid_nats_per_char: float | None
    chars_per_second: float
    improved: bool


@dataclass(frozen=True)
class SaveDue:
    """The run is to be saved now: its length was planned, it was evaluated, or it rolled back."""


@dataclass(frozen=True)
class RolledBack:
    """Training diverged; it returned to the last good state and halved the learning rate.

    Attributes:
        step: the step of the good state.
        diverged_step: the step at which training diverged.
        halvings: number of halvings of the learning rate, including this one.
        reason: describes the value that was not finite.
    """

    step: int
    diverged_step: int
    halvings: int
    reason: str


Event = Step | Evaluating | Evaluated | SaveDue | RolledBack
"""Every event that a trainer yields."""


@dataclass(frozen=True)
class Note:
    """A message for the user about the run, of one or two lines."""

    text: str


@dataclass(frozen=True)
class Started:
    """The run is about to train.

    Attributes:
        path: the run directory.
        corpus: the name of the text.
        characters: length of the text.
        alphabet: V, the number of different characters.
        model: settings of the network.
        parameters: number of trainable parameters.
        step: steps taken before; above 0 if the run is resumed.
        total: steps of the whole run; None while the speed is being measured.
        minutes: requested training time; None if the request sets steps or epochs.
        seconds_left: expected training time left; NaN if it is unknown.
        compute: device, precision and threads.
        held_out_learnt: the share of the held-out text that the base model was trained on.
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
    seconds_left: float
    compute: ComputeConfig
    held_out_learnt: float = 0.0


@dataclass(frozen=True)
class SettingsChosen:
    """Settings that were not given have been chosen automatically.

    Attributes:
        settings: the chosen values, by name.
        characters: number of training characters.
        epochs: expected number of epochs.
        operations_per_second: estimated floating-point operations per second of training.
    """

    settings: Mapping[str, Any]
    characters: int
    epochs: float
    operations_per_second: float


@dataclass(frozen=True)
class Ready:
    """The settings are final, and nothing has been written yet; the run's directory is locked.

    From here on :attr:`Observer.should_stop` is the way to end the run, since it saves it.
    """


@dataclass(frozen=True)
class Drawn:
    """A sample was drawn at an evaluation."""

    step: int
    text: str


RunEvent = Event | Note | SettingsChosen | Ready | Started | Drawn
"""Every event that an observer receives."""


@dataclass(frozen=True)
class Observer:
    """The callbacks that follow a run.

    Attributes:
        on_event: called with every event, between two steps.
        should_stop: called after every step; once it returns True, the run is saved and ends.
    """

    on_event: Callable[[RunEvent], None] | None = None
    should_stop: Callable[[], bool] | None = None

    def tell(self, event: RunEvent) -> None:
        """Report an event."""
        if self.on_event is not None:
            self.on_event(event)

    def note(self, text: str) -> None:
        """Report a note."""
        self.tell(Note(text))

    def wants_stop(self) -> bool:
        """Return whether the run is to end."""
        return self.should_stop is not None and self.should_stop()
