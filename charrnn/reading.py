"""What ids cost a network that reads them: as one text, part by part, or as many, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.alphabet import Ids
from charrnn.errors import CheckpointError
from charrnn.tally import NOT_FINITE

_CHARACTERS_AT_ONCE = 1 << 16
_MOST_ROWS = 128
_SHORT = 16

Doubles = NDArray[np.float64]


class Reader(Protocol):
    """A network that reads rows side by side. The caller owns the states.

    Attributes:
        characters: V, those it knows.
    """

    characters: int

    def fresh(self, rows: int) -> Any:
        """The states before any text."""

    def score(
        self, ids: NDArray[Any], targets: NDArray[Any], states: Any
    ) -> tuple[NDArray[Any], Any]:
        """Nats (T, R) of targets (T, R), what follows each of ids (T, R); the states after."""

    def predict(self, ids: NDArray[Any], states: Any) -> tuple[NDArray[Any], Any]:
        """Logits (T, R, V) of what follows each of ids (T, R); the states after."""


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
        ids: the text, shape (N,), as ``records.py`` has it; N - 1 are scored, ends included.
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
