"""Batches: cut a training text into windows of T characters of B streams.

A continuous text is divided into B streams, one contiguous part of the text each. Records are read
in batches of B, each from its beginning to its end. A run stores its position as plain data.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.errors import CorpusError, Remedy

Window = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Input ids and target ids, the ids that follow them, both (T, B); NO_TARGET where none does."""

_HOLD_LESS_OUT = Remedy("hold out a smaller share", "valid")

NO_TARGET = -100
"""The target of padding, which cross entropy ignores, in torch and in the native library."""


@dataclass(frozen=True)
class Position:
    """The next window that a run reads: epoch and window in that epoch, both from 0."""

    epoch: int = 0
    window: int = 0


@dataclass(frozen=True)
class Shape:
    """The batch size B and the window T in characters."""

    batch: int
    window: int


LEAST_WINDOWS = 8
"""The least number of windows per epoch; a short text gets a smaller batch to keep it."""


class Streams(ABC):
    """A training text, cut into windows.

    Attributes:
        shape: batch size and window.
        seed: fixes, with the number of an epoch, the windows of that epoch.
        windows_per_epoch: number of windows, the same in every epoch.
        characters_per_window: mean number of training characters in a window.
    """

    shape: Shape
    seed: int
    windows_per_epoch: int
    characters_per_window: float

    @abstractmethod
    def starts_fresh(self, position: Position) -> bool:
        """Return whether the window at a position starts from initial states."""

    @abstractmethod
    def read(self, position: Position) -> Window:
        """Read the window at a position."""

    def after(self, position: Position) -> Position:
        """Return the position that follows; the epoch ends with its last window."""
        if position.window + 1 < self.windows_per_epoch:
            return Position(position.epoch, position.window + 1)
        return Position(position.epoch + 1, 0)


class ContinuousStreams(Streams):
    """B contiguous streams of a continuous text, read in windows of T characters.

    Each stream reads its own part of the text without a gap, so that the state after one window is
    the state before the next. In every epoch the streams begin at another offset, as far as the
    text has room, drawn from the seed and the epoch's number alone: a run stores only its position.
    A remainder that does not fill a window in every stream is left out, another one each epoch.

    Args:
        text: the text.
        shape: from :func:`fit_shape`, so that an epoch has at least one window.
        seed: fixes the offset of every epoch.
    """

    def __init__(self, text: ContinuousText, shape: Shape, seed: int) -> None:
        self.shape, self.seed = shape, seed
        self._ids = text.ids
        targets = len(text) - 1
        block = shape.batch * shape.window
        shift = min(shape.window, targets - block)
        self.windows_per_epoch = (targets - shift) // block
        self.characters_per_window = block
        self._slack = targets - self.windows_per_epoch * block
        self._epoch_and_offset = (-1, 0)

    def starts_fresh(self, position: Position) -> bool:
        """Return whether the window is the first of its epoch."""
        return position.window == 0

    def offset(self, epoch: int) -> int:
        """Draw the number of characters skipped before the first stream in this epoch."""
        if self._epoch_and_offset[0] != epoch:
            drawn = np.random.default_rng([self.seed, epoch]).integers(self._slack + 1)
            self._epoch_and_offset = (epoch, int(drawn))
        return self._epoch_and_offset[1]

    def read(self, position: Position) -> Window:
        """Read the window at a position: inputs (T, B) and targets (T, B)."""
        batch, window = self.shape.batch, self.shape.window
        length = self.windows_per_epoch * window
        start = self.offset(position.epoch) + position.window * window
        rows: NDArray[Any] = start + length * np.arange(batch) + np.arange(window + 1)[:, None]
        block = self._ids[rows].astype(np.int64)
        return np.ascontiguousarray(block[:-1]), np.ascontiguousarray(block[1:])


@dataclass(frozen=True)
class _Epoch:
    """The order of the records in an epoch.

    Attributes:
        number: the epoch's number.
        batches: the indices of each batch's records.
        starts: the first window of each batch, followed by the number of windows of the epoch.
    """

    number: int
    batches: list[NDArray[Any]]
    starts: NDArray[np.int64]


class RecordStreams(Streams):
    """Records in batches of B, read in windows of at most T characters.

    The records of a batch have about the same length, to keep padding small. The choice among
    records of equal length and the order of the batches are drawn for every epoch from the seed and
    the epoch's number alone. A record longer than a window continues in the next window of its
    batch. Every record is read once per epoch.

    Args:
        text: the records.
        shape: from :func:`fit_shape`.
        seed: fixes the order of every epoch.
    """

    def __init__(self, text: RecordText, shape: Shape, seed: int) -> None:
        self.shape, self.seed = shape, seed
        self._ids, self._end = text.ids, text.end
        starts = text.starts()
        self._begins, self._lengths = starts[:-1], np.diff(starts)
        self._count = -(-len(self._begins) // shape.batch)
        self._epoch = self._order(0)
        # Every epoch has batches of the same lengths, so the same number of windows.
        self.windows_per_epoch = int(self._epoch.starts[-1])
        self.characters_per_window = len(text.scored) / self.windows_per_epoch

    def starts_fresh(self, position: Position) -> bool:
        """Return whether the window is the first of its batch."""
        _, part = self._find(position)
        return part == 0

    def read(self, position: Position) -> Window:
        """Read the window at a position: inputs (T', B) and targets (T', B), T' <= T.

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
        inputs[:, : len(records)] = np.where(inside, self._ids[places], self._end)
        following = self._ids[places + 1].astype(np.int64)
        targets[:, : len(records)] = np.where(inside, following, NO_TARGET)
        return inputs, targets

    def _find(self, position: Position) -> tuple[NDArray[Any], int]:
        """Find the records that are read at a position, and the index of the window in them."""
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


def fit_shape(text: EncodedText, batch: int, window: int) -> Shape:
    """Find the largest shape within ``batch`` x ``window`` that a text fills.

    A short continuous text gets fewer streams of the full window, so that each stream has several
    windows and the state is carried; a text shorter than a window gets a shorter window in a single
    stream. A window of records is at most as long as the longest record.

    Args:
        text: the training text.
        batch: largest batch size, of streams or records.
        window: largest window in characters.

    Raises:
        CorpusError: the text is too short to train on.
    """
    match text:
        case ContinuousText():
            return _fit_characters(len(text), batch, window)
        case RecordText():
            return _fit_records(np.diff(text.starts()), batch, window)


def open_streams(text: EncodedText, shape: Shape, seed: int) -> Streams:
    """Cut a text into streams of a shape from :func:`fit_shape`."""
    match text:
        case ContinuousText():
            return ContinuousStreams(text, shape, seed)
        case RecordText():
            return RecordStreams(text, shape, seed)


def _fit_characters(characters: int, batch: int, window: int) -> Shape:
    if characters < 2:
        raise CorpusError(
            f"characters in the training text: {characters}; at least 2 are needed",
            Remedy("give a longer text"),
            _HOLD_LESS_OUT,
        )
    window = min(window, characters - 1)
    return Shape(max(1, min(batch, (characters - 1) // (LEAST_WINDOWS * window))), window)


def _fit_records(lengths: NDArray[np.int64], batch: int, window: int) -> Shape:
    if not len(lengths):
        raise CorpusError(
            "the training text has no record",
            Remedy("give more records"),
            _HOLD_LESS_OUT,
        )
    return Shape(min(batch, len(lengths)), min(window, int(lengths.max())))
