"""Truncated backpropagation through time. Yields events; saves and prints nothing itself.

The state is carried from window to window within an epoch and cut from the graph between them;
an epoch begins with fresh states, since its streams begin elsewhere in the text. So does every
batch of records.

What a run that diverges goes back to, and what its user is told.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from charrnn.config.training import MOST_HALVINGS
from charrnn.data.batches import NO_TARGET, Streams
from charrnn.errors import DivergedError, Remedy
from charrnn.training.progress import (
    Checkpoint,
    Evaluating,
    Evaluation,
    Event,
    Progress,
    RolledBack,
    Step,
)
from charrnn.training.schedule import Schedule
from charrnn.training.train_state import Learner
from charrnn.training.validation import HeldOut


class Trainer:
    """Trains a learner on a text to the end of a schedule.

    Args:
        learner: what is trained.
        streams: the text to train on.
        held_out: the text to evaluate on; empty for none.
        schedule: its total is None when ``seconds`` sets the length.
        seconds: of training, turned into a number of steps once the speed is known.
        evaluations: how many over the run.
        goes_back: whether, if training diverges, it goes on from the last evaluation (before the
            first, from the beginning) at half the learning rate. That moment, unlike that of a
            save, does not hang on the clock: a run that diverges can be repeated, and resumed, bit
            for bit.
        begins_trained: whether it begins with weights that are worth keeping: then it evaluates
            them before the first step.
    """

    def __init__(
        self,
        learner: Learner,
        streams: Streams,
        held_out: HeldOut,
        schedule: Schedule,
        *,
        seconds: float | None,
        evaluations: int,
        goes_back: bool,
        begins_trained: bool = False,
    ) -> None:
        self.learner = learner
        self.streams = streams
        self.held_out = held_out
        self.schedule = schedule
        self.seconds = seconds
        self.evaluations = evaluations
        self.begins_trained = begins_trained
        self.progress = Progress(total=schedule.total)
        self.good = GoodState.of(learner, self.progress) if goes_back else None

    @property
    def finished(self) -> bool:
        """Whether every step has been taken and the last evaluation made."""
        p = self.progress
        return p.total is not None and p.step >= p.total and p.evaluated_step == p.step

    def fit(self) -> Iterator[Event]:
        """Train to the end of the schedule.

        The iteration may be left at any event; the trainer is then in the state after the last
        whole step, and a later call goes on as if it had not been left.

        Raises:
            DivergedError: a loss, a gradient or a weight is not finite, and there is no going back
                or it has not helped. No weight was touched by a loss or gradient that is not.
        """
        while not self.finished:
            try:
                if self._evaluation_due():
                    yield from self._evaluate()
                    yield Checkpoint()
                else:
                    yield self._step()
                    if self._fix_length():
                        yield Checkpoint()
            except DivergedError as problem:
                yield self.go_back(problem)
                yield Checkpoint()

    def go_back(self, problem: DivergedError) -> RolledBack:
        """Return to the last good state, to go on from there at half the learning rate.

        Called by whoever finds between two events that the run cannot be saved as it stands;
        :meth:`fit` goes back by itself.

        Raises:
            DivergedError: the problem, with what the user can do, if there is no going back.
        """
        diverged = self.progress
        if self.good is None or diverged.halvings >= MOST_HALVINGS:
            raise explain(problem, diverged) from problem
        self.learner.restore(self.good.tensors, begun=self.good.progress.step > 0)
        self.progress = diverged.gone_back_to(self.good.progress)
        return RolledBack(
            step=self.progress.step,
            diverged_step=diverged.step,
            halvings=self.progress.halvings,
            reason=str(problem),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that the run needs to go on, by name. They share memory with the run."""
        good = self.good.named() if self.good else {}
        return {**self.learner.tensors(), **good}

    def restore(
        self, tensors: dict[str, Tensor], progress: Progress, good: Progress | None
    ) -> None:
        """Go back to where :meth:`tensors`, ``progress`` and the good state's were taken.

        Raises:
            ValueError: the tensors or the progress are not those of such a run.
        """
        own, kept = split_off_good(tensors)
        if not (good is None) == (self.good is None) == (not kept):
            raise ValueError("a state to go back to is missing, or there is one too many")
        if good is not None:
            if good.step != progress.evaluated_step:
                raise ValueError(f"no run at {progress} would go back to {good}")
            self._take_up(kept, good)
            self.good = GoodState.of(self.learner, good)
        self._take_up(own, progress)

    @property
    def epochs_done(self) -> float:
        """Passes over the text so far, the part of one included."""
        return self.progress.epoch + self.progress.window / self.streams.windows_per_epoch

    @property
    def chars_per_second(self) -> float:
        """Training speed over the run, evaluations and saves not counted."""
        p = self.progress
        return p.step * self.streams.characters_per_window / max(p.seconds, 1e-9)

    def _take_up(self, tensors: dict[str, Tensor], progress: Progress) -> None:
        if not progress.is_possible(self.streams.windows_per_epoch, self.schedule.total):
            raise ValueError(f"no run can stand at {progress}")
        self.learner.restore(tensors, begun=progress.step > 0)
        self.progress = progress
        if progress.total is not None:
            self.schedule = self.schedule.lasting(progress.total)

    def _evaluation_due(self) -> bool:
        p = self.progress
        if self.begins_trained and not p.step:
            return p.best_nats_per_char is None and len(self.held_out) > 0
        if p.total is None or p.step == p.evaluated_step:
            return False
        return p.step >= p.total or p.step % math.ceil(p.total / self.evaluations) == 0

    def _step(self) -> Step:
        started = time.perf_counter()
        p = self.progress
        rate = self.schedule.learning_rate(p.step) / 2**p.halvings
        window = self.streams.read(p.position)
        fresh = self.streams.begins(p.position)
        nats, norm = self.learner.learn(window, fresh=fresh, step=p.step, rate=rate)
        following = self.streams.after(p.position)
        shape = self.streams.shape
        share = np.count_nonzero(window[1] != NO_TARGET) / (shape.batch * shape.window)
        self.progress = p.after_step(following, nats, time.perf_counter() - started, share)
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
        )

    def _fix_length(self) -> bool:
        """Turn the seconds into steps once enough were timed; whether that happened now."""
        p = self.progress
        if p.total is not None or self.seconds is None:
            return False
        total = p.total_within(self.seconds)
        if total is None:
            return False
        self.progress = replace(p, total=total)
        self.schedule = self.schedule.lasting(total)
        return True

    def _evaluate(self) -> Iterator[Event]:
        valid = None
        if len(self.held_out):
            network = self.learner.average.model
            tally = self.held_out.open_tally(network)
            for nats, characters in self.held_out.score(network):
                tally.add(nats, characters)
                yield Evaluating(tally.characters, len(self.held_out))
            valid = tally.nats / tally.characters
        p = self.progress
        if valid is not None and not math.isfinite(valid):
            raise DivergedError(
                f"at step {p.step:,} the held-out loss is {valid}: training has diverged"
            )
        self.learner.check_finite()
        best = p.best_nats_per_char
        improved = valid is None or best is None or valid < best
        self.progress = p.after_evaluation(valid, improved=improved)
        if self.good is not None:
            self.good = GoodState.of(self.learner, self.progress)
        yield Evaluation(
            step=p.step,
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
    """A finite state of a run: a copy that training does not touch."""

    progress: Progress
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, learner: Learner, progress: Progress) -> GoodState:
        """The state in which a run is now."""
        tensors = learner.tensors()
        return cls(progress, {name: t.to("cpu", copy=True) for name, t in tensors.items()})

    def named(self) -> dict[str, Tensor]:
        """The tensors under names that tell them from those of the run itself."""
        return {_GOOD + name: tensor for name, tensor in self.tensors.items()}


def split_off_good(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tell a run's own tensors from those that :meth:`GoodState.named` named."""
    own, good = {}, {}
    for name, tensor in tensors.items():
        if name.startswith(_GOOD):
            good[name.removeprefix(_GOOD)] = tensor
        else:
            own[name] = tensor
    return own, good


def explain(problem: DivergedError, progress: Progress) -> DivergedError:
    """The error that ends a run which stands at ``progress``: the problem, and what might help."""
    if not progress.step:
        return DivergedError(
            f"{problem}; nothing was learnt before, so it began too large",
            Remedy("try a smaller start", "init_gain"),
        )
    tried = f"; halving the learning rate {progress.halvings} times did not help"
    return DivergedError(
        f"{problem}{tried if progress.halvings else ''}",
        Remedy("try a smaller learning rate", "learning_rate"),
        Remedy("bound the gradient more tightly", "clip"),
    )
