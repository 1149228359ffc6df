"""Numbers that are not finite, put into a run at a chosen step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from charrnn.events import Step
from charrnn.progress import Progress
from charrnn.train import Trainer

KINDS = ("loss", "gradient", "weights")
VALUES = ("nan", "inf", "-inf")

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
        """Whether the next step is struck."""
        return progress.step == self.step and progress.halvings < self.times

    def take_step(self, trainer: Trainer) -> Step:
        """Take a step, as the trainer would if it were not for the fault."""
        if not self.strikes(trainer.progress):
            return _take_step(trainer)
        if self.kind == "weights":
            step = _take_step(trainer)
            kept = [t for t in trainer.learner.tensors().values() if t.is_floating_point()]
            with torch.no_grad():
                self._poison(kept[self.place % len(kept)])
            return step
        hook = self._hook(trainer)
        try:
            return _take_step(trainer)
        finally:
            hook.remove()

    def _hook(self, trainer: Trainer) -> Any:
        model = trainer.learner.model
        if self.kind == "loss":
            value = float(self.value)
            return model.register_forward_hook(lambda _, __, out: (out[0] * value, out[1]))
        parameters = list(model.parameters())
        parameter = parameters[self.place % len(parameters)]
        return parameter.register_hook(  # type: ignore[no-untyped-call]
            lambda gradient: self._poison(gradient.clone())
        )

    def _poison(self, tensor: Tensor) -> Tensor:
        tensor.view(-1)[self.place % tensor.numel()] = float(self.value)
        return tensor


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
