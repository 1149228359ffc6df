"""The score of a text: the sum of its characters' nats, and the figures derived from it.

A text of N characters has N scores. The first has nothing before it and is charged log(V), as if
all V characters were equally likely; the sum is therefore the length of a code for the whole text,
and a model that knows nothing scores log2(V) bits for every character.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Alphabet, Ids, count_ids
from charrnn.errors import PredictionError

_WINDOWS_AT_ONCE = 64
_POSITIONS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Score:
    """The score of a text under a model.

    Attributes:
        nats: the sum over all characters.
        characters: the number that were scored.
        bytes: the length of those in a file (UTF-8 for a text alphabet).
    """

    nats: float
    characters: int
    bytes: int

    @property
    def nats_per_char(self) -> float:
        """The mean over characters."""
        return self.nats / self.characters

    @property
    def bits(self) -> float:
        """The sum over all characters, in bits."""
        return self.nats / math.log(2)

    @property
    def bits_per_char(self) -> float:
        """The mean over characters, in bits."""
        return self.nats_per_char / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        """Bits for each byte of the text as a file would hold it."""
        return self.nats / math.log(2) / self.bytes

    @property
    def perplexity(self) -> float:
        """The number of equally likely characters with the same score: e to the nats per char."""
        try:
            return math.exp(self.nats_per_char)
        except OverflowError:
            return math.inf


def split_into_windows(characters: int, window: int) -> Iterator[NDArray[np.int64]]:
    """Split the positions below ``characters`` into windows, and yield them side by side, (T, R).

    Together they hold every position once. The last window may be shorter and comes alone.
    """
    whole = characters // window
    at_once = max(1, min(_WINDOWS_AT_ONCE, _POSITIONS_AT_ONCE // window))
    for first in range(0, whole, at_once):
        starts = np.arange(first, min(first + at_once, whole)) * window
        yield starts + np.arange(window)[:, None]
    if whole * window < characters:
        yield np.arange(whole * window, characters)[:, None]


class ScoreSum:
    """Sums the scores of a text, part by part.

    Args:
        ids: the text that is scored, shape (N,).
        alphabet_size: V; the first character of a continuous text is charged log(V).
        opened: whether the first character has a score too, because an id was read before it.
    """

    def __init__(self, ids: Ids, alphabet_size: int, *, opened: bool = False) -> None:
        self._ids = ids
        self._alphabet_size = alphabet_size
        self._sums = [] if opened else [math.log(alphabet_size)]
        self.characters = len(self._sums)

    def add(self, nats: float, characters: int) -> None:
        """Add the score of some characters together; either number may be negative."""
        self._sums.append(nats)
        self.characters += characters

    @property
    def nats(self) -> float:
        """The sum so far."""
        return math.fsum(self._sums)

    def score(self, alphabet: Alphabet) -> Score:
        """Return the score of the whole text.

        Raises:
            PredictionError: the model's predictions are not finite.
            ValueError: some characters have not been scored.
        """
        if not math.isfinite(self.nats):
            raise PredictionError
        if self.characters != len(self._ids):
            raise ValueError(f"{self.characters} of {len(self._ids)} characters are scored")
        counts = count_ids(self._ids, self._alphabet_size)
        return Score(self.nats, self.characters, int(counts @ alphabet.byte_lengths))
