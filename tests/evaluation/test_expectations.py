"""Expectations of a model, against its predictions made one character at a time."""

import numpy as np
import pytest
import torch

from charrnn.data.alphabet import Ids
from charrnn.data.encoded_text import ContinuousText
from charrnn.evaluation import surprisal
from charrnn.evaluation.surprisal import find_expectations, find_worst, measure_surprisal
from charrnn.inference.backend import Backend
from charrnn.kernels.network import Doubles
from tests.support.networks import backend_of, make_model, needs_library, random_ids

ARRANGEMENTS = ["lstm", "pyramid of lstm"]


def backend_for(arrangement: str) -> Backend:
    return backend_of("native" if arrangement == "lstm" else "torch", arrangement)


def predictions(arrangement: str, ids: Ids) -> Doubles:
    """Probabilities (N - 1, V) of each character but the first."""
    model = make_model(arrangement)
    logits, _ = model(torch.from_numpy(ids.astype(np.int64))[:-1, None], model.initial_states(1))
    found: Doubles = logits[:, 0].double().softmax(-1).numpy()
    return found


@needs_library
@pytest.mark.parametrize("at_once", [7, 1 << 16])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_the_worst_places_and_what_was_likeliest_there(
    arrangement: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surprisal, "CHARACTERS_AT_ONCE", at_once)
    ids = random_ids(120)
    expected = predictions(arrangement, ids)
    backend = backend_for(arrangement)
    nats = measure_surprisal(backend, ContinuousText(ids))
    came = expected[np.arange(len(ids) - 1), ids[1:]]
    assert nats[0] == pytest.approx(np.log(11))
    np.testing.assert_allclose(nats[1:], -np.log(came), rtol=1e-4)
    places = find_worst(nats, 6)
    assert list(places) == list(np.argsort(came)[:6] + 1)
    for place, one in zip(
        places, find_expectations(backend, ContinuousText(ids), places, 3), strict=True
    ):
        assert one.position == place
        likeliest = np.argsort(-expected[place - 1])[:3]
        assert [character for character, _ in one.likeliest] == list(likeliest)
        assert [p for _, p in one.likeliest] == pytest.approx(
            list(expected[place - 1][likeliest]), rel=1e-3
        )


def test_a_single_character_has_no_worst_place() -> None:
    backend, text = backend_of("torch", "gru"), ContinuousText(random_ids(1))
    nats = measure_surprisal(backend, text)
    assert len(nats) == 1
    assert find_expectations(backend, text, find_worst(nats, 5), 3) == []
