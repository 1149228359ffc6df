"""Sampling through the native network; see ``drawing.py``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from charrnn.alphabet import Alphabet, Ids
from charrnn.config import SampleConfig
from charrnn.drawing import Piece, StopScanner, opening
from charrnn.engine.pace import Pace
from charrnn.errors import CheckpointError
from charrnn.kernels.network import Filters, Floats, Network
from charrnn.tally import NOT_FINITE

_MOST_ROWS = 64
_MOST_AT_ONCE = 4096


class _Stream:
    """A sample on its way."""

    def __init__(self, number: int, seed: int, stops: Sequence[str]) -> None:
        self.number = number
        self.generator = np.random.default_rng([seed, number])
        self.scanner = StopScanner(stops)

    def take(self, symbols: str, at_end: bool) -> tuple[str, bool]:
        """Take symbols in; those to show, and whether they are the last."""
        text = self.scanner.feed(symbols)
        last = self.scanner.stopped or at_end
        return text + (self.scanner.flush() if last else ""), last


def sample(
    network: Network,
    alphabet: Alphabet,
    config: SampleConfig,
    prime: Ids,
    seed: int,
    threads: int = 1,
) -> Iterator[Piece]:
    """Draw ``config.count`` samples, yielding each one's symbols as they come.

    Sample i depends on the network, the prime, the settings, the seed and i alone. The first piece
    is one character; later ones grow to what takes about 10 ms to draw.

    Args:
        network: of a model with this alphabet.
        alphabet: the model's.
        config: how to draw, how much and how often.
        prime: ids the model reads first, shape (N,); if empty see :func:`opening`.
        seed: at least 0.
        threads: among which samples are shared out.

    Raises:
        CheckpointError: the model's predictions are not finite.
    """
    if not len(prime):
        prime = opening(alphabet)
    read = network.fresh_states(1)
    for begin in range(0, len(prime) - 1, _MOST_AT_ONCE):
        network.read(prime[:-1][begin : begin + _MOST_AT_ONCE, None], read)
    for first in range(0, config.count, _MOST_ROWS):
        started = time.perf_counter()
        samples = range(first, min(first + _MOST_ROWS, config.count))
        stops = [alphabet.symbols(stop) for stop in config.stop]
        streams = [_Stream(number, seed, stops) for number in samples]
        states = np.repeat(read, len(streams), axis=2)
        last = np.full(len(streams), prime[-1], np.int32)
        for stream, symbols, ends in _draw(
            network, alphabet, config, streams, states, last, threads
        ):
            yield Piece(stream.number, symbols, ends, time.perf_counter() - started)


def _draw(
    network: Network,
    alphabet: Alphabet,
    config: SampleConfig,
    streams: list[_Stream],
    states: Floats,
    last: Ids,
    threads: int,
) -> Iterator[tuple[_Stream, str, bool]]:
    """Each stream's next symbols, and whether it ends with them; what has ended leaves the batch.

    What is drawn beyond a stop string is dropped.
    """
    filters = Filters(config.temp, config.top_k, config.top_p, config.min_p)
    position, pace = 0, Pace()
    while streams:
        with pace.next(config.length - position) as count:
            uniforms = np.empty((len(streams), count))
            for stream, numbers in zip(streams, uniforms, strict=True):
                stream.generator.random(out=numbers)
            drawn = network.draw(last, uniforms, states, filters, threads)
        if drawn.size and drawn.min() < 0:
            raise CheckpointError(NOT_FINITE)
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
            states = np.ascontiguousarray(states[:, :, left])
