"""What a run that diverges goes back to, and what its user is told."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from charrnn.errors import DivergedError
from charrnn.learner import Learner
from charrnn.progress import Progress

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
    remedy = DivergedError.remedy if progress.step else DivergedError.remedy_at_start
    if progress.halvings:
        remedy = f"Halving the learning rate {progress.halvings} times did not help. {remedy}"
    return DivergedError(f"{problem} {remedy}")
