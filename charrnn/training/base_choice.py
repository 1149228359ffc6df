"""The choice whether training begins from a base model, made in some seconds before the first step.

The end of the training text is scored by the base model, to which the text's characters are added,
and by n-gram models that have counted what comes before it. A base model that has read texts of the
same kind is not far above the n-grams, or below them; one of another language or kind is far above,
and would cost time to forget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.checkpoints.base_models import name_model
from charrnn.checkpoints.model_file import ModelFile, read_model
from charrnn.config.training import TrainConfig
from charrnn.data.alphabet import Ids
from charrnn.data.corpus import Corpus, SplitCorpus
from charrnn.data.encoded_text import ContinuousText
from charrnn.errors import UsageError
from charrnn.evaluation.baselines import ORDERS, score_ngrams
from charrnn.inference.select_backend import load_backend
from charrnn.training.auto_config import choose_minutes, find_contradiction
from charrnn.training.fine_tuning import Transfer, transfer_model

LEAD = 1.0
"""Nats per character that a base model may lie above the n-grams; see the experiments."""

_MOST_ROWS, _MOST_LENGTH, _LEAST_LENGTH = 16, 768, 128
_SHARE_SCORED = 4
_READ_FIRST = 64
_MOST_COUNTED = 1 << 18


def choose_base(
    paths: Iterable[Path],
    corpus: Corpus,
    given: Mapping[str, Any],
    valid: float,
    tell: Callable[[str], None],
) -> Transfer | None:
    """Choose a base model for a run to begin from, the first that is near to its text.

    Args:
        paths: the models' files.
        corpus: the text of the run.
        given: the settings that the user gave, by name; None is a setting that was not given.
        valid: the share of the text that is held out.
        tell: called with a line for the user that says what was chosen and why, unless the user
            asks for another network.

    Returns:
        The base model, extended to the text; None if the run begins from nothing.

    Raises:
        CheckpointError: a model's file is not sound.
    """
    for path in paths:
        name = name_model(path)
        try:
            file = read_model(path)
        except UsageError as problem:
            tell(f"begins from nothing, not from the base model {name}: {problem.message}")
            continue
        if find_contradiction(given, file.model) is not None:
            continue
        start, reason = _judge(path, file, corpus, given, valid)
        if start:
            tell(f"begins from the base model {name}: {reason}")
            return start
        tell(f"begins from nothing, not from the base model {name}: {reason}")
    return None


def _judge(
    path: Path, file: ModelFile, corpus: Corpus, given: Mapping[str, Any], valid: float
) -> tuple[Transfer | None, str]:
    """Judge one base model; return the start from it, None if it is not taken, and the reason."""
    split = SplitCorpus.of(corpus, valid).train.ids
    if obstacle := _find_obstacle(file, corpus, len(split), given):
        return None, obstacle
    rows, length = _count_scored(len(split))
    excerpt = np.asarray(split[-(_MOST_COUNTED + rows * length) :])
    try:
        start = transfer_model(path, file, replace(corpus, text=ContinuousText(excerpt)))
    except UsageError as problem:
        return None, problem.message
    base, ngrams = _compare(start, start.corpus.ids, rows, length)
    reason = (
        f"it predicts the end of the text at {base:.2f} nats per character, n-grams of the rest at "
        f"{ngrams:.2f}"
    )
    return None if base > ngrams + LEAD else transfer_model(path, file, corpus), reason


def _find_obstacle(
    file: ModelFile, corpus: Corpus, characters: int, given: Mapping[str, Any]
) -> str | None:
    """Find why a run cannot or need not begin from a base model, whatever its text says."""
    least = _SHARE_SCORED * _LEAST_LENGTH
    if corpus.records is not None:
        return "it has read continuous texts, not records"
    if characters < least:
        return f"fewer than {least:,} characters do not tell"
    if _outgrows(file, characters, given):
        return "it has read less, in less time, than this run will"
    return None


def _outgrows(file: ModelFile, characters: int, given: Mapping[str, Any]) -> bool:
    """Tell if a run is to read more different characters than a base model, for a longer time."""
    if (scores := file.scores) is None:
        return False
    read = min(scores.epoch, 1.0) * file.corpus.characters * (1 - file.corpus.valid)
    if characters <= read:
        return False
    steps, epochs, minutes = (given.get(length) for length in ("steps", "epochs", "minutes"))
    if steps is not None:
        shape = (given.get(name) or getattr(TrainConfig, name) for name in ("batch", "window"))
        return bool(math.prod((steps, *shape)) > read)
    if epochs is not None:
        return True
    seconds = 60 * (minutes or choose_minutes(characters))
    return bool(seconds > scores.train_seconds)


def _count_scored(characters: int) -> tuple[int, int]:
    """Count the rows to score of a training text that is long enough, and their length."""
    most = characters // _SHARE_SCORED
    rows = min(most // _LEAST_LENGTH, _MOST_ROWS)
    return rows, min(most // rows, _MOST_LENGTH)


def _compare(start: Transfer, ids: Ids, rows: int, length: int) -> tuple[float, float]:
    """Return the nats per character of the last rows of a text under a base model and n-grams."""
    counted, scored = ids[: -rows * length], ids[-rows * length :]
    text = scored.astype(np.int64).reshape(rows, length).T
    backend = load_backend(start.to_model_file(), "scoring")
    nats, _ = backend.score(text[:-1], text[1:], backend.initial_state(rows))
    costs = score_ngrams(counted, scored, len(start.corpus.alphabet), ORDERS)
    kept = (cost.reshape(rows, length)[:, _READ_FIRST + 1 :] for cost in costs)
    return float(nats[_READ_FIRST:].mean()), min(float(cost.mean()) for cost in kept)
