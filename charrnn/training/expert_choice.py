"""The n-gram expert of a run: counted once, fitted to the held-out text at every evaluation.

Some thousand places are drawn evenly from the held-out text, and the network's logits there. An
expert that is fitted to one half of them is judged on the other half, and the other way round:
where it is left to charrnn, the expert is kept if the loss falls by more than LEAST_GAIN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.data.ngrams import UNSEEN, Ngrams, count_ngrams
from charrnn.inference.backend import Backend
from charrnn.models.ngram_expert import NgramExpert, Places, fit_expert

LEAST_GAIN = 0.003
"""Nats per character by which an expert lowers the loss, at least, to be worth its bytes."""

ORDERS = 7
"""Orders of n-grams: to the sixth, with contexts of six characters."""

REPEATED_FROM = 5
"""The order from which on strings that occur once are not kept. They are most of all strings; by
them whoever has a model's file could put passages of its text together."""

MOST_STRINGS = 1 << 21
"""The most strings that are counted: some 6 to 12 megabytes of a model file."""

MOST_COUNTED = 1 << 23
"""The most characters that are counted, from the end of a text: some seconds of work."""

MOST_PLACES = 8192
"""The most places that an expert is fitted to, each of which the network scores."""

_LEAST_PLACES = 512
_MOST_NUMBERS = 1 << 22
_ROWS = 16
_LONGEST_OF_USUAL = 4
_READ_FIRST = 128


def count_for_expert(text: EncodedText, alphabet_size: int) -> Ngrams:
    """Count the n-grams of the end of a training text, which has a character at least."""
    end = text.end if isinstance(text, RecordText) else None
    ids = text.ids[-MOST_COUNTED:]
    return count_ngrams(
        ids,
        alphabet_size,
        orders=ORDERS,
        most=MOST_STRINGS,
        repeated_from=REPEATED_FROM,
        end=end,
    )


class _Rows(NamedTuple):
    """Parts of a text that are read side by side.

    Attributes:
        before: characters of each row that are only read, before the others (S, R).
        ids: the characters of each row (T, R).
        targets: those that follow (T, R).
        counts: whether a place counts (T, R); the others are beyond a row's end.
    """

    before: NDArray[np.int64]
    ids: NDArray[np.int64]
    targets: NDArray[np.int64]
    counts: NDArray[np.bool_]


def choose_expert(
    backend: Backend, text: EncodedText, ngrams: Ngrams, experts: str
) -> NgramExpert | None:
    """Fit an expert to a text, and choose whether to keep it.

    Args:
        backend: the network alone.
        text: the held-out text.
        ngrams: of the training text.
        experts: ``ngram`` keeps the expert in any case, ``auto`` where it helps.

    Returns:
        The expert; None if it is not kept, if there are too few places to fit it to, or if the
        network's predictions are not finite.
    """
    most = max(min(_MOST_NUMBERS // backend.characters, MOST_PLACES), _LEAST_PLACES)
    match text:
        case RecordText():
            rows = _draw_records(text, most)
        case ContinuousText(ids):
            rows = _draw_rows(ids, most)
    if rows is None:
        return None
    state = backend.read(rows.before, backend.initial_state(rows.ids.shape[1]))
    logits, _ = backend.predict(rows.ids, state)
    # Row after row, so that a part of the places is a part of the text.
    kept = rows.counts.T
    logits = logits.swapaxes(0, 1)[kept]
    if not np.isfinite(logits).all():
        return None
    history = np.full((rows.ids.shape[1], ngrams.history), UNSEEN)
    read = np.concatenate([rows.before, rows.ids])
    contexts = ngrams.find_contexts(history, read)[len(rows.before) :].swapaxes(0, 1)[kept]
    places = Places.of(ngrams, logits, contexts, rows.targets.T[kept])
    if experts == "auto" and _measure_gain(ngrams, places) <= LEAST_GAIN:
        return None
    return fit_expert(ngrams, places)


def _measure_gain(ngrams: Ngrams, places: Places) -> float:
    """Measure by how many nats an expert lowers the mean loss of places that it is not fitted to.

    Each half of the text is judged by an expert that is fitted to the other one.
    """
    halves = np.array_split(np.arange(len(places.targets)), 2)
    gain = 0.0
    for fitted, judged in (halves, halves[::-1]):
        expert, others = fit_expert(ngrams, places.at(fitted)), places.at(judged)
        gain += float((others.measure_nats() - others.measure_nats(expert)).sum())
    return gain / len(places.targets)


def can_fit(text: EncodedText) -> bool:
    """Tell whether a held-out text is long enough to fit an expert to."""
    draw = _draw_records(text, 1) if isinstance(text, RecordText) else _draw_rows(text.ids, 1)
    return draw is not None


def _draw_rows(ids: NDArray[np.integer], most: int) -> _Rows | None:
    """Draw rows evenly from a continuous text; None if it is too short."""
    length = min(most // _ROWS, (len(ids) - 1) // _ROWS - _READ_FIRST)
    rows = _ROWS
    if length * rows < _LEAST_PLACES:
        length, rows = len(ids) - 1 - _READ_FIRST, 1
        if length < _LEAST_PLACES:
            return None
    steps = np.arange(_READ_FIRST + length)[:, None]
    begins = np.linspace(0, len(ids) - 1 - len(steps), rows).astype(np.int64)
    read, targets = (ids[begins + steps + n].astype(np.int64) for n in (0, 1))
    before, own = read[:_READ_FIRST], read[_READ_FIRST:]
    return _Rows(before, own, targets[_READ_FIRST:], np.ones(own.shape, np.bool_))


def _draw_records(text: RecordText, most: int) -> _Rows | None:
    """Take whole records evenly from a text of records; None if they are too few."""
    starts = text.starts()
    lengths = np.diff(starts)
    if not len(lengths) or lengths.sum() < _LEAST_PLACES:
        return None
    # The beginnings of some long records stand for all of them: each row is as long as the longest.
    usual = int(np.ceil(lengths.mean()))
    longest = min(int(lengths.max()), _LONGEST_OF_USUAL * usual)
    count = int(np.clip(most // usual, 2, len(lengths)))
    chosen = np.linspace(0, len(lengths) - 1, count).astype(np.int64)
    steps = np.arange(longest)[:, None]
    inside = steps < lengths[chosen]
    at = np.where(inside, starts[chosen] + steps, starts[chosen])
    ids, targets = (text.ids[at + n].astype(np.int64) for n in (0, 1))
    return _Rows(ids[:0], ids, targets, inside)
