"""Interactive writing: the user adds text, the model continues it, and turns can be undone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import RECORD_END, Alphabet, Ids, encode_default_prime
from charrnn.data.records import find_separator
from charrnn.inference.backend import Backend, BackendState
from charrnn.inference.sampling import Pace, build_filters

MOST_STEPS_BACK = 1000
"""The most turns that can be undone. Each stores a state, and a pipe may send millions of turns."""


class Cursor(NamedTuple):
    """A model's position in a text.

    Attributes:
        state: the state of one row, before the last id.
        unread: the last id, shape (1,), or (0,) before any text.
    """

    state: BackendState
    unread: Ids


def read_ids(backend: Backend, place: Cursor, ids: Ids) -> Cursor:
    """Read ids, shape (N,), and return the place after them."""
    ids = np.concatenate([place.unread, ids])
    return Cursor(backend.read(ids[:-1, None], place.state), ids[-1:])


def draw_ids(
    backend: Backend,
    place: Cursor,
    start: Ids,
    config: SampleConfig,
    generator: np.random.Generator,
) -> Iterator[tuple[Ids, Cursor]]:
    """Draw ``config.length`` ids in pieces (N,), and yield each with the place after it.

    Args:
        backend: runs the model.
        place: the place to start from; it is not changed.
        start: the id, shape (1,), that is read first if there is no text yet.
        config: the number of characters and the filters.
        generator: draws the uniform numbers.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    filters = build_filters(config)
    state, last = place.state, place.unread if len(place.unread) else start
    left, pace = config.length, Pace()
    while left:
        with pace.next(left) as count:
            drawn, state = backend.draw(last, generator.random((1, count)), state, filters)
        last, left = drawn[0, -1:], left - count
        yield drawn[0], Cursor(state, last)


@dataclass(frozen=True)
class _Moment:
    """The text after a turn.

    Attributes:
        parts: parts of the text, shared with other moments.
        count: number of parts that belong to this text.
        place: the model's place at the end of the text.
        drawn: True if the model wrote the turn.
    """

    parts: list[str]
    count: int
    place: Cursor
    drawn: bool


class Play:
    """A text that the user and the model write in turns.

    The text and the model's place stay consistent if a call is interrupted. A continuation by a
    model of records ends with the record, and the next symbols begin a new record from an initial
    state. The text shows the separator of the records in place of each end.

    Args:
        backend: runs the model.
        alphabet: the model's alphabet.
        seed: at least 0; see :meth:`reseed`.
        records: the separator of the model's records, see ``data/records.py``; None for a
            continuous text.
    """

    def __init__(
        self, backend: Backend, alphabet: Alphabet, seed: int, records: str | None = None
    ) -> None:
        self._backend = backend
        self._alphabet = alphabet
        self._separator = None if records is None else alphabet.symbols(find_separator(records))
        self._beginning = Cursor(backend.initial_state(1), encode_default_prime(alphabet)[:0])
        self._end = -1
        if records is not None:
            end = alphabet.encode(RECORD_END)
            self._beginning, self._end = read_ids(backend, self._beginning, end), int(end[0])
        self._moments: deque[_Moment] = deque(maxlen=MOST_STEPS_BACK + 1)
        self.reseed(seed)
        self.begin_anew()

    @property
    def text(self) -> str:
        """The symbols of the whole text."""
        now = self._moments[-1]
        return "".join(now.parts[: now.count])

    def end(self, most: int) -> str:
        """The last symbols of the text, at most so many; takes no longer for a longer text."""
        now = self._moments[-1]
        found: list[str] = []
        left = most
        for number in range(now.count - 1, -1, -1):
            if left <= 0:
                break
            found.append(now.parts[number][-left:])
            left -= len(found[-1])
        return "".join(reversed(found))

    @property
    def ends_drawn(self) -> bool:
        """True if the model wrote the last turn."""
        return self._moments[-1].drawn

    def reseed(self, seed: int) -> None:
        """Set the seed, and number the following continuations from 0.

        Continuation i depends on the text, the settings, the seed and i alone, and equals sample i
        of that seed with the text as prime. A continuation of an empty text is primed with
        :func:`encode_default_prime`.
        """
        self._seed = seed
        self._draws = 0

    def begin_anew(self) -> None:
        """Begin an empty text; this turn can be undone as well."""
        self._moments.append(_Moment([], 0, self._beginning, drawn=False))

    def add(self, symbols: str, unknown: str = "error") -> str:
        """Let the model read some symbols, and return those that were added to the text.

        Args:
            symbols: text as :meth:`Alphabet.symbols` returns it, with separators between records.
            unknown: treatment of characters that the alphabet lacks: error, skip or replace.

        Raises:
            UnknownCharacterError: the alphabet lacks a character; the text is unchanged.
        """
        ids = self._alphabet.encode(self._with_ends(symbols), unknown)
        if not len(ids):
            return ""
        added = self._shown(ids)
        now = self._moments[-1]
        ends = np.flatnonzero(ids == self._end)
        place, unread = (self._beginning, ids[ends[-1] + 1 :]) if len(ends) else (now.place, ids)
        after = read_ids(self._backend, place, unread)
        self._moments.append(_append(now, added, after, drawn=False))
        return added

    def count_unknown(self, symbols: str) -> int:
        """Count the symbols that the alphabet lacks."""
        return self._alphabet.count_unknown(self._with_ends(symbols))

    def go_on(self, config: SampleConfig) -> Iterator[str]:
        """Let the model continue the text, and yield the symbols that it adds.

        Raises:
            PredictionError: the model's predictions are not finite.
        """
        generator = np.random.default_rng([self._seed, self._draws])
        self._draws += 1
        now = self._moments[-1]
        start = encode_default_prime(self._alphabet)
        pieces = draw_ids(self._backend, now.place, start, config, generator)
        for number, (drawn, after) in enumerate(pieces):
            ends = np.flatnonzero(drawn == self._end)
            ids, place = (drawn[: ends[0] + 1], self._beginning) if len(ends) else (drawn, after)
            symbols = self._shown(ids)
            now = _append(now, symbols, place, drawn=True)
            if number:
                self._moments[-1] = now
            else:
                self._moments.append(now)
            yield symbols
            if len(ends):
                return

    def take_back(self) -> bool:
        """Undo the last turn, and return whether there was one to undo."""
        if len(self._moments) == 1:
            return False
        self._moments.pop()
        return True

    def _with_ends(self, symbols: str) -> str:
        """Replace each separator by the end of a record."""
        return symbols.replace(self._separator, RECORD_END) if self._separator else symbols

    def _shown(self, ids: Ids) -> str:
        """Decode ids, with a separator in place of each end of a record."""
        symbols = self._alphabet.decode(ids)
        return symbols.replace(RECORD_END, self._separator) if self._separator else symbols


def _append(moment: _Moment, symbols: str, place: Cursor, *, drawn: bool) -> _Moment:
    """Append symbols to the text of a moment, and delete the parts that were undone after it."""
    parts = moment.parts
    del parts[moment.count :]
    parts.append(symbols)
    return _Moment(parts, moment.count + 1, place, drawn)
