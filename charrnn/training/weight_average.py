"""The averaged weights of a model in training: less noisy than the weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor

from charrnn.models.char_model import CharModel


class WeightAverage:
    """An exponential moving average of a model's weights, as a second model in evaluation mode.

    After step t (from 0) the average moves towards the weights by a share of 1 - decay, or of
    9 / (t + 10) while that is larger, so that the initial weights soon lose their influence.

    Args:
        model: the model in training; its weights are the start of the average.
        decay: share of the average that is kept at each step.
    """

    def __init__(self, model: CharModel, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay = decay
        self._pairs = list(zip(_numbers(self.model), _numbers(model), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the model's weights after a step, counted from 0."""
        for average, current in self._pairs:
            average.lerp_(current, self.share(step))

    def share(self, step: int) -> float:
        """Return the share by which the average moves after a step, counted from 0."""
        return 1 - min(self.decay, (step + 1) / (step + 10))


def _numbers(model: CharModel) -> Iterator[Tensor]:
    """Iterate over the weights and the running statistics.

    The average of the statistics approximates the statistics of the averaged weights; the two
    agree once the learning rate is small.
    """
    return chain(model.parameters(), model.buffers())
