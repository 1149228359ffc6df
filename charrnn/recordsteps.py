"""Records that a network reads side by side, each with a fresh state, a character at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from charrnn.alphabet import Ids
from charrnn.cells.contract import State
from charrnn.evaluate import take
from charrnn.model import CharModel

_MOST_ROWS = 256


def read_records(
    model: CharModel, ids: Ids, end: int
) -> Iterator[tuple[NDArray[np.int64], tuple[State, ...]]]:
    """Let a model read every character of a text of records, the longest records first.

    Args:
        model: on any device.
        ids: the text, shape (N,), as ``records.py`` has it; the last record may be cut.
        end: the id that ends a record.

    Yields:
        For some rows at a time: where in the text the characters stand that were just read,
        shape (R,), and every layer's state after them.
    """
    begins = np.flatnonzero(ids == end)
    lengths = np.diff(np.append(begins, len(ids)))
    order = np.argsort(-lengths, kind="stable")
    device = model.head.weight.device
    for first in range(0, len(order), _MOST_ROWS):
        rows = order[first : first + _MOST_ROWS]
        states = model.initial_states(len(rows))
        for step in range(int(lengths[rows[0]])):
            left = int((lengths[rows] > step).sum())
            states = tuple(tuple(part[:left] for part in state) for state in states)
            places = begins[rows[:left]] + step
            with torch.inference_mode():
                _, states = model(take(ids, places)[None].to(device), states)
            yield places, states
