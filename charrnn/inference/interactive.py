"""Write a text by turns: a person adds symbols, a model continues, and every turn can be undone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import RECORD_END, Alphabet, Ids, encode_default_prime
from charrnn.data.records import find_separator
from charrnn.inference.backend import Backend, State
from charrnn.inference.sampling import Pace, filters_of

MOST_STEPS_BACK = 1000
"""Additions that can be undone. Each holds a state of the model, and a pipe may bring millions."""


class Place(NamedTuple):
    """A model's place in a text: the state before the last id, and that id.

    Attributes:
        state: of one row.
        unread: the last id, shape (1,), or (0,) before any text.
    """

    state: State
    unread: Ids


def read(backend: Backend, place: Place, ids: Ids) -> Place:
    """Read some more ids, shape (N,), and return the place after them."""
    ids = np.concatenate([place.unread, ids])
    return Place(backend.read(ids[:-1, None], place.state), ids[-1:])


def write(
    backend: Backend,
    place: Place,
    start: Ids,
    config: SampleConfig,
    generator: np.random.Generator,
) -> Iterator[tuple[Ids, Place]]:
    """Draw ``config.length`` ids in pieces (N,), and yield each with the place after it.

    Args:
        backend: the model.
        place: the start, which stays as it is.
        start: the id, shape (1,), that is read first where there is no text yet.
        config: the number of characters and the distribution that they are drawn from.
        generator: of the uniform numbers.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    filters = filters_of(config)
    state, last = place.state, place.unread if len(place.unread) else start
    left, pace = config.length, Pace()
    while left:
        with pace.next(left) as count:
            drawn, state = backend.draw(last, generator.random((1, count)), state, filters)
        last, left = drawn[0, -1:], left - count
        yield drawn[0], Place(state, last)


@dataclass(frozen=True)
class _Moment:
    """The text after a turn: the first ``count`` of its parts, and whether the turn was drawn."""

    parts: list[str]
    count: int
    place: Place
    drawn: bool


class Play:
    """A text with the model's place at its end, and with the turns that led there.

    The text and the place belong together even if a call is interrupted. A model of records ends a
    continuation with its record; the next symbols begin another one, from a fresh state. The text
    shows the separator of the records in place of each end.

    Args:
        backend: of a model with this alphabet.
        alphabet: the model's.
        seed: at least 0; see :meth:`reseed`.
        records: the kind of records that the model was trained on, see ``data/records.py``; None
            for a continuous text.
    """

    def __init__(
        self, backend: Backend, alphabet: Alphabet, seed: int, records: str | None = None
    ) -> None:
        self._backend = backend
        self._alphabet = alphabet
        self._separator = None if records is None else alphabet.symbols(find_separator(records))
        self._beginning = Place(backend.initial_state(1), encode_default_prime(alphabet)[:0])
        self._end = -1
        if records is not None:
            end = alphabet.encode(RECORD_END)
            self._beginning, self._end = read(backend, self._beginning, end), int(end[0])
        self._moments: deque[_Moment] = deque(maxlen=MOST_STEPS_BACK + 1)
        self.reseed(seed)
        self.begin_anew()

    @property
    def text(self) -> str:
        """The symbols so far."""
        now = self._moments[-1]
        return "".join(now.parts[: now.count])

    @property
    def ends_drawn(self) -> bool:
        """True if the last turn was a continuation."""
        return self._moments[-1].drawn

    def reseed(self, seed: int) -> None:
        """Set the seed, and number the continuations that follow from 0.

        Continuation i depends on the text, the settings, the seed and i alone: it is sample i of
        the seed after the same text. A text that began with a continuation is read as if it stood
        at the beginning of a line.
        """
        self._seed = seed
        self._draws = 0

    def begin_anew(self) -> None:
        """Begin an empty text; the turn can be undone."""
        self._moments.append(_Moment([], 0, self._beginning, drawn=False))

    def add(self, symbols: str, unknown: str = "error") -> str:
        """Let the model read some symbols, and return those that became part of the text.

        Args:
            symbols: text as :meth:`Alphabet.symbols` spells it, with separators between records.
            unknown: the treatment of a character that the alphabet lacks: error, skip or replace.

        Raises:
            UnknownCharacterError: the alphabet lacks a character. The text is as it was.
        """
        ids = self._alphabet.encode(self._with_ends(symbols), unknown)
        if not len(ids):
            return ""
        added = self._shown(ids)
        now = self._moments[-1]
        ends = np.flatnonzero(ids == self._end)
        place, unread = (self._beginning, ids[ends[-1] + 1 :]) if len(ends) else (now.place, ids)
        self._moments.append(_grown(now, added, read(self._backend, place, unread), drawn=False))
        return added

    def count_unknown(self, symbols: str) -> int:
        """Count the symbols that the alphabet lacks."""
        return self._alphabet.count_unknown(self._with_ends(symbols))

    def go_on(self, config: SampleConfig) -> Iterator[str]:
        """Let the model continue, and yield symbols that have become part of the text.

        Raises:
            PredictionError: the model's predictions are not finite.
        """
        generator = np.random.default_rng([self._seed, self._draws])
        self._draws += 1
        now = self._moments[-1]
        start = encode_default_prime(self._alphabet)
        pieces = write(self._backend, now.place, start, config, generator)
        for number, (drawn, after) in enumerate(pieces):
            ends = np.flatnonzero(drawn == self._end)
            ids, place = (drawn[: ends[0] + 1], self._beginning) if len(ends) else (drawn, after)
            symbols = self._shown(ids)
            now = _grown(now, symbols, place, drawn=True)
            if number:
                self._moments[-1] = now
            else:
                self._moments.append(now)
            yield symbols
            if len(ends):
                return

    def take_back(self) -> bool:
        """Undo the last turn, and return whether there was one."""
        if len(self._moments) == 1:
            return False
        self._moments.pop()
        return True

    def _with_ends(self, symbols: str) -> str:
        """Replace each separator by an end, which the model knows."""
        return symbols.replace(self._separator, RECORD_END) if self._separator else symbols

    def _shown(self, ids: Ids) -> str:
        """Decode ids, with a separator in place of each end."""
        symbols = self._alphabet.decode(ids)
        return symbols.replace(RECORD_END, self._separator) if self._separator else symbols


def _grown(moment: _Moment, symbols: str, place: Place, *, drawn: bool) -> _Moment:
    """Append symbols to a moment; parts that followed it and were undone are forgotten."""
    parts = moment.parts
    del parts[moment.count :]
    parts.append(symbols)
    return _Moment(parts, moment.count + 1, place, drawn)
