"""The choice whether training begins from a base model, made in some seconds before the first step.

The end of the training text is scored by the base model, to which the text's characters are added,
and by n-gram models that have counted what comes before it. A base model that has read texts of the
same kind is not far above the n-grams, or below them; one of another language or kind is far above,
and would cost time to forget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.checkpoints.base_models import name_model
from charrnn.checkpoints.model_file import ModelFile
from charrnn.data.alphabet import Ids
from charrnn.data.corpus import Corpus, SplitCorpus
from charrnn.data.encoded_text import ContinuousText
from charrnn.errors import UsageError
from charrnn.evaluation.baselines import ORDERS, score_ngrams
from charrnn.inference.select_backend import load_backend
from charrnn.training.auto_config import find_contradiction
from charrnn.training.fine_tuning import Transfer, transfer_model

LEAD = 0.45
"""Nats per character that a base model may lie above the n-grams; see the experiments."""

_MOST_ROWS, _MOST_LENGTH, _LEAST_LENGTH = 16, 768, 256
_SHARE_SCORED = 4
_READ_FIRST = 64
_MOST_COUNTED = 1 << 18


@dataclass(frozen=True)
class BaseChoice:
    """The choice for a run: a base model to begin from, or none.

    Attributes:
        start: the base model, extended to the text; None if the run begins from nothing.
        reason: why, in one line for the user.
    """

    start: Transfer | None
    reason: str


def choose_base(
    path: Path, file: ModelFile, corpus: Corpus, given: Mapping[str, Any], valid: float
) -> BaseChoice:
    """Choose whether a run begins from a base model.

    Args:
        path: the model's file.
        file: its contents.
        corpus: the text of the run.
        given: the settings that the user gave, by name; None is a setting that was not given.
        valid: the share of the text that is held out.
    """
    refusal = f"does not begin from the base model {name_model(path)}: "
    if find_contradiction(given, file.model) is not None:
        return BaseChoice(None, f"{refusal}another network is asked for")
    if corpus.records is not None:
        return BaseChoice(None, f"{refusal}it has read continuous texts, not records")
    split = SplitCorpus.of(corpus, valid).train.ids
    scored = _count_scored(len(split))
    if not scored:
        least = _SHARE_SCORED * _LEAST_LENGTH
        return BaseChoice(None, f"{refusal}fewer than {least:,} characters do not tell")
    rows, length = scored
    excerpt = np.asarray(split[-(_MOST_COUNTED + rows * length) :])
    try:
        start = transfer_model(path, file, replace(corpus, text=ContinuousText(excerpt)))
    except UsageError as problem:
        return BaseChoice(None, refusal + problem.message)
    base, ngrams = _compare(start, start.corpus.ids, rows, length)
    found = (
        f"it predicts the end of the text at {base:.2f} nats per character, n-grams of the rest at "
        f"{ngrams:.2f}"
    )
    if base > ngrams + LEAD:
        return BaseChoice(None, refusal + found)
    begun = f"begins from the base model {name_model(path)}: {found}"
    return BaseChoice(transfer_model(path, file, corpus), begun)


def _count_scored(characters: int) -> tuple[int, int] | None:
    """Count the rows to score of a training text, and their length; None if it is too short."""
    most = characters // _SHARE_SCORED
    rows = min(most // _LEAST_LENGTH, _MOST_ROWS)
    return (rows, min(most // rows, _MOST_LENGTH)) if rows else None


def _compare(start: Transfer, ids: Ids, rows: int, length: int) -> tuple[float, float]:
    """Return the nats per character of the last rows of a text under a base model and n-grams."""
    counted, scored = ids[: -rows * length], ids[-rows * length :]
    text = scored.astype(np.int64).reshape(rows, length).T
    backend = load_backend(start.to_model_file(), "scoring")
    nats, _ = backend.score(text[:-1], text[1:], backend.initial_state(rows))
    costs = score_ngrams(counted, scored, len(start.corpus.alphabet), ORDERS)
    kept = (cost.reshape(rows, length)[:, _READ_FIRST + 1 :] for cost in costs)
    return float(nats[_READ_FIRST:].mean()), min(float(cost.mean()) for cost in kept)
