"""A little text from a model in training: shown as it goes, and kept in the run's log."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from charrnn.cli.recordsample import open_record, until_end
from charrnn.cli.serving import native_network
from charrnn.config import SampleConfig
from charrnn.drawing import opening
from charrnn.engine.sampling import sample as sample_natively
from charrnn.errors import CheckpointError, DivergedError
from charrnn.events import Evaluation
from charrnn.records import separator
from charrnn.sample import sample
from charrnn.session import Session

_NATIVELY = SampleConfig(temp=0.8, length=300)
_THROUGH_TORCH = SampleConfig(temp=0.8, length=100)
"""Less, since each evaluation waits for it."""

_RECORDS = 8
"""Records, where the text is made of such."""


def draw_preview(session: Session, evaluation: Evaluation) -> str | None:
    """Some text from the weights that were evaluated; the same opening and seed each time.

    None if they, or their predictions, are not finite: training sees to that.
    """
    try:
        return _draw(session, evaluation)
    except (CheckpointError, DivergedError):
        return None


def _draw(session: Session, evaluation: Evaluation) -> str:
    alphabet, prime = session.alphabet, opening(session.alphabet)
    native = native_network(session.model_file(evaluation), device="cpu", weights="fp32")
    settings = _NATIVELY if native is not None else _THROUGH_TORCH
    records = session.corpus.records
    if records is not None:
        prime = open_record(alphabet, prime[:0])
        settings = until_end(replace(settings, count=_RECORDS))
    if native is not None:
        pieces = sample_natively(native, alphabet, settings, prime, seed=0)
    else:
        pieces = sample(session.trainer.learner.average.model, alphabet, settings, prime, seed=0)
    drawn: dict[int, str] = defaultdict(str)
    for piece in pieces:
        drawn[piece.sample] += piece.symbols
    symbols = alphabet.symbols(separator(records or "")).join(drawn.values())
    return alphabet.to_bytes(symbols).decode("utf-8", "replace")
