"""Reading and writing by turns through torch, with any model on any device; see ``playing.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from charrnn.alphabet import Alphabet, Ids
from charrnn.config import SampleConfig
from charrnn.drawing import draw, filter_distribution, opening
from charrnn.errors import CheckpointError
from charrnn.model import CharModel, States
from charrnn.tally import NOT_FINITE

_MOST_AT_ONCE = 4096


class TorchPlace(NamedTuple):
    """The states before the last id, and that id: shape (1,), or (0,) before any text."""

    states: States
    unread: Ids


class TorchVoice:
    """A :class:`charrnn.playing.Voice` through torch.

    Args:
        model: on any device.
        alphabet: the model's.
    """

    def __init__(self, model: CharModel, alphabet: Alphabet) -> None:
        self._model = model
        self._opening = opening(alphabet)

    def beginning(self) -> TorchPlace:
        """The place before any text."""
        return TorchPlace(self._model.initial_states(1), self._opening[:0])

    def read(self, place: TorchPlace, ids: Ids) -> TorchPlace:
        """The place after some more ids, shape (N,)."""
        states = place.states
        ids = np.concatenate([place.unread, ids])
        for begin in range(0, len(ids) - 1, _MOST_AT_ONCE):
            _, states = self._step(ids[:-1][begin : begin + _MOST_AT_ONCE], states)
        return TorchPlace(states, ids[-1:])

    def write(
        self, place: TorchPlace, config: SampleConfig, generator: np.random.Generator
    ) -> Iterator[tuple[Ids, TorchPlace]]:
        """Draw ids, one at a time."""
        unread = place.unread if len(place.unread) else self._opening
        states = place.states
        for _ in range(config.length):
            logits, states = self._step(unread, states)
            row = logits[-1, 0].cpu().double().numpy()
            if not np.isfinite(row).all():
                raise CheckpointError(NOT_FINITE)
            unread = np.array([draw(filter_distribution(row, config), generator.random())])
            yield unread, TorchPlace(states, unread)

    def _step(self, ids: Ids, states: States) -> tuple[Tensor, States]:
        """The logits (N, 1, V) and the states after some ids (N,)."""
        inputs = torch.from_numpy(ids.astype(np.int64))[:, None]
        with torch.inference_mode():
            logits, states = self._model(inputs.to(self._model.head.weight.device), states)
        return logits, states
