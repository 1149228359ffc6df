"""What each character of a text costs, as the text comes.

Two ways of reading. *Carried*, the text is one: the state goes from the first character to the
last, the first is charged log(V) as ``tally.py`` says, and the costs add up to the score of the
whole text. *Afresh*, every line is a text of its own: it is read from an empty state after a
newline, the newline that ends it included, so that its cost depends on nothing around it and lines
are read side by side. A model that knows no newline is charged log(V) for a line's first character.
Records (``records.py``) are read so too, with their own end for a newline.

In whatever chunks the text comes, and whatever is read side by side, a character's cost is the
same as far as the network's rows are independent. What is held of a text is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.alphabet import Alphabet, Ids, code_points
from charrnn.errors import CheckpointError
from charrnn.tally import NOT_FINITE

NEWLINE = "\n"

CHARACTERS_AT_ONCE = 1 << 16
"""Of a text that are held, the line that has not ended yet aside, which may be as long again."""

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


class Measured(NamedTuple):
    """Some more of a text: its symbols, and the nats (N,) of each; NaN where it is not scored."""

    symbols: str
    nats: Doubles


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


class Meter:
    """Measures a text.

    Args:
        reader: the network.
        alphabet: its characters.
        unknown: what becomes of a character that the alphabet lacks: error, skip or replace.
        newline: the character that ends a line, or whatever is read afresh.

    Attributes:
        unknown: such characters so far.
    """

    def __init__(
        self, reader: Reader, alphabet: Alphabet, unknown: str = "error", newline: str = NEWLINE
    ) -> None:
        self._reader, self._alphabet, self._choice = reader, alphabet, unknown
        self._ending = newline
        self._newline = alphabet.characters.find(newline)
        self._read = 0
        self.unknown = 0

    def measure(self, chunks: Iterable[str]) -> Iterator[Measured]:
        """The costs with the state carried.

        Raises:
            UnknownCharacterError: the text has one, and ``unknown`` is error.
            CheckpointError: the model's predictions are not finite.
        """
        reading = Reading(self._reader)
        for symbols in _slices(chunks):
            yield self._go_on(reading, symbols, separators=False)

    def measure_lines(self, chunks: Iterable[str]) -> Iterator[Measured]:
        """The costs with every line read afresh; raises as :meth:`measure`.

        A line is yielded once it has ended, or has grown too long to be held.
        """
        held, unfinished = "", None
        for symbols in _slices(chunks):
            held += symbols
            end = held.rfind(self._ending) + 1
            whole, held = held[:end], held[end:]
            if whole and unfinished:
                end = whole.find(self._ending) + 1
                yield self._go_on(unfinished, whole[:end], separators=True)
                whole, unfinished = whole[end:], None
            if whole:
                yield self._measure_side_by_side(whole)
            if len(held) >= CHARACTERS_AT_ONCE:
                unfinished = unfinished or self._begin_line()
                yield self._go_on(unfinished, held, separators=True)
                held = ""
        if held:
            yield self._go_on(unfinished or self._begin_line(), held, separators=True)

    def _begin_line(self) -> Reading:
        return Reading(self._reader, self._newline if self._newline >= 0 else None)

    def _go_on(self, reading: Reading, symbols: str, *, separators: bool) -> Measured:
        ids, scored = self._encode(symbols, separators=separators)
        return _spread(symbols, scored, reading.cost(ids[scored]))

    def _measure_side_by_side(self, symbols: str) -> Measured:
        """The costs of whole lines."""
        ids, scored = self._encode(symbols, separators=True)
        ends = np.flatnonzero(code_points(symbols) == ord(self._ending)) + 1
        bounds = np.concatenate(([0], scored.cumsum()[ends - 1]))
        start = self._newline if self._newline >= 0 else None
        return _spread(symbols, scored, cost_afresh(self._reader, ids[scored], bounds, start))

    def _encode(self, symbols: str, *, separators: bool) -> tuple[Ids, NDArray[np.bool_]]:
        """Ids of symbols, shape (N,), and which of them are scored.

        Args:
            symbols: the next ones of the text.
            separators: whether newlines that the model does not know only part lines.
        """
        parting = separators and self._newline < 0
        spelt = symbols.replace(self._ending, self._alphabet.replacement) if parting else symbols
        choice = "replace" if self._choice == "skip" else self._choice
        ids = self._alphabet.encode(spelt, choice, start=self._read)
        unknown = ~self._alphabet.knows(spelt)
        scored = ~unknown if self._choice == "skip" else np.ones(len(symbols), np.bool_)
        if parting:
            scored &= code_points(symbols) != ord(self._ending)
        self._read += len(symbols)
        self.unknown += int(unknown.sum())
        return ids, scored


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
        last = int(np.searchsorted(marks, marks[first] + CHARACTERS_AT_ONCE))
        bounds = marks[first : max(last, first + 2)]
        nats = cost_afresh(reader, ids[bounds[0] : bounds[-1]], bounds - bounds[0], end)
        yield float(nats.sum()), len(nats)
        first += len(bounds) - 1


def _slices(chunks: Iterable[str]) -> Iterator[str]:
    for chunk in chunks:
        for begin in range(0, len(chunk), CHARACTERS_AT_ONCE):
            yield chunk[begin : begin + CHARACTERS_AT_ONCE]


def _spread(symbols: str, scored: NDArray[np.bool_], nats: Doubles) -> Measured:
    """Nats of the scored symbols, each at its symbol's place."""
    spread = np.full(len(symbols), np.nan)
    spread[scored] = nats
    return Measured(symbols, spread)


def _finite(nats: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(nats).all():
        raise CheckpointError(NOT_FINITE)
    return nats
