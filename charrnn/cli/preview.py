"""A little text from a model in training: shown as it goes, and kept in the run's log."""

from __future__ import annotations

from charrnn.cli.serving import native_network
from charrnn.config import SampleConfig
from charrnn.drawing import opening
from charrnn.engine.sampling import sample as sample_natively
from charrnn.errors import CheckpointError, DivergedError
from charrnn.events import Evaluation
from charrnn.sample import sample
from charrnn.session import Session

_NATIVELY = SampleConfig(temp=0.8, length=300)
_THROUGH_TORCH = SampleConfig(temp=0.8, length=100)
"""Less, since each evaluation waits for it."""


def draw_preview(session: Session, evaluation: Evaluation) -> str | None:
    """Some text from the weights that were evaluated; the same opening and seed each time.

    None if they, or their predictions, are not finite: training sees to that.
    """
    try:
        return _draw(session, evaluation)
    except (CheckpointError, DivergedError):
        return None


def _draw(session: Session, evaluation: Evaluation) -> str:
    alphabet = session.alphabet
    native = native_network(session.model_file(evaluation), device="cpu", weights="fp32")
    if native is not None:
        pieces = sample_natively(native, alphabet, _NATIVELY, opening(alphabet), seed=0)
    else:
        model = session.trainer.learner.average.model
        pieces = sample(model, alphabet, _THROUGH_TORCH, opening(alphabet), seed=0)
    symbols = "".join(piece.symbols for piece in pieces)
    return alphabet.to_bytes(symbols).decode("utf-8", "replace")
