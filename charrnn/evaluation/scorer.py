"""Score texts through any backend: one with the state carried, in windows, or many side by side.

One text is read by streams side by side, with an exact hand-over of their states:

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

from charrnn.data.alphabet import Ids
from charrnn.data.encoded_text import RecordText
from charrnn.errors import PredictionError
from charrnn.evaluation.metrics import split_into_windows
from charrnn.inference.backend import Backend, BackendState
from charrnn.kernels.network import Doubles

_CHARACTERS_AT_ONCE = 1 << 16
_POSITIONS_AT_ONCE = 1 << 18
_MOST_ROWS = 128
_SHORT = 16


class Part(NamedTuple):
    """The sum of some characters' scores, and their number.

    A part of no characters corrects the parts before it.
    """

    nats: float
    characters: int


class Reading:
    """Reads one text part by part, and carries the state from each to the next.

    Args:
        backend: the network.
        start: an id to read first, unscored; None charges the first character log(V).
    """

    def __init__(self, backend: Backend, start: int | None = None) -> None:
        self._backend = backend
        self._state = backend.initial_state(1)
        self._last = start

    def cost(self, ids: Ids) -> Doubles:
        """Return the nats (N,) of the next ids (N,).

        Raises:
            PredictionError: the model's predictions are not finite.
        """
        known = [] if self._last is None else [self._last]
        sequence = np.concatenate((np.array(known, np.int64), ids))[:, None]
        nats = np.full(len(ids), math.log(self._backend.characters))
        if len(sequence) > 1:
            scored, self._state = self._backend.score(sequence[:-1], sequence[1:], self._state)
            nats[len(nats) - len(scored) :] = _finite(scored)[:, 0]
        if len(sequence):
            self._last = int(sequence[-1, 0])
        return nats


def cost_afresh(
    backend: Backend, ids: Ids, bounds: NDArray[np.int64], start: int | None
) -> Doubles:
    """Return the nats (N,) of many texts, each read from an empty state.

    Texts of similar length are read side by side, the longest first.

    Args:
        backend: the network.
        ids: all of them, shape (N,).
        bounds: the position where each begins, and N.
        start: an id to read before each; see :class:`Reading`.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    return _finite(_cost_afresh(backend, ids, bounds, start))


def _cost_afresh(
    backend: Backend, ids: Ids, bounds: NDArray[np.int64], start: int | None
) -> Doubles:
    begins, lengths = bounds[:-1], np.diff(bounds)
    nats = np.full(len(ids), math.log(backend.characters))
    order = np.argsort(-lengths, kind="stable")
    while len(order) and lengths[order[0]]:
        near = 2 * lengths[order[:_MOST_ROWS]] + _SHORT >= lengths[order[0]]
        texts, order = order[: near.sum()], order[near.sum() :]
        state, longest = backend.initial_state(len(texts)), int(lengths[texts[0]])
        before = np.full((int(start is not None), len(texts)), start or 0)
        at_once = max(_POSITIONS_AT_ONCE // len(texts), 1)
        for begin in range(0, longest, at_once):
            steps = np.arange(begin, min(begin + at_once, longest))[:, None]
            inside, places = steps < lengths[texts], begins[texts] + steps
            rows = np.where(inside, ids[np.minimum(places, len(ids) - 1)], 0).astype(np.int64)
            read = np.concatenate((before, rows))
            unscored = 1 - len(before)
            if len(read) > 1:
                found, state = backend.score(read[:-1], read[1:], state)
                inside, places = inside[unscored:], places[unscored:]
                nats[places[inside]] = found[inside]
            before = rows[-1:]
    return nats


def score_records(backend: Backend, text: RecordText) -> Iterator[Part]:
    """Score a text of records part by part, each record from an empty state.

    A record that is longer than a part is read by itself, with its state carried on.

    Args:
        backend: the network.
        text: of N characters, of which N - 1 are scored, ends included.
    """
    ids, marks = text.ids, text.starts() + 1
    first = 0
    while first < len(marks) - 1:
        last = int(np.searchsorted(marks, marks[first] + _CHARACTERS_AT_ONCE))
        if last < first + 2:
            state = backend.initial_state(1)
            for begin in range(marks[first] - 1, marks[first + 1] - 1, _CHARACTERS_AT_ONCE):
                end = min(begin + _CHARACTERS_AT_ONCE, marks[first + 1] - 1)
                read = ids[begin : end + 1, None]
                nats, state = backend.score(read[:-1], read[1:], state)
                yield Part(float(nats.sum()), len(nats))
            first += 1
            continue
        bounds = marks[first:last]
        nats = _cost_afresh(backend, ids[bounds[0] : bounds[-1]], bounds - bounds[0], text.end)
        yield Part(float(nats.sum()), len(nats))
        first += len(bounds) - 1


def _finite(nats: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(nats).all():
        raise PredictionError
    return nats


PATIENCE = 8192
"""Characters that streams score again side by side; those that have not joined go on alone."""

LEAST_CHARACTERS = 4096
"""Characters that each stream scores at least, unless told otherwise."""

_MOST_STREAMS = 64
_MOST_NUMBERS = 1 << 22
"""Numbers in the states of all streams together, which are kept at each mark."""

_STREAM_CHARACTERS_AT_ONCE = 1 << 14
_FIRST_MARK = 64


def streams_for(characters: int, state_size: int = 1, least: int = LEAST_CHARACTERS) -> int:
    """Return the number of streams that a text is long enough for.

    Args:
        characters: of the text.
        state_size: numbers in the state of each stream.
        least: characters of each stream, at least.
    """
    most = min(_MOST_STREAMS, _MOST_NUMBERS // max(state_size, 1))
    return max(1, min(most, characters // least))


def score(
    backend: Backend, ids: Ids, streams: int | None = None, *, again: int | None = None
) -> Iterator[Part]:
    """Score every character of a text but the first, part by part.

    Args:
        backend: of a model whose ids these are.
        ids: the text, shape (N,), N >= 1.
        streams: side by side; None takes :func:`streams_for` of them.
        again: a bound on the characters of each stream that are scored again, joined or not; None
            scores on until the sum is that of a single stream.
    """
    targets = len(ids) - 1
    count = streams or streams_for(targets, backend.state_size)
    length = targets // count
    if count > 1:
        length -= length % backend.alignment
    if not length:
        count, length = 1, targets
    reading = _Streams(backend, ids, count, length)
    yield from reading.score_once()
    if count > 1 and math.isfinite(reading.nats):
        before = reading.nats
        reading.hand_over(again)
        yield Part(reading.nats - before, 0)
    tail = np.arange(count * length, targets)
    state = reading.ends[-1]
    for positions in np.array_split(tail, -(-len(tail) // _STREAM_CHARACTERS_AT_ONCE) or 1):
        nats, state = reading.score(positions[:, None], state)
        yield Part(float(nats.sum()), len(positions))


def score_windows(backend: Backend, ids: Ids, window: int) -> Iterator[Part]:
    """Score as :func:`score` does, with the state reset after every ``window`` characters.

    A transformer of that context scores a text so if it reads it block by block.
    """
    for positions in split_into_windows(len(ids) - 1, window):
        state = backend.initial_state(positions.shape[1])
        steps = max(_STREAM_CHARACTERS_AT_ONCE // positions.shape[1], 1)
        for begin in range(0, len(positions), steps):
            block = positions[begin : begin + steps]
            nats, state = backend.score(ids[block], ids[block + 1], state)
            yield Part(float(nats.sum()), nats.size)


class _Streams:
    """The scores of a text that several streams read side by side.

    Args:
        backend: the network.
        ids: the text, shape (N,).
        streams: S.
        length: characters that each stream scores.

    Attributes:
        marks: positions in a stream where states are compared, from 0 to ``length``.
        recorded: the state of all S streams at each mark but the first, in the first pass.
        first: nats (marks - 1, S) between marks, in the first pass.
        final: the same after the hand-over.
        ends: each stream's state, of one row, after its last character.
    """

    def __init__(self, backend: Backend, ids: Ids, streams: int, length: int) -> None:
        self._backend, self._ids = backend, ids
        self._starts = np.arange(streams) * length
        self.marks = [0]
        while self.marks[-1] < length:
            step = max(_FIRST_MARK, self.marks[-1] // 4)
            self.marks.append(min(self.marks[-1] + step, length))
        self.recorded: list[BackendState] = []
        self.first = np.zeros((len(self.marks) - 1, streams))
        self.final = self.first
        self.ends: list[BackendState] = []

    @property
    def nats(self) -> float:
        """The sum so far."""
        return math.fsum(self.final.flat)

    def score(
        self, positions: NDArray[np.int64], state: BackendState
    ) -> tuple[Doubles, BackendState]:
        """Score the characters after each position (T, R); return the nats and the state."""
        return self._backend.score(self._ids[positions], self._ids[positions + 1], state)

    def score_once(self) -> Iterator[Part]:
        """Make the first pass of all streams, each from an empty state."""
        streams = np.arange(len(self._starts))
        state = self._backend.initial_state(len(streams))
        for place in range(len(self.marks) - 1):
            for positions in self._between(place, streams):
                nats, state = self.score(positions, state)
                self.first[place] += nats.sum(0)
                yield Part(float(nats.sum()), nats.size)
            if len(streams) > 1:
                self.recorded.append(state)
        self.final = self.first.copy()
        self.ends = [self._row(state, stream) for stream in range(len(streams))]

    def hand_over(self, again: int | None) -> None:
        """Give each stream the true state to start from, and correct its scores.

        Args:
            again: see :func:`score`; with None, streams that have not joined after PATIENCE
                characters go on alone.
        """
        patience = PATIENCE if again is None else again
        streams = np.arange(1, len(self._starts))
        state = self._backend.select(self.recorded[-1], streams - 1)
        last = len(self.marks) - 1
        patient = next((n for n, mark in enumerate(self.marks) if mark >= patience), last)
        reached = self._score_again(streams, state, 0, patient)
        moved = False
        for stream in map(int, streams) if again is None else ():
            one = np.array([stream])
            if moved:
                moved = bool(self._score_again(one, self.ends[stream - 1], 0, last))
            elif stream in reached:
                moved = bool(self._score_again(one, reached[stream], patient, last))

    def _score_again(
        self, streams: NDArray[np.int64], state: BackendState, begin: int, end: int
    ) -> dict[int, BackendState]:
        """Score streams again between two marks, or until they join their first states.

        Returns:
            The states, of one row, of those that have not joined.
        """
        for place in range(begin, end):
            if not len(streams):
                break
            self.final[place, streams] = 0
            for positions in self._between(place, streams):
                nats, state = self.score(positions, state)
                self.final[place, streams] += nats.sum(0)
            recorded = self._backend.select(self.recorded[place], streams)
            joined = self._backend.joined(state, recorded)
            for stream in streams[joined]:
                self.final[place + 1 :, stream] = self.first[place + 1 :, stream]
                self.ends[stream] = self._row(self.recorded[-1], stream)
            streams, left = streams[~joined], np.flatnonzero(~joined)
            state = self._backend.select(state, left)
        reached = {int(stream): self._row(state, row) for row, stream in enumerate(streams)}
        if end == len(self.marks) - 1:
            for stream, after in reached.items():
                self.ends[stream] = after
        return reached

    def _row(self, state: BackendState, row: int) -> BackendState:
        return self._backend.select(state, np.array([row]))

    def _between(self, place: int, streams: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Yield the positions (T, R) of some streams from a mark to the next, block by block."""
        begin, end = self.marks[place : place + 2]
        window = max(_STREAM_CHARACTERS_AT_ONCE // len(streams), 1)
        for step in range(begin, end, window):
            steps = np.arange(step, min(step + window, end))[:, None]
            yield steps + self._starts[streams]
