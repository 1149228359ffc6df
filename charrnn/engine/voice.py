"""Reading and writing by turns through the native network; see ``playing.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from charrnn.alphabet import Alphabet, Ids
from charrnn.config import SampleConfig
from charrnn.drawing import opening
from charrnn.engine.pace import Pace
from charrnn.errors import CheckpointError
from charrnn.kernels.network import Filters, Floats, Network
from charrnn.tally import NOT_FINITE

_MOST_AT_ONCE = 4096


class NativePlace(NamedTuple):
    """The states before the last id, and that id: shape (1,), or (0,) before any text."""

    states: Floats
    unread: Ids


class NativeVoice:
    """A :class:`charrnn.playing.Voice` without torch.

    Args:
        network: of a model with this alphabet.
        alphabet: the model's.
    """

    def __init__(self, network: Network, alphabet: Alphabet) -> None:
        self._network = network
        self._opening = opening(alphabet)

    def beginning(self) -> NativePlace:
        """The place before any text."""
        return NativePlace(self._network.fresh_states(1), self._opening[:0])

    def read(self, place: NativePlace, ids: Ids) -> NativePlace:
        """The place after some more ids, shape (N,)."""
        states = place.states.copy()
        ids = np.concatenate([place.unread, ids])
        for begin in range(0, len(ids) - 1, _MOST_AT_ONCE):
            self._network.read(ids[:-1][begin : begin + _MOST_AT_ONCE, None], states)
        return NativePlace(states, ids[-1:])

    def write(
        self, place: NativePlace, config: SampleConfig, generator: np.random.Generator
    ) -> Iterator[tuple[Ids, NativePlace]]:
        """Draw ids; the first piece is one, later ones grow to what takes about 10 ms."""
        filters = Filters(config.temp, config.top_k, config.top_p, config.min_p)
        unread = place.unread if len(place.unread) else self._opening
        states, left, pace = place.states, config.length, Pace()
        while left:
            states = states.copy()
            with pace.next(left) as count:
                drawn = self._network.draw(unread, generator.random((1, count)), states, filters)[0]
            if drawn.min() < 0:
                raise CheckpointError(NOT_FINITE)
            unread, left = drawn[-1:], left - count
            yield drawn, NativePlace(states, unread)
