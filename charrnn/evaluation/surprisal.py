"""Surprisal: the negative log-likelihood of each character, and the characters expected instead.

A text is read in one of two ways. *Carried*, it is one text: the state goes from the first
character to the last, the first is charged log(V) as ``metrics.py`` describes, and the nats add up
to the score of the whole text. *Afresh*, every line is a text of its own: it is read from an empty
state after a newline, up to and including its own newline, so that its nats depend on nothing
around it and lines are read side by side. A model that knows no newline is charged log(V) for the
first character of a line. Records (``data/records.py``) are read as lines are, with RECORD_END in
the place of the newline.

A text may come in chunks of any size (:class:`Meter`), of which a bounded part is held. Neither the
chunks nor the texts that are read side by side change a character's nats, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Alphabet, Ids, to_code_points
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.evaluation.scorer import Reading, cost_afresh
from charrnn.inference.backend import Backend
from charrnn.kernels.network import Doubles

NEWLINE = "\n"

CHARACTERS_AT_ONCE = 1 << 16
"""Most characters of a text held in memory, and most of a line that has not ended."""


class Measured(NamedTuple):
    """A stretch of a text: its symbols, and the nats (N,) of each; NaN where one is not scored."""

    symbols: str
    nats: Doubles


class Expectation(NamedTuple):
    """The characters that were expected at a position of a text.

    Attributes:
        position: that of the character that came, from 0.
        likeliest: ids with their probabilities, in descending order.
    """

    position: int
    likeliest: tuple[tuple[int, float], ...]


class Meter:
    """Measures the surprisal of a text that comes in chunks.

    Args:
        backend: the model.
        alphabet: the model's.
        unknown: the treatment of a character that the alphabet lacks: error, skip or replace.
        ending: the character that ends a line, or a record.

    Attributes:
        unknown: characters so far that the alphabet lacks.
    """

    def __init__(
        self, backend: Backend, alphabet: Alphabet, unknown: str = "error", ending: str = NEWLINE
    ) -> None:
        self._backend, self._alphabet, self._choice = backend, alphabet, unknown
        self._ending = ending
        end = alphabet.characters.find(ending)
        self._start = end if end >= 0 else None
        self._read = 0
        self.unknown = 0

    def measure_carried(self, chunks: Iterable[str]) -> Iterator[Measured]:
        """Measure a text with the state carried.

        Raises:
            UnknownCharacterError: the text has one, and ``unknown`` is error; what stands before
                it has been measured.
            PredictionError: the model's predictions are not finite.
        """
        reading = Reading(self._backend)
        for symbols in self._take(chunks, separators=False):
            yield self._go_on(reading, symbols, separators=False)

    def measure_afresh(self, chunks: Iterable[str]) -> Iterator[Measured]:
        """Measure a text with every line, or record, read afresh.

        A line is yielded once it has ended, or has grown too long to be held.

        Raises:
            UnknownCharacterError: the text has one, and ``unknown`` is error; the lines before it
                have been measured.
            PredictionError: the model's predictions are not finite.
        """
        held: list[str] = []
        size, unfinished = 0, None
        for symbols in self._take(chunks, separators=True):
            begun = symbols.rfind(self._ending) + 1
            if begun:
                whole = "".join((*held, symbols[:begun]))
                held, size = [], 0
                if unfinished:
                    end = whole.find(self._ending) + 1
                    yield self._go_on(unfinished, whole[:end], separators=True)
                    whole, unfinished = whole[end:], None
                if whole:
                    yield self._measure_side_by_side(whole)
            held.append(symbols[begun:])
            size += len(symbols) - begun
            if size >= CHARACTERS_AT_ONCE:
                unfinished = unfinished or Reading(self._backend, self._start)
                yield self._go_on(unfinished, "".join(held), separators=True)
                held, size = [], 0
        if size:
            unfinished = unfinished or Reading(self._backend, self._start)
            yield self._go_on(unfinished, "".join(held), separators=True)

    def _take(self, chunks: Iterable[str], *, separators: bool) -> Iterator[str]:
        """Cut chunks into pieces; what stands before an unknown character comes before its error.

        Args:
            chunks: the text.
            separators: see :meth:`_encode`.
        """
        taken = 0
        for symbols in _split_chunks(chunks):
            if self._choice == "error":
                readable = self._mark_readable(symbols, separators=separators)
                if not readable.all():
                    bad = int(readable.argmin())
                    if bad:
                        yield symbols[:bad]
                    self._alphabet.encode(symbols[bad], start=taken + bad)
            taken += len(symbols)
            yield symbols

    def _mark_readable(self, symbols: str, *, separators: bool) -> NDArray[np.bool_]:
        """Mark the symbols, shape (N,), that the model knows, or that separate lines for it."""
        known = self._alphabet.knows(symbols)
        if separators and self._start is None:
            known |= to_code_points(symbols) == ord(self._ending)
        return known

    def _go_on(self, reading: Reading, symbols: str, *, separators: bool) -> Measured:
        ids, scored = self._encode(symbols, separators=separators)
        return _spread(symbols, scored, reading.cost(ids[scored]))

    def _measure_side_by_side(self, symbols: str) -> Measured:
        """Measure whole lines."""
        ids, scored = self._encode(symbols, separators=True)
        ends = np.flatnonzero(to_code_points(symbols) == ord(self._ending)) + 1
        bounds = np.concatenate(([0], scored.cumsum()[ends - 1]))
        nats = cost_afresh(self._backend, ids[scored], bounds, self._start)
        return _spread(symbols, scored, nats)

    def _encode(self, symbols: str, *, separators: bool) -> tuple[Ids, NDArray[np.bool_]]:
        """Encode the next symbols of the text.

        Args:
            symbols: N of them.
            separators: endings that the model does not know separate lines, and are not scored.

        Returns:
            Ids, shape (N,), and a mask (N,) of those that are scored.
        """
        separating = separators and self._start is None
        readable = (
            symbols.replace(self._ending, self._alphabet.replacement) if separating else symbols
        )
        choice = "replace" if self._choice == "skip" else self._choice
        ids = self._alphabet.encode(readable, choice, start=self._read)
        unknown = ~self._alphabet.knows(readable)
        scored = ~unknown if self._choice == "skip" else np.ones(len(symbols), np.bool_)
        if separating:
            scored &= to_code_points(symbols) != ord(self._ending)
        self._read += len(symbols)
        self.unknown += int(unknown.sum())
        return ids, scored


def _split_chunks(chunks: Iterable[str]) -> Iterator[str]:
    for chunk in chunks:
        for begin in range(0, len(chunk), CHARACTERS_AT_ONCE):
            yield chunk[begin : begin + CHARACTERS_AT_ONCE]


def _spread(symbols: str, scored: NDArray[np.bool_], nats: Doubles) -> Measured:
    """Put the nats of the scored symbols at the positions of their symbols."""
    spread = np.full(len(symbols), np.nan)
    spread[scored] = nats
    return Measured(symbols, spread)


def measure_surprisal(backend: Backend, text: EncodedText) -> Doubles:
    """Measure the surprisal of every character of a text in nats, shape (N,).

    The first character of a continuous text is charged log(V), the end before all records 0.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    match text:
        case ContinuousText(ids):
            reading = Reading(backend)
            begins = range(0, len(ids), CHARACTERS_AT_ONCE)
            blocks = [reading.cost(ids[begin : begin + CHARACTERS_AT_ONCE]) for begin in begins]
            return np.concatenate([np.empty(0), *blocks])
        case RecordText():
            nats = cost_afresh(backend, text.scored, text.bounds(), text.end)
            return np.concatenate((np.zeros(text.unscored), nats))


def find_worst(nats: Doubles, count: int) -> NDArray[np.int64]:
    """Find the positions of the ``count`` highest nats, in descending order, but not the first."""
    return np.argsort(-nats[1:], kind="stable")[:count] + 1


def find_expectations(
    backend: Backend, text: EncodedText, positions: NDArray[np.int64], count: int
) -> list[Expectation]:
    """Find the likeliest characters at some positions of a text, in the order of the positions.

    Args:
        backend: the model.
        text: N characters.
        positions: from 1 to N - 1.
        count: the number of characters for each position.
    """
    ids, starts = text.ids, text.starts()
    found = {}
    states, at = backend.initial_state(1), 0
    for position in sorted(map(int, positions)):
        before = starts[: np.searchsorted(starts, position)]
        if len(before) and before[-1] >= at:
            states, at = backend.initial_state(1), int(before[-1])
        states = backend.read(ids[at : position - 1, None], states)
        logits, states = backend.predict(ids[position - 1 : position, None], states)
        found[position] = Expectation(
            position, _find_likeliest(logits[0, 0].astype(np.float64), count)
        )
        at = position
    return [found[int(position)] for position in positions]


def _find_likeliest(logits: Doubles, count: int) -> tuple[tuple[int, float], ...]:
    weights = np.exp(logits - logits.max())
    probabilities = weights / weights.sum()
    order = np.argsort(-probabilities, kind="stable")[:count]
    return tuple((int(character), float(probabilities[character])) for character in order)
