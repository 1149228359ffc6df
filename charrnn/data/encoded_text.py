"""Encoded texts: ids together with the places where reading starts afresh.

A continuous text is read as one, the state carried from its first character to its last. A text of
records (``data/records.py``) is read record by record, each from a fresh state: RECORD_END stands
before the first record and after every one, so that a record is read from the end before it on, and
to predict an end is to predict that a record ends.

Everything that differs between the two is asked of the text, or is one ``match`` on its kind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import RECORD_END, Alphabet, Ids

_SPLIT_DIGITS = 6


class Place(NamedTuple):
    """The place of a character in a text, for people; both are counted from 1.

    Attributes:
        number: of the line or record.
        column: within it. An end, or a newline, is the last column of what it ends.
    """

    number: int
    column: int


@dataclass(frozen=True, eq=False)
class _Text:
    """Shared by both kinds of text.

    Attributes:
        ids: the text, shape (N,).
        unit: a name for the parts in which people look up a place: lines or records.
        unscored: characters at the beginning that are read but not scored.
    """

    ids: Ids

    unit: ClassVar[str]
    unscored: ClassVar[int]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice) -> Self:
        """A stretch of the text; its first and last record may be cut short."""
        return self.with_ids(self.ids[part])

    def with_ids(self, ids: Ids) -> Self:
        """Another text of the same kind and alphabet."""
        return replace(self, ids=ids)

    @property
    def scored(self) -> Ids:
        """The ids that a model is scored on, shape (N - unscored,)."""
        return self.ids[self.unscored :]


@dataclass(frozen=True, eq=False)
class ContinuousText(_Text):
    """A text that is read as one.

    >>> text = ContinuousText(np.arange(10))
    >>> [part.ids.tolist() for part in text.split(0.2)]
    [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9]]
    """

    unit: ClassVar[str] = "line"
    unscored: ClassVar[int] = 0

    @property
    def record_count(self) -> int:
        """Always 0: the text has no records."""
        return 0

    @property
    def mean_record_length(self) -> float | None:
        """Always None: the text has no records."""
        return None

    def starts(self) -> NDArray[np.int64]:
        """The position where reading starts, shape (1,)."""
        return np.zeros(1, np.int64)

    def pieces(self) -> list[Ids]:
        """The text itself, the only part that is read by itself."""
        return [self.ids]

    def split(self, valid: float) -> tuple[Self, Self]:
        """Split off the last ``valid`` of the characters, which are held out."""
        boundary = _count_before(len(self), valid)
        return self[:boundary], self[boundary:]

    def first(self, characters: int) -> Self:
        """The beginning of the text, at most so many characters."""
        return self[:characters]

    def last(self, characters: int) -> Self:
        """The end of the text, at most so many characters."""
        return self[max(len(self) - characters, 0) :]

    def find_place(self, position: int, alphabet: Alphabet) -> Place:
        """Find the line of a character and its column there."""
        newlines, column = _measure_back(self.ids[:position], alphabet.characters.find("\n"))
        return Place(newlines + 1, column)


@dataclass(frozen=True, eq=False)
class RecordText(_Text):
    """A text of records, each read from a fresh state.

    >>> text = RecordText(np.array([0, 1, 2, 0, 3, 0, 4, 5, 0]), end=0)
    >>> [part.ids.tolist() for part in text.split(0.3)]
    [[0, 1, 2, 0, 3, 0], [0, 4, 5, 0]]

    Attributes:
        end: the id of RECORD_END.
    """

    end: int

    unit: ClassVar[str] = "record"
    unscored: ClassVar[int] = 1

    @property
    def record_count(self) -> int:
        """Records that end in this text."""
        return int(np.count_nonzero(self.scored == self.end))

    @property
    def mean_record_length(self) -> float | None:
        """Mean characters of a record, the ends included."""
        return len(self) / max(int(np.count_nonzero(self.ids == self.end)), 1)

    def starts(self) -> NDArray[np.int64]:
        """The positions where reading starts afresh: those of the ends, ascending."""
        return np.flatnonzero(self.ids == self.end)

    def bounds(self) -> NDArray[np.int64]:
        """The positions in ``scored`` where records begin, and after the last its length."""
        return np.append(np.flatnonzero(self.ids[:-1] == self.end), len(self.scored))

    def pieces(self) -> list[Ids]:
        """The records without their ends; what stands before the first end comes first."""
        return [part[part != self.end] for part in np.split(self.ids, self.starts())]

    def split(self, valid: float) -> tuple[Self, Self]:
        """Split off the last ``valid`` of the records, which are held out.

        Both sides have at least one record, and the end between them belongs to both. A share of 0
        holds nothing out.
        """
        if not valid:
            return self, self[:0]
        starts = self.starts()
        records = len(starts) - 1
        boundary = int(starts[min(max(_count_before(records, valid), 1), records - 1)])
        return self[: boundary + 1], self[boundary:]

    def first(self, characters: int) -> Self:
        """The first whole records that have at most so many characters, one at least."""
        starts = self.starts()
        if not len(starts):
            return self
        within = int(np.searchsorted(starts, characters))
        return self[: int(starts[min(max(within - 1, 1), len(starts) - 1)]) + 1]

    def last(self, characters: int) -> Self:
        """The last whole records that have at most so many characters, one at least."""
        starts = self.starts()[:-1]
        within = int(np.searchsorted(starts, len(self) - characters))
        return self[int(starts[min(within, len(starts) - 1)]) :]

    def find_place(self, position: int, alphabet: Alphabet) -> Place:  # noqa: ARG002
        """Find the record of a character and its column there; the end before them all is 1:1."""
        ends, column = _measure_back(self.ids[:position], self.end)
        return Place(max(ends, 1), column)


EncodedText = ContinuousText | RecordText
"""A text as ids, with how it is cut."""


def cut_text(ids: Ids, alphabet: Alphabet, records: str | None) -> EncodedText:
    """Make a text of ids, cut as its corpus is.

    Args:
        ids: the text, shape (N,).
        alphabet: the meaning of the ids; that of records has RECORD_END.
        records: line, paragraph or the separator of its records; None for one text.

    Raises:
        ValueError: records, in an alphabet without RECORD_END.
    """
    if records is None:
        return ContinuousText(ids)
    return RecordText(ids, alphabet.characters.index(RECORD_END))


def _measure_back(before: Ids, mark: int) -> tuple[int, int]:
    """Count the marks in what stands before a character, and the steps back to the last one."""
    marks = np.flatnonzero(before == mark)
    return len(marks), len(before) - (int(marks[-1]) if len(marks) else -1)


def _count_before(count: int, share: float) -> int:
    """Count the things that come before the last ``share`` of them."""
    # 1 - share is not exact in binary; rounding first keeps 0.2 of 10 from becoming 1.
    return int(round(count * (1 - share), _SPLIT_DIGITS))
