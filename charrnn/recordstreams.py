"""Records -> batches of them side by side, each from its beginning to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.alphabet import Ids
from charrnn.errors import CorpusError
from charrnn.streams import NO_TARGET, Position, Shape, Streams, Window, fit_shape


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
        ids: the text, shape (N,), as ``records.py`` describes it.
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
