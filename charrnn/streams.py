"""Ids -> contiguous parallel streams, read in windows, with a position that is plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.alphabet import Ids
from charrnn.errors import CorpusError

Window = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Input ids and the ids that follow each of them, both (T, B); NO_TARGET where none does."""

NO_TARGET = -100
"""What follows padding: torch's cross entropy leaves it out."""


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
