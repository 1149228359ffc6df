"""The text that is drawn at each evaluation of a training run."""

from pathlib import Path

import pytest
import torch

from charrnn.training.progress import Evaluated
from charrnn.training.run import draw_preview
from charrnn.training.session import Session
from tests.support.networks import needs_library
from tests.support.sessions import begin
from tests.training.test_session import read_text, request

EVALUATION = Evaluated(1, 2, 0.1, 1.0, 2.0, 2.0, 100.0, improved=True)


def begin_with(arrangement: str, folder: Path, text: str) -> Session:
    return begin(request(arrangement=arrangement), read_text(folder, text), "herons")


@pytest.mark.parametrize(
    ("arrangement", "length"),
    [("stack", 100), pytest.param("gru", 300, marks=needs_library)],
)
def test_it_is_drawn_from_the_averaged_weights(
    tmp_path: Path, text: str, arrangement: str, length: int
) -> None:
    session = begin_with(arrangement, tmp_path, text)
    first = draw_preview(session, EVALUATION)
    assert first
    assert (first, len(first)) == (draw_preview(session, EVALUATION), length)
    with torch.no_grad():
        head = session.trainer.train_state.average.model.head
        head.bias[session.alphabet.characters.index("n")] = 1e4
    assert draw_preview(session, EVALUATION) == "n" * length


def test_predictions_that_are_not_finite_draw_nothing(tmp_path: Path, text: str) -> None:
    session = begin_with("gru", tmp_path, text)
    with torch.no_grad():
        session.trainer.train_state.average.model.head.weight.fill_(3e38)
    assert draw_preview(session, EVALUATION) is None
