"""What ids cost a network that reads them: as one text, part by part, or as many, side by side.

Scoring through the native network: streams side by side, with an exact hand-over.

    1. S streams of a text score their parts side by side, each from an empty state.
    2. Every stream is then handed the state in which the one before it ended, and scores its
       beginning again, until its state has joined the one it had there the first time.
    3. A stream that has not joined after a while scores on alone, and so do those after it whose
       start that changes: a network that never forgets is read by one stream in the end.

The sum is therefore that of a single stream that carries its state through the whole text. States
count as joined when they agree to about the last digit of float32; they are compared at marks
that lie ever further apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Alphabet, Ids
from charrnn.errors import NOT_FINITE, CheckpointError
from charrnn.evaluation.metrics import Score, Tally, split_into_windows
from charrnn.inference.backend import Reader
from charrnn.kernels.network import Doubles, Floats, Network

_CHARACTERS_AT_ONCE = 1 << 16
_MOST_ROWS = 128
_SHORT = 16


class Reading:
    """A single row: a text in parts, the state carried from each to the next.

    Args:
        reader: the network.
        start: an id to read first, unscored; None charges the first character log(V).
    """

    def __init__(self, reader: Reader, start: int | None = None) -> None:
        self._reader = reader
        self._states = reader.fresh(1)
        self._last = start

    def cost(self, ids: Ids) -> Doubles:
        """The nats (N,) of the next ids (N,).

        Raises:
            CheckpointError: the model's predictions are not finite.
        """
        known = [] if self._last is None else [self._last]
        sequence = np.concatenate((np.array(known, np.int64), ids))[:, None]
        nats = np.full(len(ids), math.log(self._reader.characters))
        if len(sequence) > 1:
            scored, self._states = self._reader.score(sequence[:-1], sequence[1:], self._states)
            nats[len(nats) - len(scored) :] = _finite(scored)[:, 0]
        if len(sequence):
            self._last = int(sequence[-1, 0])
        return nats


def cost_afresh(reader: Reader, ids: Ids, bounds: NDArray[np.int64], start: int | None) -> Doubles:
    """The nats (N,) of texts, each read from an empty state, the longest first and with their like.

    Args:
        reader: the network.
        ids: all of them, shape (N,).
        bounds: where each begins, and after the last N.
        start: as :class:`Reading` has it.

    Raises:
        CheckpointError: the model's predictions are not finite.
    """
    begins, lengths = bounds[:-1], np.diff(bounds)
    nats = np.full(len(ids), math.log(reader.characters))
    order = np.argsort(-lengths, kind="stable")
    while len(order) and lengths[order[0]]:
        near = 2 * lengths[order[:_MOST_ROWS]] + _SHORT >= lengths[order[0]]
        texts, order = order[: near.sum()], order[near.sum() :]
        steps = np.arange(lengths[texts[0]])[:, None]
        inside, places = steps < lengths[texts], begins[texts] + steps
        rows = np.where(inside, ids[np.minimum(places, len(ids) - 1)], 0).astype(np.int64)
        begun = np.full((int(start is not None), len(texts)), start or 0)
        read = np.concatenate((begun, rows))
        unscored = 1 - len(begun)
        if len(read) > 1:
            found, _ = reader.score(read[:-1], read[1:], reader.fresh(len(texts)))
            inside, places = inside[unscored:], places[unscored:]
            nats[places[inside]] = _finite(found[inside])
    return nats


def score_records(reader: Reader, ids: Ids, end: int) -> Iterator[tuple[float, int]]:
    """The nats of some more of a text of records, and how many characters they are.

    Args:
        reader: the network.
        ids: the text, shape (N,), as ``data/records.py`` has it; N - 1 are scored, ends included.
        end: the id that ends a record.

    Raises:
        CheckpointError: the model's predictions are not finite.
    """
    marks = np.flatnonzero(ids == end) + 1
    first = 0
    while first < len(marks) - 1:
        last = int(np.searchsorted(marks, marks[first] + _CHARACTERS_AT_ONCE))
        bounds = marks[first : max(last, first + 2)]
        nats = cost_afresh(reader, ids[bounds[0] : bounds[-1]], bounds - bounds[0], end)
        yield float(nats.sum()), len(nats)
        first += len(bounds) - 1


def _finite(nats: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(nats).all():
        raise CheckpointError(NOT_FINITE)
    return nats


JOINED = 1e-6
"""Difference of two states that have joined, in parts of the largest value of a layer's state."""

PATIENCE = 8192
"""Characters that streams score again side by side; what has not joined by then goes on alone."""

_MOST_STREAMS = 64
_LEAST_CHARACTERS = 4096
_STREAM_CHARACTERS_AT_ONCE = 1 << 14
_FIRST_MARK = 64


class Part(NamedTuple):
    """Some of a text's scores: their sum, and how many they are.

    A part of no characters corrects what came before.
    """

    nats: float
    characters: int


def evaluate(network: Network, ids: Ids, alphabet: Alphabet, threads: int = 1) -> Score:
    """Score a whole text; see :func:`score`."""
    tally = Tally(ids, len(alphabet))
    for part in score(network, ids, threads):
        tally.add(*part)
    return tally.score(alphabet)


def streams_for(characters: int) -> int:
    """How many streams a text is long enough for."""
    return max(1, min(_MOST_STREAMS, characters // _LEAST_CHARACTERS))


def score(
    network: Network, ids: Ids, threads: int = 1, streams: int | None = None
) -> Iterator[Part]:
    """The nats of every character but the first, N - 1 of them together.

    Args:
        network: of a model whose ids these are.
        ids: the text, shape (N,), N >= 1.
        threads: among which the streams are shared out.
        streams: side by side; None takes :func:`streams_for` of them.
    """
    targets = len(ids) - 1
    count = streams or streams_for(targets)
    reading = _Reading(network, ids, count, threads)
    yield from reading.score_once()
    if math.isfinite(reading.nats):
        before = reading.nats
        reading.hand_over()
        yield Part(reading.nats - before, 0)
    tail = np.arange(count * reading.length, targets)
    last = np.ascontiguousarray(reading.ends[:, :, -1:])
    for positions in np.array_split(tail, -(-len(tail) // _STREAM_CHARACTERS_AT_ONCE) or 1):
        yield Part(float(reading.score(positions[:, None], last).sum()), len(positions))


def score_windows(network: Network, ids: Ids, window: int, threads: int = 1) -> Iterator[Part]:
    """As :func:`score`, the state forgotten after every ``window`` characters.

    So does a transformer of that context score a text that it reads block by block.
    """
    for positions in split_into_windows(len(ids) - 1, window):
        states = network.fresh_states(positions.shape[1])
        steps = max(_STREAM_CHARACTERS_AT_ONCE // positions.shape[1], 1)
        for begin in range(0, len(positions), steps):
            block = positions[begin : begin + steps]
            nats = network.score(ids[block], ids[block + 1], states, threads)
            yield Part(float(nats.sum()), nats.size)


class _Reading:
    """A text as several streams read it.

    Attributes:
        length: characters that each stream scores.
        marks: places where states are compared, from 0 to ``length``.
        recorded: the states (L, parts, S, H) at each mark but the first, when first scored.
        first: nats (marks - 1, S) between marks, when first scored.
        final: the same as they came out in the end.
        ends: the states after each stream's last character.
    """

    def __init__(self, network: Network, ids: Ids, streams: int, threads: int) -> None:
        self._network, self._ids, self._threads = network, ids, threads
        self.length = (len(ids) - 1) // streams
        self._starts = np.arange(streams) * self.length
        self.marks = [0]
        while self.marks[-1] < self.length:
            step = max(_FIRST_MARK, self.marks[-1] // 4)
            self.marks.append(min(self.marks[-1] + step, self.length))
        self.recorded: list[Floats] = []
        self.first = np.zeros((len(self.marks) - 1, streams))
        self.final = self.first
        self.ends = network.fresh_states(streams)

    @property
    def nats(self) -> float:
        """The sum as far as it is known."""
        return math.fsum(self.final.flat)

    def score(self, positions: NDArray[np.int64], states: Floats) -> Doubles:
        """Nats of what follows each position (T, R); the states move on."""
        return self._network.score(
            self._ids[positions], self._ids[positions + 1], states, self._threads
        )

    def score_once(self) -> Iterator[Part]:
        """The first pass of all streams, each from an empty state."""
        streams = np.arange(len(self._starts))
        for place in range(len(self.marks) - 1):
            for nats in self._between(place, streams, self.ends):
                self.first[place] += nats.sum(0)
                yield Part(float(nats.sum()), nats.size)
            if len(streams) > 1:
                self.recorded.append(self.ends.copy())
        self.final = self.first.copy()

    def hand_over(self) -> None:
        """Give each stream the true state to start from, and put its scores right."""
        streams = np.arange(1, len(self._starts))
        states = np.ascontiguousarray(self.ends[:, :, :-1])
        last = len(self.marks) - 1
        patient = next((n for n, mark in enumerate(self.marks) if mark >= PATIENCE), last)
        reached = self._score_again(streams, states, 0, patient)
        moved = False
        for stream in map(int, streams):
            one = np.array([stream])
            if moved:
                start = np.ascontiguousarray(self.ends[:, :, stream - 1 : stream])
                moved = bool(self._score_again(one, start, 0))
            elif stream in reached:
                moved = bool(self._score_again(one, reached[stream], patient))

    def _score_again(
        self, streams: NDArray[np.int64], states: Floats, begin: int, end: int | None = None
    ) -> dict[int, Floats]:
        """Score streams from a mark on until they join what they were at first.

        Returns:
            The states (L, parts, 1, H), at the last mark, of those that have not joined.
        """
        last = len(self.marks) - 1 if end is None else end
        for place in range(begin, last):
            if not len(streams):
                break
            nats = self._between(place, streams, states)
            self.final[place, streams] = sum(block.sum(0) for block in nats)
            joined = _joined(states, self.recorded[place][:, :, streams])
            self.final[place + 1 :, streams[joined]] = self.first[place + 1 :, streams[joined]]
            self.ends[:, :, streams[joined]] = self.recorded[-1][:, :, streams[joined]]
            streams, states = streams[~joined], np.ascontiguousarray(states[:, :, ~joined])
        if last == len(self.marks) - 1:
            self.ends[:, :, streams] = states
        return {
            int(stream): np.ascontiguousarray(states[:, :, row : row + 1])
            for row, stream in enumerate(streams)
        }

    def _between(self, place: int, streams: NDArray[np.int64], states: Floats) -> Iterator[Doubles]:
        """Nats (T, R) of some streams from a mark to the next, block by block."""
        begin, end = self.marks[place : place + 2]
        window = max(_STREAM_CHARACTERS_AT_ONCE // len(streams), 1)
        for step in range(begin, end, window):
            steps = np.arange(step, min(step + window, end))[:, None]
            yield self.score(steps + self._starts[streams], states)


def _joined(states: Floats, recorded: Floats) -> NDArray[np.bool_]:
    """Of each row of two states (L, parts, R, H), whether they have joined."""
    apart = np.abs(states - recorded).max(-1)
    joined: NDArray[np.bool_] = (apart <= JOINED * np.abs(recorded).max(-1)).all((0, 1))
    return joined
