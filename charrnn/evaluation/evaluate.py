"""The score of a whole text under a model, every character counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from charrnn.data.alphabet import Alphabet
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.evaluation.metrics import Score, Tally
from charrnn.evaluation.scorer import Part, score, score_records, score_windows
from charrnn.inference.backend import Backend

Progress = Callable[[int], None]
"""Is told the characters that are scored so far."""


def evaluate(
    backend: Backend,
    text: EncodedText,
    alphabet: Alphabet,
    *,
    reset_every: int | None = None,
    on_progress: Progress | None = None,
) -> Score:
    """Score a text with the state carried from its first character to its last.

    Args:
        backend: of a model with this alphabet.
        text: the text. Of records the state is carried within each.
        alphabet: the model's.
        reset_every: characters after which the state is forgotten; None carries it. For a
            continuous text.
        on_progress: called as parts of the text are scored.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    match text:
        case RecordText(ids, end):
            parts: Iterable[Part] = score_records(backend, ids, end)
        case ContinuousText(ids):
            parts = score_windows(backend, ids, reset_every) if reset_every else score(backend, ids)
    return add_up(parts, text, alphabet, on_progress=on_progress)


def add_up(
    parts: Iterable[Part],
    text: EncodedText,
    alphabet: Alphabet,
    *,
    on_progress: Progress | None = None,
) -> Score:
    """The score of a text from its parts.

    Args:
        parts: of all characters but the first that is read.
        text: the text that is scored.
        alphabet: the model's.
        on_progress: called after each part.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    tally = Tally(text.scored, len(alphabet), opened=text.unscored > 0)
    for part in parts:
        tally.add(*part)
        if on_progress is not None:
            on_progress(tally.characters)
    return tally.score(alphabet)
