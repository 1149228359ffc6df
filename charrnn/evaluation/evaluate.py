"""Score a whole text with a model, every character once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from charrnn.data.alphabet import Alphabet
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.evaluation.metrics import Score, ScoreSum
from charrnn.evaluation.scorer import Part, score, score_records, score_windows
from charrnn.inference.backend import Backend

ProgressCallback = Callable[[int], None]
"""A function that is called with the number of characters scored so far."""


def evaluate(
    backend: Backend,
    text: EncodedText,
    alphabet: Alphabet,
    *,
    reset_every: int | None = None,
    on_progress: ProgressCallback | None = None,
) -> Score:
    """Score a text with the state carried through all of it, or through each of its records.

    Args:
        backend: of a model with this alphabet.
        text: the text.
        alphabet: the model's.
        reset_every: characters after which the state of a continuous text is forgotten; None
            carries it.
        on_progress: called as parts of the text are scored.

    Raises:
        PredictionError: the model's predictions are not finite.
        ValueError: ``reset_every`` with records, each of which begins afresh anyway.
    """
    match text:
        case RecordText():
            if reset_every is not None:
                raise ValueError("each record begins afresh; there is no other reset")
            parts = score_records(backend, text)
        case ContinuousText(ids):
            parts = score_windows(backend, ids, reset_every) if reset_every else score(backend, ids)
    return add_up(parts, text, alphabet, on_progress)


def add_up(
    parts: Iterable[Part],
    text: EncodedText,
    alphabet: Alphabet,
    on_progress: ProgressCallback | None = None,
) -> Score:
    """Sum the parts of a text's score.

    Args:
        parts: the scores of all characters that an id was read before.
        text: the text.
        alphabet: the model's.
        on_progress: called after each part.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    total = ScoreSum(text.scored, len(alphabet), opened=text.unscored > 0)
    for part in parts:
        total.add(*part)
        if on_progress is not None:
            on_progress(total.characters)
    return total.score(alphabet)
