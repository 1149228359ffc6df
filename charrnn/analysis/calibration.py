"""Calibration: whether what a model calls likely comes as often as it says.

At every place of a text a model gives each character a probability. Of all predictions with about
the same probability, that share should come true. The expected loss, the mean entropy of the
predictions, is then the loss that is found; it is below where the model is too sure, and above
where it is not sure enough.

Source: Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Ids
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.errors import PredictionError
from charrnn.inference.backend import Backend
from charrnn.kernels.network import Doubles

BOUNDS = (0.0, 0.001, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""The probabilities at which one group of predictions ends and the next begins."""

_NUMBERS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class PredictionGroup:
    """The predictions with about the same probability.

    Attributes:
        least: the smallest probability of the group.
        most: its end.
        count: the number of predictions.
        probability: their mean; None if there are none.
        came_true: the share of them that came true; None if there are none.
    """

    least: float
    most: float
    count: int
    probability: float | None
    came_true: float | None


@dataclass(frozen=True)
class Calibration:
    """The calibration of a model on a text.

    Attributes:
        characters: predicted.
        expected_nats: the mean entropy of the predictions.
        found_nats: the mean loss.
        groups: the predictions in the order of their probabilities.
    """

    characters: int
    expected_nats: float
    found_nats: float
    groups: tuple[PredictionGroup, ...]


def measure_calibration(
    backend: Backend, text: EncodedText, on_progress: Callable[[int], None] = lambda _: None
) -> Calibration:
    """Measure the calibration of a model on a text; the first character is only read.

    Args:
        backend: the model.
        text: the text, of at least two characters.
        on_progress: called with the number of characters predicted so far.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    groups = len(BOUNDS) - 1
    number, came = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    total = np.zeros(groups)
    expected = found = 0.0
    characters = 0
    for logits, targets in _predict(backend, text):
        logs = logits - logits.max(1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(1, keepdims=True))
        if not np.isfinite(logs).all():
            raise PredictionError
        chances = np.exp(logs)
        own = (np.arange(len(targets)), targets)
        group = np.clip(np.searchsorted(BOUNDS, chances, side="right") - 1, 0, groups - 1)
        number += np.bincount(group.ravel(), minlength=groups)
        total += np.bincount(group.ravel(), chances.ravel(), minlength=groups)
        came += np.bincount(group[own], minlength=groups)
        expected -= float((chances * logs).sum())
        found -= float(logs[own].sum())
        characters += len(targets)
        on_progress(characters)
    return Calibration(
        characters,
        expected / characters,
        found / characters,
        tuple(
            PredictionGroup(
                BOUNDS[n],
                BOUNDS[n + 1],
                int(number[n]),
                float(total[n] / number[n]) if number[n] else None,
                float(came[n] / number[n]) if number[n] else None,
            )
            for n in range(groups)
        ),
    )


def _predict(backend: Backend, text: EncodedText) -> Iterator[tuple[Doubles, NDArray[np.int64]]]:
    """Yield the logits (N, V) of the characters of a text part by part, and the characters (N,)."""
    match text:
        case ContinuousText(ids):
            starts = [0, len(ids) - 1]
        case RecordText():
            starts = text.starts().tolist()
    for begin, end in pairwise(starts):
        yield from _predict_part(backend, text.ids[begin : end + 1])


def _predict_part(backend: Backend, ids: Ids) -> Iterator[tuple[Doubles, NDArray[np.int64]]]:
    """Yield the same of characters that are read from an initial state; the first is only read."""
    state = backend.initial_state(1)
    at_once = max(_NUMBERS_AT_ONCE // backend.characters, 1)
    for begin in range(0, len(ids) - 1, at_once):
        read = ids[begin : min(begin + at_once, len(ids) - 1), None]
        logits, state = backend.predict(read, state)
        yield logits[:, 0].astype(np.float64), ids[begin + 1 : begin + 1 + len(read)].astype(int)
