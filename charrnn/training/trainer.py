"""The training loop: truncated backpropagation through time, evaluation, rollback on divergence.

The hidden states are carried from window to window within an epoch and detached between windows.
Each epoch, and each batch of records, starts from initial states, since its streams start elsewhere
in the text. The trainer yields events; it saves and prints nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from charrnn.config.training import MOST_HALVINGS
from charrnn.data.batches import NO_TARGET, Streams
from charrnn.errors import DivergedError, Remedy
from charrnn.training.progress import (
    Evaluated,
    Evaluating,
    Event,
    Progress,
    RolledBack,
    SaveDue,
    Step,
)
from charrnn.training.schedule import Schedule
from charrnn.training.time_budget import StepTimer, plan_steps
from charrnn.training.train_state import TrainState
from charrnn.training.validation import HeldOut


class Trainer:
    """Trains a model on a text to the end of a schedule.

    Args:
        train_state: the model in training, with its optimizers and states.
        streams: the training text.
        held_out: the validation split; empty if there is none.
        schedule: the learning rates; its total is None if ``seconds`` sets the length.
        seconds: training time, converted to a number of steps once the speed is known, and again
            as it changes; None if the schedule's total sets the length.
        evaluations: number of evaluations over the run.
        goes_back: True to roll back on divergence: to the last evaluation or, before the first, to
            the beginning, at half the learning rate. Evaluations, unlike saves, do not depend on
            the clock, so that a run that diverges is reproducible, and resumable, bit for bit.
        begins_trained: True if the initial weights are those of a trained model; they are evaluated
            before the first step.

    Attributes:
        progress: the run's progress.
        good: the state to roll back to; None if ``goes_back`` is False.
    """

    def __init__(
        self,
        train_state: TrainState,
        streams: Streams,
        held_out: HeldOut,
        schedule: Schedule,
        *,
        seconds: float | None,
        evaluations: int,
        goes_back: bool,
        begins_trained: bool = False,
    ) -> None:
        self.train_state = train_state
        self.streams = streams
        self.held_out = held_out
        self.schedule = schedule
        self.seconds = seconds
        self.evaluations = evaluations
        self.begins_trained = begins_trained
        self._timer = StepTimer()
        self.progress = Progress(total=schedule.total)
        self.good = GoodState.of(train_state, self.progress) if goes_back else None

    @property
    def finished(self) -> bool:
        """True if every step has been taken and the last evaluation made."""
        p = self.progress
        return p.total is not None and p.step >= p.total and p.evaluated_step == p.step

    def fit(self) -> Iterator[Event]:
        """Train to the end of the schedule, and yield events.

        The iteration may be abandoned at any event: the trainer is then in the state after the last
        complete step, and a later call continues from there.

        Raises:
            DivergedError: a loss, a gradient or a weight is not finite, and rolling back is off or
                has not helped. A loss or gradient that is not finite never changes the weights.
        """
        while not self.finished:
            try:
                if self._evaluation_due():
                    yield from self._evaluate()
                    yield SaveDue()
                else:
                    yield self._step()
                    if self._plan_length():
                        yield SaveDue()
            except DivergedError as problem:
                yield self.roll_back(problem)
                yield SaveDue()

    def roll_back(self, problem: DivergedError) -> RolledBack:
        """Return to the last good state, and halve the learning rate.

        :meth:`fit` calls this on divergence. A caller that finds the state not finite when it saves
        the run calls it as well.

        Args:
            problem: the divergence.

        Raises:
            DivergedError: the problem with its remedies, if rolling back is off or used up.
        """
        diverged = self.progress
        if self.good is None or diverged.halvings >= MOST_HALVINGS:
            raise add_remedies(problem, diverged) from problem
        self.train_state.restore(self.good.tensors, begun=self.good.progress.step > 0)
        self.progress = diverged.rolled_back_to(self.good.progress)
        return RolledBack(
            step=self.progress.step,
            diverged_step=diverged.step,
            halvings=self.progress.halvings,
            reason=str(problem),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor that resuming needs, by name; they share memory with the run."""
        good = self.good.named() if self.good else {}
        return {**self.train_state.tensors(), **good}

    def restore(
        self, tensors: dict[str, Tensor], progress: Progress, good: Progress | None
    ) -> None:
        """Restore a saved run.

        Args:
            tensors: the tensors that :meth:`tensors` returned.
            progress: the run's progress at that time.
            good: the progress of its good state; None if rolling back is off.

        Raises:
            ValueError: the tensors or the progress do not belong to such a run.
        """
        own, kept = split_good_tensors(tensors)
        if not (good is None) == (self.good is None) == (not kept):
            raise ValueError("a state to roll back to is missing, or there is one too many")
        if good is not None:
            if good.step != progress.evaluated_step:
                raise ValueError(f"no run at {progress} would roll back to {good}")
            self._restore_state(kept, good)
            self.good = GoodState.of(self.train_state, good)
        self._restore_state(own, progress)

    @property
    def epochs_done(self) -> float:
        """Epochs completed so far, a partial one included."""
        return self.progress.epoch + self.progress.window / self.streams.windows_per_epoch

    @property
    def chars_per_second(self) -> float:
        """Training speed over the run, without evaluations and saves."""
        p = self.progress
        return p.step * self.streams.characters_per_window / max(p.seconds, 1e-9)

    @property
    def seconds_left(self) -> float:
        """Expected training time left; NaN before the first step if steps set the length."""
        p = self.progress
        if self.seconds is not None:
            return max(self.seconds - p.seconds, 0.0)
        if not p.step or p.total is None:
            return math.nan
        return (p.total - p.step) * p.seconds / p.step

    def _restore_state(self, tensors: dict[str, Tensor], progress: Progress) -> None:
        if not progress.is_possible(self.streams.windows_per_epoch, self.schedule.total):
            raise ValueError(f"no run can reach {progress}")
        self.train_state.restore(tensors, begun=progress.step > 0)
        self.progress = progress
        if progress.total is not None:
            self.schedule = self.schedule.with_total(progress.total)

    def _evaluation_due(self) -> bool:
        p = self.progress
        if self.begins_trained and not p.step:
            return p.best_nats_per_char is None and len(self.held_out) > 0
        if p.total is None or p.step == p.evaluated_step:
            return False
        between = math.ceil(p.total / self.evaluations)
        return p.step >= min(p.evaluated_step + between, p.total)

    def _step(self) -> Step:
        self._timer.start()
        p = self.progress
        rate = self.schedule.learning_rate(p.step) / 2**p.halvings
        window = self.streams.read(p.position)
        fresh = self.streams.starts_fresh(p.position)
        nats, norm = self.train_state.learn(window, fresh=fresh, step=p.step, rate=rate)
        following = self.streams.after(p.position)
        shape = self.streams.shape
        share = np.count_nonzero(window[1] != NO_TARGET) / (shape.batch * shape.window)
        self.progress = p.after_step(following, nats, self._timer.stop(), share)
        return self._describe_step(norm, rate)

    def _describe_step(self, norm: float, rate: float) -> Step:
        p = self.progress
        return Step(
            step=p.step,
            total=p.total,
            epoch=self.epochs_done,
            nats_per_char=p.nats / p.windows,
            gradient_norm=norm,
            learning_rate=rate,
            characters=round(p.step * self.streams.characters_per_window),
            seconds=p.seconds,
            seconds_left=self.seconds_left,
        )

    def _plan_length(self) -> bool:
        """Plan the number of steps of a run that is limited by time; return whether it changed.

        A plan depends on the clock, so it is saved before it is followed: a run that is resumed
        continues with the plan of its checkpoint, and takes the same steps.
        """
        if self.seconds is None:
            return False
        before = self.progress.total
        self.progress = plan_steps(self.progress, self.seconds)
        total = self.progress.total
        if total is None or total == before:
            return False
        self.schedule = self.schedule.with_total(total)
        return True

    def _evaluate(self) -> Iterator[Event]:
        valid = None
        if len(self.held_out):
            network = self.train_state.average.model
            total = self.held_out.open_sum(network)
            for nats, characters in self.held_out.score(network):
                total.add(nats, characters)
                yield Evaluating(total.characters, len(self.held_out))
            valid = total.nats / total.characters
        p = self.progress
        if valid is not None and not math.isfinite(valid):
            raise DivergedError(
                f"at step {p.step:,} the held-out loss is {valid}: training has diverged"
            )
        self.train_state.check_finite()
        best = p.best_nats_per_char
        improved = valid is None or best is None or valid < best
        self.progress = p.after_evaluation(valid, improved=improved)
        if self.good is not None:
            self.good = GoodState.of(self.train_state, self.progress)
        yield Evaluated(
            step=p.step,
            total=p.total,
            epoch=self.epochs_done,
            train_seconds=p.seconds,
            train_nats_per_char=p.nats_per_char,
            valid_nats_per_char=valid,
            chars_per_second=self.chars_per_second,
            improved=improved,
        )


_GOOD = "good."


@dataclass(frozen=True)
class GoodState:
    """A copy of a finite state of a run, to roll back to."""

    progress: Progress
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, train_state: TrainState, progress: Progress) -> GoodState:
        """Copy the present state of a run."""
        tensors = train_state.tensors()
        return cls(progress, {name: t.to("cpu", copy=True) for name, t in tensors.items()})

    def named(self) -> dict[str, Tensor]:
        """Return the tensors under names that differ from those of the run itself."""
        return {_GOOD + name: tensor for name, tensor in self.tensors.items()}


def split_good_tensors(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Separate a run's own tensors from those that :meth:`GoodState.named` returned."""
    own, good = {}, {}
    for name, tensor in tensors.items():
        if name.startswith(_GOOD):
            good[name.removeprefix(_GOOD)] = tensor
        else:
            own[name] = tensor
    return own, good


def add_remedies(problem: DivergedError, progress: Progress) -> DivergedError:
    """Return the error that ends a run at ``progress``: the problem and its remedies."""
    if not progress.step:
        return DivergedError(
            f"{problem}; it is the first step, so the initial weights were too large",
            Remedy("try a smaller initialization", "init_gain"),
        )
    tried = f"; halving the learning rate {progress.halvings} times did not help"
    return DivergedError(
        f"{problem}{tried if progress.halvings else ''}",
        Remedy("try a smaller learning rate", "learning_rate"),
        Remedy("clip the gradient at a smaller norm", "clip"),
    )
