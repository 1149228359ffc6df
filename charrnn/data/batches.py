"""Ids -> contiguous parallel streams, read in windows, with a position that is plain data.

Records -> batches of them side by side, each from its beginning to its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Ids
from charrnn.errors import CorpusError

Window = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Input ids and the ids that follow each of them, both (T, B); NO_TARGET where none does."""

NO_TARGET = -100
"""The target of padding, which cross entropy leaves out, in torch and in the native library."""


@dataclass(frozen=True)
class Position:
    """Where in the data a run stands: the next window to read. Counted from 0."""

    epoch: int = 0
    window: int = 0


@dataclass(frozen=True)
class Shape:
    """Streams side by side (B) and characters in a window (T)."""

    batch: int
    window: int


LEAST_WINDOWS = 8
"""Windows that a stream runs through in an epoch, if need be at the cost of streams."""


def fit_shape(characters: int, batch: int, window: int) -> Shape:
    """The largest shape within ``batch`` x ``window`` that a text of that many characters fills.

    A short text keeps its window and gives up streams, so that each still runs through several
    windows and there is a state to carry; one shorter than a window gets a shorter window in a
    single stream.

    Raises:
        CorpusError: fewer than two characters, so that nothing follows anything.
    """
    if characters < 2:
        raise CorpusError(
            f"the text to train on has {characters} characters; at least 2 are needed. "
            "Give a longer text, or hold less out with --valid."
        )
    window = min(window, characters - 1)
    return Shape(max(1, min(batch, (characters - 1) // (LEAST_WINDOWS * window))), window)


class Streams:
    """B contiguous streams of a text, read in windows of T characters.

    Stream b runs through its own stretch of the text without a gap, so that the state after one
    window is the state before the next. Every epoch the streams begin at another offset, as far as
    the text leaves room, drawn from the seed and the epoch's number alone: the position is all that
    must be remembered. What does not fill a row of windows is left out, another part each epoch.

    Args:
        ids: the text, shape (N,).
        shape: from :func:`fit_shape`, so that an epoch has at least one window.
        seed: fixes the offset of every epoch.
    """

    def __init__(self, ids: Ids, shape: Shape, seed: int) -> None:
        self.ids = ids
        self.shape = shape
        self.seed = seed
        targets = len(ids) - 1
        block = shape.batch * shape.window
        shift = min(shape.window, targets - block)
        self.windows_per_epoch = (targets - shift) // block
        self._slack = targets - self.windows_per_epoch * block
        self._epoch_and_offset = (-1, 0)

    @property
    def characters_per_window(self) -> int:
        """Characters that one window trains on: T * B."""
        return self.shape.batch * self.shape.window

    def begins(self, position: Position) -> bool:
        """Whether the window there is the first of an epoch, to be read with fresh states."""
        return position.window == 0

    def offset(self, epoch: int) -> int:
        """Characters left out before the first stream in this epoch."""
        if self._epoch_and_offset[0] != epoch:
            drawn = np.random.default_rng([self.seed, epoch]).integers(self._slack + 1)
            self._epoch_and_offset = (epoch, int(drawn))
        return self._epoch_and_offset[1]

    def read(self, position: Position) -> Window:
        """The window at a position: inputs (T, B) and targets (T, B)."""
        batch, window = self.shape.batch, self.shape.window
        length = self.windows_per_epoch * window
        start = self.offset(position.epoch) + position.window * window
        rows: NDArray[Any] = start + length * np.arange(batch) + np.arange(window + 1)[:, None]
        block = self.ids[rows].astype(np.int64)
        return np.ascontiguousarray(block[:-1]), np.ascontiguousarray(block[1:])

    def after(self, position: Position) -> Position:
        """The position that follows; the epoch ends with its last window."""
        if position.window + 1 < self.windows_per_epoch:
            return Position(position.epoch, position.window + 1)
        return Position(position.epoch + 1, 0)


@dataclass(frozen=True)
class _Epoch:
    """The order of an epoch.

    Attributes:
        batches: the records of each batch.
        starts: the window that each batch begins with, and after the last the windows of all.
    """

    number: int
    batches: list[NDArray[Any]]
    starts: NDArray[np.int64]


class RecordStreams:
    """Records in batches of B, read in windows of at most T characters; as :class:`Streams`.

    Those of one batch are of about the same length, so that little is padding. Which ones of the
    same length are together, and in what order the batches come, is drawn for every epoch from the
    seed and the epoch's number alone. A record longer than a window goes on in the next window of
    its batch. Every record is read once an epoch.

    Args:
        ids: the text, shape (N,), as ``data/records.py`` describes it.
        end: the id that ends a record.
        shape: from :func:`fit_records`.
        seed: fixes the order of every epoch.
    """

    def __init__(self, ids: Ids, end: int, shape: Shape, seed: int) -> None:
        self.ids, self.shape, self.seed = ids, shape, seed
        self._end = end
        marks = np.flatnonzero(ids == end)
        self._begins, self._lengths = marks[:-1], np.diff(marks)
        self._count = -(-len(self._begins) // shape.batch)
        self._epoch = self._order(0)
        # Lengths are dealt out alike every epoch, and so are windows.
        self.windows_per_epoch = int(self._epoch.starts[-1])

    @property
    def characters_per_window(self) -> float:
        """Characters that one window trains on, in the mean over an epoch."""
        return (len(self.ids) - 1) / self.windows_per_epoch

    def begins(self, position: Position) -> bool:
        """Whether the window there is the first of its batch, to be read with fresh states."""
        _, part = self._find(position)
        return part == 0

    def read(self, position: Position) -> Window:
        """The window at a position: inputs (T', B) and targets (T', B), T' <= T.

        Beyond a record's end targets are NO_TARGET.
        """
        records, part = self._find(position)
        first = part * self.shape.window
        last = min(first + self.shape.window, int(self._lengths[records].max()))
        steps = np.arange(first, last)[:, None]
        inside = steps < self._lengths[records]
        places = np.where(inside, self._begins[records] + steps, 0)
        whole = (len(steps), self.shape.batch)
        inputs = np.full(whole, self._end, np.int64)
        targets = np.full(whole, NO_TARGET, np.int64)
        inputs[:, : len(records)] = np.where(inside, self.ids[places], self._end)
        following = self.ids[places + 1].astype(np.int64)
        targets[:, : len(records)] = np.where(inside, following, NO_TARGET)
        return inputs, targets

    def after(self, position: Position) -> Position:
        """The position that follows; the epoch ends with its last window."""
        if position.window + 1 < self.windows_per_epoch:
            return Position(position.epoch, position.window + 1)
        return Position(position.epoch + 1, 0)

    def _find(self, position: Position) -> tuple[NDArray[Any], int]:
        """The records that are read at a position, and the how manieth window of theirs it is."""
        if self._epoch.number != position.epoch:
            self._epoch = self._order(position.epoch)
        starts = self._epoch.starts
        batch = int(np.searchsorted(starts, position.window, side="right")) - 1
        return self._epoch.batches[batch], position.window - int(starts[batch])

    def _order(self, epoch: int) -> _Epoch:
        generator = np.random.default_rng([self.seed, epoch])
        shuffled = generator.permutation(len(self._begins))
        by_length = shuffled[np.argsort(self._lengths[shuffled], kind="stable")]
        parts = np.array_split(by_length, self._count)
        batches = [parts[number] for number in generator.permutation(len(parts))]
        longest = np.array([self._lengths[records[-1]] for records in batches])
        windows = -(-longest // self.shape.window)
        return _Epoch(epoch, batches, np.concatenate(([0], windows.cumsum())))


def fit_records(ids: Ids, end: int, batch: int, window: int) -> Shape:
    """The largest shape within ``batch`` x ``window`` that records fill.

    Raises:
        CorpusError: there is none.
    """
    lengths = np.diff(np.flatnonzero(ids == end))
    if not len(lengths):
        raise CorpusError(
            "there is no record to train on. Give more records, or hold less out with --valid."
        )
    return Shape(min(batch, len(lengths)), min(window, int(lengths.max())))


def fit(ids: Ids, end: int | None, *, batch: int, window: int) -> Shape:
    """The largest shape within ``batch`` x ``window`` that a text fills.

    Args:
        ids: the text, shape (N,).
        end: the id that ends a record; None for a text that is one.
        batch: streams, or records, side by side at most.
        window: characters in a window at most.

    Raises:
        CorpusError: it is too short to train on.
    """
    if end is None:
        return fit_shape(len(ids), batch, window)
    return fit_records(ids, end, batch, window)


def stream(ids: Ids, end: int | None, shape: Shape, seed: int) -> Streams | RecordStreams:
    """A text, or its records, in a shape from :func:`fit`."""
    if end is None:
        return Streams(ids, shape, seed)
    return RecordStreams(ids, end, shape, seed)
