"""Runs, and numbers that are not finite put into them at a chosen step."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from charrnn.config.model import ModelConfig
from charrnn.config.training import MOST_HALVINGS, ComputeConfig, SourceConfig, TrainConfig
from charrnn.models.char_model import States
from charrnn.training.progress import Progress, Step
from charrnn.training.run_config import Request
from charrnn.training.trainer import Trainer
from tests.support.arrangements import ARRANGEMENTS, as_options
from tests.support.optimizers import OPTIMIZERS_HERE

KINDS = ("loss", "gradient", "weights")
VALUES = ("nan", "inf", "-inf")

STEPS = 12
STEPS_PER_EVALUATION = 4

_MODEL: dict[str, Any] = {
    "layers": 1,
    "hidden": 8,
    "embedding": 4,
    "dropout": 0.3,
    "weight_drop": 0.2,
}
_TRAIN: dict[str, Any] = {"steps": STEPS, "evaluations": STEPS // STEPS_PER_EVALUATION}
_TRAIN |= {"window": 16, "batch": 8, "valid": 0.3}
_COMPUTE: dict[str, Any] = {"device": "cpu", "precision": "fp32", "threads": 1}

_take_step = Trainer._step


@dataclass(frozen=True)
class Fault:
    """One number that is not finite.

    Attributes:
        kind: in the loss or in one gradient of a step, or in one weight (or what else a run keeps)
            after it.
        value: as a text, which is how it can be told.
        step: strikes the step after so many.
        times: strikes again, until the learning rate was halved so often.
        place: which tensor, and which number in it.
    """

    kind: str
    value: str
    step: int
    times: int
    place: int

    def strikes(self, progress: Progress) -> bool:
        """Return whether the fault occurs in the next step."""
        return progress.step == self.step and progress.halvings < self.times

    def take_step(self, trainer: Trainer) -> Step:
        """Take a step, as the trainer would if it were not for the fault."""
        if not self.strikes(trainer.progress):
            return _take_step(trainer)
        if self.kind == "weights":
            step = _take_step(trainer)
            kept = _read_again(trainer)
            with torch.no_grad():
                self._poison(kept[self.place % len(kept)])
            return step
        training_step = trainer.train_state.step
        backpropagate = training_step.backpropagate

        def struck(*arguments: Any) -> tuple[float, States]:
            nats, states = backpropagate(*arguments)
            if self.kind == "loss":
                return nats * float(self.value), states
            gradients = [p.grad for p in training_step.parameters if p.grad is not None]
            self._poison(gradients[self.place % len(gradients)])
            return nats, states

        with patch.object(training_step, "backpropagate", struck):
            return _take_step(trainer)

    def _poison(self, tensor: Tensor) -> Tensor:
        tensor.view(-1)[self.place % tensor.numel()] = float(self.value)
        return tensor


def _read_again(trainer: Trainer) -> list[Tensor]:
    """The numbers that a run goes on with.

    No state is, where an epoch ends, nor the half pair that a pyramid keeps: windows end with whole
    pairs, so that it is an old one.
    """
    unread = tuple(
        f"state.{number}.{layer.parts.index('earlier')}"
        for number, layer in enumerate(trainer.train_state.model.layers())
        if "earlier" in layer.parts
    )
    if trainer.streams.starts_fresh(trainer.progress.position):
        unread = ("state.",)
    tensors = trainer.train_state.tensors().items()
    return [t for name, t in tensors if t.is_floating_point() and not name.startswith(unread)]


def inject(fault: Fault) -> None:
    """Put a fault into every run of this process from now on."""
    Trainer._step = _struck_by(fault)  # type: ignore[method-assign,assignment]


@contextmanager
def injected(fault: Fault) -> Iterator[None]:
    """Put a fault into every run within."""
    with patch.object(Trainer, "_step", _struck_by(fault)):
        yield


def _struck_by(fault: Fault) -> Callable[[Trainer], Step]:
    def take_step(trainer: Trainer) -> Step:
        return fault.take_step(trainer)

    return take_step


@dataclass(frozen=True)
class Plan:
    """A run, and what happens to it."""

    arrangement: str
    optimizer: str
    policy: str
    fault: Fault

    @property
    def good_step(self) -> int:
        """The step that the run goes back to: the last evaluation's."""
        return self.fault.step // STEPS_PER_EVALUATION * STEPS_PER_EVALUATION

    @property
    def halvings(self) -> int:
        """Times that the run goes back."""
        return min(self.fault.times, MOST_HALVINGS) if self.policy == "rollback" else 0

    @property
    def ends(self) -> bool:
        """True if the fault ends the run."""
        return self.fault.times > self.halvings

    @property
    def model(self) -> dict[str, Any]:
        """The settings of the network."""
        own = ARRANGEMENTS[self.arrangement]
        # It has no recurrent matrix of which weights could be dropped.
        drops = {"weight_drop": 0.0} if own.get("stack_only") else {}
        return {**_MODEL, **drops, **own}

    @property
    def options(self) -> tuple[str, ...]:
        """The run, as the command line takes it."""
        settings = {**self.model, **_TRAIN, **_COMPUTE, "optimizer": self.optimizer}
        return (*as_options(settings), "--on-divergence", self.policy)

    @property
    def request(self) -> Request:
        """The run, as the library takes it."""
        return Request(
            SourceConfig(paths=("corpus.txt",)),
            ModelConfig(**self.model),
            TrainConfig(**_TRAIN, optimizer=self.optimizer, on_divergence=self.policy),
            ComputeConfig(**_COMPUTE),
        )


def draw_plan(chance: random.Random) -> Plan:
    """Any run, and any fault in it."""
    fault = Fault(
        kind=chance.choice(KINDS),
        value=chance.choice(VALUES),
        step=chance.randrange(STEPS),
        times=chance.randint(1, MOST_HALVINGS + 1),
        place=chance.randrange(10**6),
    )
    arrangement, optimizer = chance.choice(sorted(ARRANGEMENTS)), chance.choice(OPTIMIZERS_HERE)
    return Plan(arrangement, optimizer, chance.choice(("stop", "rollback", "rollback")), fault)
