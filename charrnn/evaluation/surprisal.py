"""What each character of a text costs, as the text comes.

Two ways of reading. *Carried*, the text is one: the state goes from the first character to the
last, the first is charged log(V) as ``metrics.py`` says, and the costs add up to the score of the
whole text. *Afresh*, every line is a text of its own: it is read from an empty state after a
newline, the newline that ends it included, so that its cost depends on nothing around it and lines
are read side by side. A model that knows no newline is charged log(V) for a line's first character.
Records (``data/records.py``) are read so too, with their own end for a newline.

In whatever chunks the text comes, and whatever is read side by side, a character's cost is the
same as far as the network's rows are independent. What is held of a text is bounded.

The units that a measured text is told in: lines, or so many characters.

What a model expected where a text surprised it most.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import RECORD_END, Alphabet, Ids, code_points
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.evaluation.scorer import Reading, cost_afresh
from charrnn.inference.backend import Backend
from charrnn.kernels.network import Doubles

NEWLINE = "\n"

CHARACTERS_AT_ONCE = 1 << 16
"""Of a text that are held, the line that has not ended yet aside, which may be as long again."""


class Measured(NamedTuple):
    """Some more of a text: its symbols, and the nats (N,) of each; NaN where it is not scored."""

    symbols: str
    nats: Doubles


class Meter:
    """Measures a text.

    Args:
        backend: the network.
        alphabet: its characters.
        unknown: what becomes of a character that the alphabet lacks: error, skip or replace.
        newline: the character that ends a line, or whatever is read afresh.

    Attributes:
        unknown: such characters so far.
    """

    def __init__(
        self, backend: Backend, alphabet: Alphabet, unknown: str = "error", newline: str = NEWLINE
    ) -> None:
        self._backend, self._alphabet, self._choice = backend, alphabet, unknown
        self._ending = newline
        self._newline = alphabet.characters.find(newline)
        self._read = 0
        self.unknown = 0

    def measure(self, chunks: Iterable[str]) -> Iterator[Measured]:
        """The costs with the state carried.

        Raises:
            UnknownCharacterError: the text has one, and ``unknown`` is error.
            PredictionError: the model's predictions are not finite.
        """
        reading = Reading(self._backend)
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
        return Reading(self._backend, self._newline if self._newline >= 0 else None)

    def _go_on(self, reading: Reading, symbols: str, *, separators: bool) -> Measured:
        ids, scored = self._encode(symbols, separators=separators)
        return _spread(symbols, scored, reading.cost(ids[scored]))

    def _measure_side_by_side(self, symbols: str) -> Measured:
        """The costs of whole lines."""
        ids, scored = self._encode(symbols, separators=True)
        ends = np.flatnonzero(code_points(symbols) == ord(self._ending)) + 1
        bounds = np.concatenate(([0], scored.cumsum()[ends - 1]))
        start = self._newline if self._newline >= 0 else None
        return _spread(symbols, scored, cost_afresh(self._backend, ids[scored], bounds, start))

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


def _slices(chunks: Iterable[str]) -> Iterator[str]:
    for chunk in chunks:
        for begin in range(0, len(chunk), CHARACTERS_AT_ONCE):
            yield chunk[begin : begin + CHARACTERS_AT_ONCE]


def _spread(symbols: str, scored: NDArray[np.bool_], nats: Doubles) -> Measured:
    """Nats of the scored symbols, each at its symbol's place."""
    spread = np.full(len(symbols), np.nan)
    spread[scored] = nats
    return Measured(symbols, spread)


class Part(NamedTuple):
    """A unit of a text, or some of it: its symbols, their nats, and whether the unit ends here."""

    symbols: str
    nats: Doubles
    last: bool


Ends = Callable[[str, int], Iterable[int]]
"""Ends(symbols, begun): where units end among some symbols, after each; ``begun`` is how many
characters the first unit had before them."""


def ends_of_lines(symbols: str, begun: int) -> Iterator[int]:  # noqa: ARG001
    """A line ends after its newline."""
    return (found.end() for found in re.finditer(NEWLINE, symbols))


def ends_of_records(symbols: str, begun: int) -> Iterator[int]:  # noqa: ARG001
    """A record ends after its RECORD_END."""
    return (found.end() for found in re.finditer(RECORD_END, symbols))


def ends_of_windows(size: int) -> Ends:
    """So many characters make a unit."""
    return lambda symbols, begun: range(size - begun, len(symbols) + 1, size)


def cut(measured: Iterable[Measured], ends: Ends) -> Iterator[Part]:
    """The same text in units; what is left at its end is one too."""
    begun = 0
    for symbols, nats in measured:
        begin = 0
        for end in ends(symbols, begun):
            yield Part(symbols[begin:end], nats[begin:end], last=True)
            begin, begun = end, 0
        if begin < len(symbols):
            yield Part(symbols[begin:], nats[begin:], last=False)
            begun += len(symbols) - begin
    if begun:
        yield Part("", np.empty(0), last=True)


_CHARACTERS_AT_ONCE = 1 << 14


class Expectation(NamedTuple):
    """What was expected at a place of a text.

    Attributes:
        position: of the character that came, counted from 0.
        likeliest: ids with their probabilities, the likeliest first.
    """

    position: int
    likeliest: tuple[tuple[int, float], ...]


def measure(backend: Backend, text: EncodedText) -> Doubles:
    """Measure the surprisal of every character of a text in nats, shape (N,).

    The first character of a continuous text is charged log(V), the end before all records 0.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    match text:
        case ContinuousText(ids):
            reading = Reading(backend)
            blocks = range(0, len(ids), _CHARACTERS_AT_ONCE)
            costs = [reading.cost(ids[begin : begin + _CHARACTERS_AT_ONCE]) for begin in blocks]
            return np.concatenate([np.empty(0), *costs])
        case RecordText():
            nats = cost_afresh(backend, text.scored, text.bounds(), text.end)
            return np.concatenate((np.zeros(text.unscored), nats))


def find_worst(nats: Doubles, count: int) -> NDArray[np.int64]:
    """Where the costs are highest, the worst first; the first character, of no choice, left out."""
    return np.argsort(-nats[1:], kind="stable")[:count] + 1


def expect(
    backend: Backend, text: EncodedText, positions: NDArray[np.int64], count: int
) -> list[Expectation]:
    """Find the likeliest characters at some positions of a text, in the order of the positions.

    Args:
        backend: the network.
        text: the text.
        positions: from 1 to N - 1.
        count: characters to name for each.
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
        found[position] = Expectation(position, _likeliest(logits[0, 0].astype(np.float64), count))
        at = position
    return [found[int(position)] for position in positions]


def _likeliest(logits: Doubles, count: int) -> tuple[tuple[int, float], ...]:
    weights = np.exp(logits - logits.max())
    probabilities = weights / weights.sum()
    order = np.argsort(-probabilities, kind="stable")[:count]
    return tuple((int(character), float(probabilities[character])) for character in order)
