"""An exponential average of the weights: steadier than the weights themselves."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor

from charrnn.model import CharModel


class WeightAverage:
    """A second model whose weights follow those of the first; ready to predict, never trained.

    After step t (from 0) the average moves towards the weights by 1 - decay of the way, or by
    9 / (t + 10) while that is more, so that the random start is soon forgotten.

    Args:
        model: followed; copied as the start of the average.
        decay: share of the average that stays at each step.
    """

    def __init__(self, model: CharModel, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay = decay
        self._pairs = list(zip(_numbers(self.model), _numbers(model), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the model's weights after the step of that number."""
        share = 1 - min(self.decay, (step + 1) / (step + 10))
        for average, current in self._pairs:
            average.lerp_(current, share)


def _numbers(model: CharModel) -> Iterator[Tensor]:
    """Weights, and the running statistics that go with them.

    The statistics of averaged weights are not quite the average of their statistics; once the
    learning rate has come down the two agree.
    """
    return chain(model.parameters(), model.buffers())
