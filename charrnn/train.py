"""Truncated backpropagation through time. Yields events; saves and prints nothing itself.

The state is carried from window to window within an epoch and cut from the graph between them;
an epoch begins with fresh states, since its streams begin elsewhere in the text.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from charrnn.alphabet import Ids
from charrnn.averaging import WeightAverage
from charrnn.cells.contract import detach_states, name_states, restore_states
from charrnn.device import Compute
from charrnn.dropconnect import dropped
from charrnn.errors import DivergedError
from charrnn.evaluate import score, streams_for
from charrnn.events import (
    LONGEST_RUN_STEPS,
    Checkpoint,
    Evaluating,
    Evaluation,
    Event,
    Progress,
    Step,
)
from charrnn.model import CharModel
from charrnn.optimizer import Optimizers, load_optimizers, name_optimizer_tensors
from charrnn.schedule import Schedule
from charrnn.streams import Position, Streams
from charrnn.tally import Tally

MOST_HELD_OUT = 1_000_000
"""Held-out characters, from their beginning, that an evaluation during training scores."""

PARTS = ("model", "average", "optimizer", "state", "random")
"""What the names of a run's tensors begin with."""

_UNTIMED_STEPS = 3
_TIMED_SECONDS = 2.0
_TIMED_SHARE = 0.05


class Trainer:
    """Everything that changes while a model is trained, and the loop that changes it.

    Args:
        model: trained in place, on ``compute``'s device.
        average: the average of the model's weights: what is evaluated and kept.
        optimizers: over the model's parameters.
        streams: the text to train on.
        held_out: ids to evaluate on, shape (N,); empty for none.
        schedule: its total is None when ``seconds`` sets the length.
        seconds: of training, turned into a number of steps once the speed is known.
        clip: largest norm of the gradient; 0 is no limit.
        clip_value: largest value of each part of the gradient; 0 is no limit.
        dropout: share of units dropped.
        weight_drop: share of recurrent weights dropped.
        evaluations: how many over the run.
        seed: of the dropout masks.
    """

    def __init__(
        self,
        model: CharModel,
        average: WeightAverage,
        optimizers: Optimizers,
        streams: Streams,
        held_out: Ids,
        schedule: Schedule,
        compute: Compute,
        *,
        seconds: float | None,
        clip: float,
        clip_value: float,
        dropout: float,
        weight_drop: float,
        evaluations: int,
        seed: int,
    ) -> None:
        self.model = model
        self.parameters = list(model.parameters())
        self.average = average
        self.optimizers = optimizers
        self.streams = streams
        self.held_out = held_out[:MOST_HELD_OUT]
        self.schedule = schedule
        self.compute = compute
        self.seconds = seconds
        self.clip = clip
        self.clip_value = clip_value
        self.dropout = dropout
        self.weight_drop = weight_drop
        self.evaluations = evaluations
        self.generator = torch.Generator().manual_seed(seed)
        self.states = model.initial_states(streams.shape.batch)
        self.progress = Progress(total=schedule.total)

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
            DivergedError: a loss or gradient that is not finite; the weights are those before it.
        """
        while not self.finished:
            if self._evaluation_due():
                yield from self._evaluate()
                yield Checkpoint()
            else:
                yield self._step()
                if self._fix_length():
                    yield Checkpoint()

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that the run needs to go on, by name. They share memory with the run."""
        return {
            **{f"model.{name}": tensor for name, tensor in self.model.state_dict().items()},
            **{f"average.{name}": t for name, t in self.average.model.state_dict().items()},
            **{
                f"optimizer.{name}": tensor
                for name, tensor in name_optimizer_tensors(self.model, self.optimizers).items()
            },
            **{f"state.{name}": tensor for name, tensor in name_states(self.states).items()},
            "random.masks": self.generator.get_state(),
        }

    def restore(self, tensors: dict[str, Tensor], progress: Progress) -> None:
        """Go back to where :meth:`tensors` and ``progress`` were taken.

        Raises:
            ValueError: the tensors or the progress are not those of such a run.
        """
        if not progress.is_possible(self.streams.windows_per_epoch, self.schedule.total):
            raise ValueError(f"no run can stand at {progress}")
        parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
        for full_name, tensor in tensors.items():
            part, _, name = full_name.partition(".")
            if part not in parts:
                raise ValueError(f"tensor {full_name:.80} belongs to no part of a run")
            parts[part][name] = tensor
        masks = parts["random"].pop("masks", None)
        if masks is None or parts["random"] or masks.dtype != torch.uint8:
            raise ValueError("the random state is missing or not one")
        try:
            self.model.load_state_dict(parts["model"])
            self.average.model.load_state_dict(parts["average"])
            self.generator.set_state(masks)
        except RuntimeError as problem:
            raise ValueError(str(problem)) from problem
        begun = progress.step > 0
        load_optimizers(self.model, self.optimizers, parts["optimizer"], begun=begun)
        self.states = restore_states(self.states, parts["state"])
        self.progress = progress
        if progress.total is not None:
            self.schedule = self.schedule.lasting(progress.total)

    def _evaluation_due(self) -> bool:
        p = self.progress
        if p.total is None or p.step == p.evaluated_step:
            return False
        return p.step >= p.total or p.step % math.ceil(p.total / self.evaluations) == 0

    def _step(self) -> Step:
        started = time.perf_counter()
        p = self.progress
        position = Position(p.epoch, p.window)
        batch = self.streams.shape.batch
        states = self.states if p.window else self.model.initial_states(batch)
        masks = self.model.draw_masks(batch, self.dropout, self.generator)
        inputs, targets = (
            torch.from_numpy(ids).to(self.compute.device) for ids in self.streams.read(position)
        )
        self.model.train()
        for parameter in self.parameters:
            parameter.grad = None
        with dropped(self.model.recurrent_weights(), self.weight_drop, self.generator):
            with self.compute.autocast():
                logits, states = self.model(inputs, states, masks)
            loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
            torch.autograd.backward(loss)
        nats = loss.item()
        norm = self._clip()
        if not (math.isfinite(nats) and math.isfinite(norm)):
            raise DivergedError(
                f"at step {p.step + 1:,} the loss is {nats:.4g}, its gradient's norm {norm:.4g}: "
                "training has diverged.\nThe weights were not touched by it. "
                f"{DivergedError.remedy if p.step else DivergedError.remedy_at_start}"
            )
        rate = self.schedule.learning_rate(p.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        self.average.update(p.step)
        self.states = tuple(
            tuple(tensor.float() for tensor in state) for state in detach_states(states)
        )
        following = self.streams.after(position)
        seconds = time.perf_counter() - started
        timed = p.step >= _UNTIMED_STEPS
        self.progress = replace(
            p,
            step=p.step + 1,
            epoch=following.epoch,
            window=following.window,
            seconds=p.seconds + seconds,
            timed_steps=p.timed_steps + timed,
            timed_seconds=p.timed_seconds + seconds * timed,
            nats=p.nats + nats,
            windows=p.windows + 1,
        )
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
            characters=p.step * self.streams.characters_per_window,
            seconds=p.seconds,
        )

    @property
    def epochs_done(self) -> float:
        """Passes over the text so far, the part of one included."""
        return self.progress.epoch + self.progress.window / self.streams.windows_per_epoch

    @property
    def chars_per_second(self) -> float:
        """Training speed over the run, evaluations and saves not counted."""
        p = self.progress
        return p.step * self.streams.characters_per_window / max(p.seconds, 1e-9)

    def _clip(self) -> float:
        """Bound the gradients by their norm or by value; returns their norm before."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self.clip:
            nn.utils.clip_grads_with_norm_(self.parameters, self.clip, norm)
        if self.clip_value:
            nn.utils.clip_grad_value_(self.parameters, self.clip_value)
        return norm.item()

    def _fix_length(self) -> bool:
        """Turn the seconds into steps once enough were timed; whether that happened now."""
        p = self.progress
        if p.total is not None or self.seconds is None:
            return False
        enough = min(_TIMED_SECONDS, _TIMED_SHARE * self.seconds)
        if not p.timed_steps or (p.timed_seconds < enough and p.seconds < self.seconds):
            return False
        left = (self.seconds - p.seconds) / (p.timed_seconds / p.timed_steps)
        total = p.step + min(max(round(left), 0), LONGEST_RUN_STEPS - p.step)
        self.progress = replace(p, total=total)
        self.schedule = self.schedule.lasting(total)
        return True

    def _evaluate(self) -> Iterator[Event]:
        valid = None
        if len(self.held_out):
            characters = len(self.held_out)
            tally = Tally(self.held_out, self.model.head.out_features)
            for nats in score(self.average.model, self.held_out, streams_for(characters)):
                tally.add(float(nats.sum()), nats.numel())
                yield Evaluating(tally.characters, characters)
            valid = tally.nats / tally.characters
        p = self.progress
        if valid is not None and not math.isfinite(valid):
            raise DivergedError(f"at step {p.step:,} the held-out loss is {valid}")
        best = p.best_nats_per_char
        improved = valid is None or best is None or valid < best
        evaluation = Evaluation(
            step=p.step,
            epoch=self.epochs_done,
            train_seconds=p.seconds,
            train_nats_per_char=p.nats / max(p.windows, 1),
            valid_nats_per_char=valid,
            chars_per_second=self.chars_per_second,
            improved=improved,
        )
        self.progress = replace(p, evaluated_step=p.step, nats=0.0, windows=0)
        if improved:
            self.progress = replace(self.progress, best_step=p.step, best_nats_per_char=valid)
        yield evaluation
