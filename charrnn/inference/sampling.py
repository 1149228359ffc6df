"""Sample text from a backend: filters, samples in parallel, stop strings, streaming in pieces.

The first piece of a sample is one character; later pieces grow to about 10 ms of work.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import Alphabet, Ids, encode_default_prime
from charrnn.errors import Remedy, UsageError
from charrnn.inference.backend import Backend, BackendState
from charrnn.kernels.network import Filters

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """The next symbols of a sample.

    Attributes:
        sample: the sample's number, from 0.
        symbols: the symbols.
        last: True if the sample ends with this piece.
        seconds: time since the drawing of this sample's batch began.
    """

    sample: int
    symbols: str
    last: bool
    seconds: float


def order_pieces(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Sort pieces by sample, and yield each as soon as all samples before it are complete."""
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


def build_filters(config: SampleConfig) -> Filters:
    """Build the filters of a configuration: temperature, top-k, top-p and min-p."""
    return Filters(config.temperature, config.top_k, config.top_p, config.min_p)


def filter_distribution(logits: Probabilities, filters: Filters) -> Probabilities:
    """Convert logits to the sampling distribution.

    Temperature is applied first, then top-k, top-p and min-p, each to the result of the one before.
    Temperature 0 leaves only the most likely character (the first of equal ones).

    Args:
        logits: (V,), float64.
        filters: temperature, top-k, top-p and min-p.

    Returns:
        Probabilities (V,), which sum to 1.
    """
    if filters.temperature == 0:
        certain = np.zeros_like(logits)
        certain[logits.argmax()] = 1.0
        return certain
    weights = np.exp((logits - logits.max()) / filters.temperature)
    if 0 < filters.top_k < len(weights):
        weights[np.argsort(-weights, kind="stable")[filters.top_k :]] = 0.0
    if filters.top_p < 1:
        order = np.argsort(-weights, kind="stable")
        reached = np.cumsum(weights[order])
        enough = int(np.searchsorted(reached, filters.top_p * reached[-1]))
        weights[order[enough + 1 :]] = 0.0
    if filters.min_p > 0:
        weights[weights < filters.min_p * weights.max()] = 0.0
    probabilities: Probabilities = weights / weights.sum()
    return probabilities


def draw_index(probabilities: Probabilities, uniform: float) -> int:
    """Draw an index with a uniform number from [0, 1), by inverse transform sampling.

    An index of probability 0 is never drawn.
    """
    cumulative = probabilities.cumsum()
    return int(np.searchsorted(cumulative, uniform * cumulative[-1], side="right"))


def check_stops(alphabet: Alphabet, stops: Iterable[str]) -> None:
    """Raise UsageError for a stop string that is empty or has characters the model lacks."""
    for stop in stops:
        if not stop:
            raise UsageError("is empty", Remedy("name the text to stop before"), settings=("stop",))
        if alphabet.count_unknown(alphabet.symbols(stop)):
            raise UsageError(
                f"{stop!r} has characters that the model does not know", settings=("stop",)
            )


class StopScanner:
    """Holds back symbols that may be the beginning of a stop string.

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
        """Add symbols, and return those that certainly belong to the sample.

        The stop string that is complete first ends the sample; of several at once, the first in the
        list. Symbols from there on are dropped.
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
        """Return the symbols held back when a sample ends without a stop string."""
        return "" if self.stopped else self._release(len(self._held))

    def _overlap(self, stop: str) -> int:
        """Return the length of the longest suffix held back that is a prefix of the stop string."""
        lengths = range(min(len(stop) - 1, len(self._held)), 0, -1)
        return next((n for n in lengths if self._held.endswith(stop[:n])), 0)

    def _release(self, length: int) -> str:
        released, self._held = self._held[:length], self._held[length:]
        return released


class _Stream:
    """A sample that is being drawn."""

    def __init__(self, number: int, seed: int, stops: Sequence[str]) -> None:
        self.number = number
        self.generator = np.random.default_rng([seed, number])
        self.scanner = StopScanner(stops)

    def take(self, symbols: str, at_end: bool) -> tuple[str, bool]:
        """Add symbols; return those to yield, and whether they are the last."""
        text = self.scanner.feed(symbols)
        last = self.scanner.stopped or at_end
        return text + (self.scanner.flush() if last else ""), last


def sample(
    backend: Backend, alphabet: Alphabet, config: SampleConfig, prime: Ids, seed: int
) -> Iterator[Piece]:
    """Draw ``config.count`` samples, and yield their symbols piece by piece.

    Sample i depends on the model, the prime, the settings, the seed and i alone. Pieces of samples
    that are drawn in parallel are interleaved; see :func:`order_pieces`.

    Args:
        backend: runs the model.
        alphabet: the model's alphabet.
        config: the filters, the stop strings, the length and the number of samples.
        prime: ids that the model reads first, (N,); if empty, :func:`encode_default_prime`'s.
        seed: at least 0.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    if not len(prime):
        prime = encode_default_prime(alphabet)
    beginning = backend.read(prime[:-1, None], backend.initial_state(1))
    stops = [alphabet.symbols(stop) for stop in config.stop]
    for first in range(0, config.count, backend.rows_to_draw):
        started = time.perf_counter()
        numbers = range(first, min(first + backend.rows_to_draw, config.count))
        streams = [_Stream(number, seed, stops) for number in numbers]
        state = backend.select(beginning, np.zeros(len(streams), np.int64))
        last = np.full(len(streams), prime[-1], np.int32)
        for stream, symbols, ends in _draw(backend, alphabet, config, streams, state, last):
            yield Piece(stream.number, symbols, ends, time.perf_counter() - started)


def _draw(
    backend: Backend,
    alphabet: Alphabet,
    config: SampleConfig,
    streams: list[_Stream],
    state: BackendState,
    last: Ids,
) -> Iterator[tuple[_Stream, str, bool]]:
    """Yield each stream's next symbols, and whether it ends with them.

    A stream that ends leaves the batch. Symbols drawn after a stop string are dropped.
    """
    filters = build_filters(config)
    position, pace = 0, Pace()
    while streams:
        with pace.next(config.length - position) as count:
            uniforms = np.empty((len(streams), count))
            for stream, numbers in zip(streams, uniforms, strict=True):
                stream.generator.random(out=numbers)
            drawn, state = backend.draw(last, uniforms, state, filters)
        position += count
        decoded = alphabet.decode(drawn.ravel())
        left = []
        for row, stream in enumerate(streams):
            own = decoded[row * count : (row + 1) * count]
            symbols, ends = stream.take(own, position == config.length)
            if symbols or ends:
                yield stream, symbols, ends
            if not ends:
                left.append(row)
        if not left:
            return
        last = drawn[left, -1]
        if len(left) < len(streams):
            streams = [streams[row] for row in left]
            state = backend.select(state, np.array(left))


_SECONDS_AT_ONCE = 0.01
_MOST_AT_ONCE = 4096


class Pace:
    """Chooses the size of pieces: one character at first, then doubled up to 10 ms of work."""

    def __init__(self) -> None:
        self._at_once = 1

    @contextmanager
    def next(self, left: int) -> Iterator[int]:
        """Yield the number of characters to draw in the block, at most ``left``."""
        began = time.perf_counter()
        yield min(self._at_once, left)
        if time.perf_counter() - began < _SECONDS_AT_ONCE / 2:
            self._at_once = min(2 * self._at_once, _MOST_AT_ONCE)
