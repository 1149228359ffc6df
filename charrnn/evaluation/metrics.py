"""What a text cost, in nats: the sum over its characters, and the figures made of it.

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
    """What a text cost under a model.

    Attributes:
        nats: the sum over all characters.
        characters: how many were scored.
        bytes: how many bytes they take in a file (UTF-8 for a text alphabet).
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
        """Equally likely characters the model hesitates among: e to the nats per character."""
        try:
            return math.exp(self.nats_per_char)
        except OverflowError:
            return math.inf


def split_into_windows(characters: int, window: int) -> Iterator[NDArray[np.int64]]:
    """Positions from 0 to below ``characters`` as windows side by side: (T, R), R at once.

    Together they hold every position once. The last window may be shorter and comes by itself.
    """
    whole = characters // window
    at_once = max(1, min(_WINDOWS_AT_ONCE, _POSITIONS_AT_ONCE // window))
    for first in range(0, whole, at_once):
        starts = np.arange(first, min(first + at_once, whole)) * window
        yield starts + np.arange(window)[:, None]
    if whole * window < characters:
        yield np.arange(whole * window, characters)[:, None]


class Tally:
    """Adds up the scores of a text's characters as they come.

    Args:
        ids: the text that is scored, shape (N,).
        alphabet_size: V, which prices the first character.
        opened: whether the first character comes with a score too, as something was read before.
    """

    def __init__(self, ids: Ids, alphabet_size: int, *, opened: bool = False) -> None:
        self._ids = ids
        self._alphabet_size = alphabet_size
        self._sums = [] if opened else [math.log(alphabet_size)]
        self.characters = len(self._sums)

    def add(self, nats: float, characters: int) -> None:
        """Take in the scores of some more characters, together; both may be taken back."""
        self._sums.append(nats)
        self.characters += characters

    @property
    def nats(self) -> float:
        """The sum so far."""
        return math.fsum(self._sums)

    def score(self, alphabet: Alphabet) -> Score:
        """The score of the whole text.

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
