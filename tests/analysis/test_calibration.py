"""Calibration: what a model expects of a text, against what comes."""

from __future__ import annotations

import numpy as np
import pytest

from charrnn.analysis import calibration
from charrnn.analysis.calibration import measure_calibration
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.errors import PredictionError
from charrnn.evaluation.surprisal import measure_surprisal
from charrnn.inference.torch_backend import TorchBackend
from charrnn.kernels.network import Filters
from tests.support.networks import backend_of, both_kinds, make_model, random_ids

V = 11
IDS = random_ids(301)
TEXTS: dict[str, EncodedText] = {
    "continuous": ContinuousText(IDS),
    "records": RecordText(np.append(IDS, 0), end=0),
}


@both_kinds
@pytest.mark.parametrize("text", TEXTS)
def test_the_loss_is_that_of_the_text(kind: str, text: str) -> None:
    backend, encoded = backend_of(kind, "gru"), starting_at_an_end(TEXTS[text])
    told: list[int] = []
    found = measure_calibration(backend, encoded, told.append)
    expected = measure_surprisal(backend, encoded)[1:]
    assert found.characters == len(expected) == told[-1]
    assert found.found_nats == pytest.approx(expected.mean(), rel=1e-5)


def starting_at_an_end(text: EncodedText) -> EncodedText:
    """The same text; one of records begins with an end."""
    return text.with_ids(np.append(0, text.ids)) if isinstance(text, RecordText) else text


def test_every_prediction_is_in_one_group() -> None:
    found = measure_calibration(TorchBackend(make_model("gru")), ContinuousText(IDS))
    assert sum(group.count for group in found.groups) == 300 * V
    came = sum((group.came_true or 0) * group.count for group in found.groups)
    called = sum((group.probability or 0) * group.count for group in found.groups)
    assert came == pytest.approx(300)
    assert called == pytest.approx(300)
    for group in found.groups:
        assert group.count == 0 or group.least <= (group.probability or 0) <= group.most
        assert (group.came_true is None) == (group.count == 0)


def test_a_model_is_calibrated_on_what_it_draws_and_not_on_noise() -> None:
    backend, rng = TorchBackend(make_model("gru")), np.random.default_rng(0)
    drawn, _ = backend.draw(
        np.zeros(4, np.int64), rng.random((4, 1000)), backend.initial_state(4), Filters()
    )
    found = measure_calibration(backend, ContinuousText(drawn.reshape(-1).astype(np.uint8)))
    assert found.expected_nats == pytest.approx(found.found_nats, abs=0.04)
    for group in found.groups:
        if group.count > 1000 and group.probability and group.came_true is not None:
            assert group.came_true == pytest.approx(group.probability, abs=0.03)
    noise = measure_calibration(
        backend, ContinuousText(rng.integers(V, size=6000).astype(np.uint8))
    )
    assert noise.found_nats > noise.expected_nats + 0.3


def test_parts_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = TorchBackend(make_model("gru"))
    whole = measure_calibration(backend, ContinuousText(IDS))
    monkeypatch.setattr(calibration, "_NUMBERS_AT_ONCE", 7 * V)
    parts = measure_calibration(backend, ContinuousText(IDS))
    assert parts.found_nats == pytest.approx(whole.found_nats, rel=1e-5)
    assert parts.expected_nats == pytest.approx(whole.expected_nats, rel=1e-5)


def test_predictions_that_are_not_finite_are_an_error() -> None:
    model = make_model("gru")
    model.head.bias.data[0] = np.nan
    with pytest.raises(PredictionError):
        measure_calibration(TorchBackend(model), ContinuousText(IDS))
