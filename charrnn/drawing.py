"""What sampling is made of: filters, draws, stop strings, pieces of text in their order.

Knows nothing of networks; ``sample.py`` draws from one through torch, ``engine/sampling.py`` from
the native one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.alphabet import Alphabet, Ids
from charrnn.config import SampleConfig

_OPENINGS = "\n "

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """Some more symbols of one sample.

    Attributes:
        sample: its number, from 0.
        last: whether the sample ends with this piece.
        seconds: since the sample's drawing began, the reading of the prime included.
    """

    sample: int
    symbols: str
    last: bool
    seconds: float


def in_order(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same pieces, every sample's before the next one's; each as soon as its turn has come."""
    current = 0
    waiting: dict[int, deque[Piece]] = defaultdict(deque)
    for piece in pieces:
        waiting[piece.sample].append(piece)
        while queue := waiting[current]:
            turn = queue.popleft()
            yield turn
            if turn.last:
                del waiting[current]
                current += 1


def opening(alphabet: Alphabet) -> Ids:
    """What is read where nothing else is given, shape (1,): a newline if there is one."""
    first = next((c for c in _OPENINGS if c in alphabet.characters), alphabet.characters[0])
    return alphabet.encode(first)


def filter_distribution(logits: Probabilities, config: SampleConfig) -> Probabilities:
    """The distribution that is drawn from.

    Temperature comes first, then top-k, then top-p, then min-p, each on what the one before left;
    temperature 0 leaves only the likeliest character (the first of several).

    Args:
        logits: (V,), float64.
        config: temperature and filters.

    Returns:
        Probabilities, (V,), summing to 1.
    """
    if config.temp == 0:
        certain = np.zeros_like(logits)
        certain[logits.argmax()] = 1.0
        return certain
    weights = np.exp((logits - logits.max()) / config.temp)
    if 0 < config.top_k < len(weights):
        weights[np.argsort(-weights, kind="stable")[config.top_k :]] = 0.0
    if config.top_p < 1:
        order = np.argsort(-weights, kind="stable")
        reached = np.cumsum(weights[order])
        enough = int(np.searchsorted(reached, config.top_p * reached[-1]))
        weights[order[enough + 1 :]] = 0.0
    if config.min_p > 0:
        weights[weights < config.min_p * weights.max()] = 0.0
    probabilities: Probabilities = weights / weights.sum()
    return probabilities


def draw(probabilities: Probabilities, uniform: float) -> int:
    """The index that a uniform draw from [0, 1) falls on; never one of probability 0."""
    cumulative = probabilities.cumsum()
    return int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))


class StopScanner:
    """Holds symbols back while they may yet turn into a stop string.

    >>> scanner = StopScanner(["END"])
    >>> [scanner.feed(c) for c in "xENEND"]
    ['x', '', '', 'EN', '', '']
    >>> scanner.stopped
    True
    >>> StopScanner(["END"]).feed("xENENDing")
    'xEN'
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def feed(self, symbols: str) -> str:
        """Take some symbols in; those that are now certain to belong to the sample.

        Of several stop strings the one that is complete first ends the sample, and of those that
        are complete at once the first in the list; what comes after it is dropped.
        """
        self._held += symbols
        found = [(self._held.find(stop), len(stop)) for stop in self._stops]
        ends = [begin + length for begin, length in found if begin >= 0]
        if ends:
            self.stopped = True
            return self._release(
                next(begin for begin, length in found if begin >= 0 and begin + length == min(ends))
            )
        longest = max((self._overlap(stop) for stop in self._stops), default=0)
        return self._release(len(self._held) - longest)

    def flush(self) -> str:
        """What is still held when a sample ends without a stop."""
        return "" if self.stopped else self._release(len(self._held))

    def _overlap(self, stop: str) -> int:
        """Length of the longest end of what is held that begins the stop string."""
        lengths = range(min(len(stop) - 1, len(self._held)), 0, -1)
        return next((n for n in lengths if self._held.endswith(stop[:n])), 0)

    def _release(self, length: int) -> str:
        released, self._held = self._held[:length], self._held[length:]
        return released
