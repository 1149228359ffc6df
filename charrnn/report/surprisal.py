"""What each character of a passage cost, for the heat map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.alphabet import Alphabet, Ids
from charrnn.evaluate import score
from charrnn.model import CharModel

_BEFORE = 24


@dataclass(frozen=True)
class Costly:
    """A character that the model did not expect.

    Attributes:
        before: the characters it came after.
        symbol: itself.
        bits: what it cost.
    """

    before: str
    symbol: str
    bits: float


@dataclass(frozen=True)
class Passage:
    """A text, and the bits that each of its characters cost."""

    symbols: str
    bits: tuple[float, ...]

    def costliest(self, count: int) -> list[Costly]:
        """The characters that cost most, in falling order."""
        order = sorted(range(len(self.bits)), key=lambda place: -self.bits[place])[:count]
        return [
            Costly(self.symbols[max(place - _BEFORE, 0) : place], self.symbols[place], bits)
            for place in order
            for bits in (self.bits[place],)
        ]


def read_passage(model: CharModel, ids: Ids, alphabet: Alphabet) -> Passage:
    """Read a passage (N,), N >= 1, from an empty state."""
    return Passage(alphabet.decode(ids), tuple(bits_of(model, ids, len(alphabet)).tolist()))


def bits_of(model: CharModel, ids: Ids, alphabet_size: int) -> NDArray[np.float64]:
    """The bits of every character (N,); the first is charged log2(V), as in an evaluation."""
    nats = [block[:, 0].numpy() for block in score(model, ids)]
    return np.concatenate(([math.log(alphabet_size)], *nats)) / math.log(2)
