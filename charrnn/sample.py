"""Logits -> filtered distribution -> characters, as they are drawn."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from charrnn.alphabet import Alphabet, Ids
from charrnn.cells.contract import select_states
from charrnn.config import SampleConfig
from charrnn.errors import CheckpointError
from charrnn.evaluate import NOT_FINITE
from charrnn.model import CharModel

TILE = 4
"""Samples drawn side by side. A matrix product rounds differently for another number of rows, so a
single sample fills a whole tile too: sample i is the same whatever the count."""

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


def sample(
    model: CharModel, alphabet: Alphabet, config: SampleConfig, prime: Ids, seed: int
) -> Iterator[Piece]:
    """Draw ``config.count`` samples, yielding each one's symbols as they come.

    Sample i depends on the model, the prime, the settings, the seed and i alone. Samples of one
    tile are drawn together, their pieces interleaved; tiles follow one another.

    Args:
        model: on any device.
        alphabet: the model's.
        config: how to draw, how much and how often.
        prime: ids the model reads first, shape (N,); if empty it reads a newline (else a blank,
            else its first character), as at the beginning of a line.
        seed: at least 0.

    Raises:
        CheckpointError: the model's predictions are not finite.
    """
    if not len(prime):
        prime = opening(alphabet)
    for first in range(0, config.count, TILE):
        samples = range(first, min(first + TILE, config.count))
        yield from _sample_tile(model, alphabet, config, prime, seed, samples)


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
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def feed(self, symbol: str) -> str:
        """Take one symbol in; the symbols that are now certain to belong to the sample."""
        self._held += symbol
        for stop in self._stops:
            if self._held.endswith(stop):
                self.stopped = True
                return self._release(len(self._held) - len(stop))
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


def _sample_tile(
    model: CharModel,
    alphabet: Alphabet,
    config: SampleConfig,
    prime: Ids,
    seed: int,
    samples: range,
) -> Iterator[Piece]:
    started = time.perf_counter()
    device = model.head.weight.device
    generators = [np.random.default_rng([seed, number]) for number in samples]
    scanners = [StopScanner([alphabet.symbols(stop) for stop in config.stop]) for _ in samples]
    active = set(range(len(samples)))
    ids = torch.from_numpy(prime.astype(np.int64))[:, None].to(device)
    states = model.initial_states(1)
    with torch.inference_mode():
        logits, states = model(ids, states)
        states = select_states(states, torch.zeros(TILE, dtype=torch.long, device=device))
        logits = logits[-1:].expand(1, TILE, -1)
    drawn = np.zeros(TILE, dtype=np.int64)
    for position in range(config.length):
        rows = logits[0].cpu().double().numpy()
        if not np.isfinite(rows).all():
            raise CheckpointError(NOT_FINITE)
        for row in sorted(active):
            probabilities = filter_distribution(rows[row], config)
            drawn[row] = draw(probabilities, generators[row].random())
            scanner = scanners[row]
            text = scanner.feed(alphabet.characters[drawn[row]])
            last = scanner.stopped or position + 1 == config.length
            if last:
                text += scanner.flush()
                active.discard(row)
            if text or last:
                yield Piece(samples[row], text, last, time.perf_counter() - started)
        if not active:
            return
        with torch.inference_mode():
            logits, states = model(torch.from_numpy(drawn)[None].to(device), states)
    for row in sorted(active):
        yield Piece(samples[row], "", True, time.perf_counter() - started)
