"""A text that grows by turns: typed symbols, continuations of a model's, and the ways back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import RECORD_END, Alphabet, Ids, opening
from charrnn.data.records import find_separator
from charrnn.inference.backend import Backend, State
from charrnn.inference.sampling import Pace, filters_of

MOST_STEPS_BACK = 1000
"""Additions that can be taken back. Each costs a state of the model: a pipe may bring millions."""


class Place(NamedTuple):
    """A model's place in a text: the state before the last id, and that id.

    Attributes:
        state: of one row.
        unread: the last id, shape (1,), or (0,) before any text.
    """

    state: State
    unread: Ids


def read(backend: Backend, place: Place, ids: Ids) -> Place:
    """The place after some more ids, shape (N,)."""
    ids = np.concatenate([place.unread, ids])
    return Place(backend.read(ids[:-1, None], place.state), ids[-1:])


def write(
    backend: Backend,
    place: Place,
    start: Ids,
    config: SampleConfig,
    generator: np.random.Generator,
) -> Iterator[tuple[Ids, Place]]:
    """Draw ``config.length`` ids, a few at a time, each few (N,) with the place after them.

    Args:
        backend: the model.
        place: where it goes on; it can be gone back to.
        start: an id, shape (1,), that is read first before any text.
        config: how to draw, and how much.
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
    """The text at some time: the first ``count`` of its parts; and how it came to be so."""

    parts: list[str]
    count: int
    place: Place
    drawn: bool


class Play:
    """A text, its model's place at the end of it, and the moments before, to go back to.

    Whatever interrupts a call, the text and the place still belong together. Of a model of records
    a continuation ends where its record does, and what comes next begins another, with a fresh
    state. In the text such an end is what parts records.

    Args:
        backend: of a model with this alphabet.
        alphabet: the model's.
        seed: at least 0; see :meth:`reseed`.
        records: how the model's text was parted into records, see ``data/records.py``; None if
            it was one.
    """

    def __init__(
        self, backend: Backend, alphabet: Alphabet, seed: int, records: str | None = None
    ) -> None:
        self._backend = backend
        self._alphabet = alphabet
        self._separator = None if records is None else alphabet.symbols(find_separator(records))
        self._beginning = Place(backend.initial_state(1), opening(alphabet)[:0])
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
        """Whether what was added last was drawn."""
        return self._moments[-1].drawn

    def reseed(self, seed: int) -> None:
        """Number the draws to come from 0: draw i depends on the text, the settings, seed and i.

        It is sample i that ``charrnn sample`` draws with the seed after the same text; a text that
        began with a continuation is read as at the beginning of a line.
        """
        self._seed = seed
        self._draws = 0

    def begin_anew(self) -> None:
        """Set out from nothing; the text so far can be gone back to."""
        self._moments.append(_Moment([], 0, self._beginning, drawn=False))

    def add(self, symbols: str, unknown: str = "error") -> str:
        """Let the model read some more; what of it has become part of the text.

        Args:
            symbols: text as :meth:`Alphabet.symbols` spells it, records parted as the model's were.
            unknown: what to do with a character the alphabet lacks: error, skip or replace.

        Raises:
            UnknownCharacterError: a character it lacks. The text is as it was.
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
        """How many of some symbols the alphabet lacks."""
        return self._alphabet.count_unknown(self._with_ends(symbols))

    def go_on(self, config: SampleConfig) -> Iterator[str]:
        """Let the model go on, yielding symbols as they come: they are part of the text by then.

        Raises:
            PredictionError: the model's predictions are not finite.
        """
        generator = np.random.default_rng([self._seed, self._draws])
        self._draws += 1
        now = self._moments[-1]
        start = opening(self._alphabet)
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
        """Undo the last addition, typed or drawn; False where nothing is left to undo."""
        if len(self._moments) == 1:
            return False
        self._moments.pop()
        return True

    def _with_ends(self, symbols: str) -> str:
        """Typed symbols as the model knows them: an end in place of each separator."""
        return symbols.replace(self._separator, RECORD_END) if self._separator else symbols

    def _shown(self, ids: Ids) -> str:
        """Symbols as the text has them: a separator in place of each end."""
        symbols = self._alphabet.decode(ids)
        return symbols.replace(RECORD_END, self._separator) if self._separator else symbols


def _grown(moment: _Moment, symbols: str, place: Place, *, drawn: bool) -> _Moment:
    """The moment after some more symbols. What had followed it and was taken back is forgotten."""
    parts = moment.parts
    del parts[moment.count :]
    parts.append(symbols)
    return _Moment(parts, moment.count + 1, place, drawn)
