"""Scoring through the native network: exact, however many streams run side by side."""

import math

import numpy as np
import pytest
import torch

from charrnn.data.alphabet import Alphabet
from charrnn.errors import CheckpointError
from charrnn.evaluation import scorer
from charrnn.evaluation.scorer import evaluate, score, streams_for
from charrnn.evaluation.torch_scorer import evaluate as evaluate_through_torch
from charrnn.evaluation.torch_scorer import score_windows as score_windows_through_torch
from charrnn.kernels.network import Network
from charrnn.models.char_model import CharModel
from tests.support.networks import SERVED, make_model, native, needs_library, random_ids

ALPHABET = Alphabet.of("abcdefghi \n")
CHARACTERS = 20_001

pytestmark = needs_library


def nats_per_char(network: Network, characters: int, streams: int, threads: int = 1) -> float:
    ids = random_ids(characters)
    parts = list(score(network, ids, threads, streams))
    assert sum(part.characters for part in parts) == characters - 1
    return math.fsum(part.nats for part in parts) / characters


@pytest.mark.parametrize("arrangement", SERVED)
def test_the_score_is_that_through_torch(arrangement: str) -> None:
    model, ids = make_model(arrangement), random_ids(CHARACTERS)
    expected = evaluate_through_torch(model, ids, ALPHABET)
    result = evaluate(native(arrangement, model), ids, ALPHABET)
    assert result.nats_per_char == pytest.approx(expected.nats_per_char, abs=1e-6)
    assert (result.characters, result.bytes) == (expected.characters, expected.bytes)


@pytest.mark.parametrize("arrangement", SERVED)
def test_streams_side_by_side_equal_one_stream(arrangement: str) -> None:
    network = native(arrangement, make_model(arrangement))
    one = nats_per_char(network, CHARACTERS, 1)
    for streams in (2, 7, 13):
        many = nats_per_char(network, CHARACTERS, streams, threads=2)
        assert many == pytest.approx(one, abs=1e-8)


def forgetful_never() -> CharModel:
    """An LSTM whose forget gates are wide open: what a cell has taken in stays for good."""
    model = make_model("lstm")
    hidden = model.layers()[0].hidden
    for name, tensor in model.state_dict().items():
        if name.endswith("bias") and name.startswith("cells"):
            tensor[hidden : 2 * hidden] = 60
            tensor[:hidden] = -4
    return model


@pytest.mark.parametrize("patience", [0, 100, 10**9])
def test_a_network_that_never_forgets_is_scored_exactly(
    patience: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorer, "PATIENCE", patience)
    network = native("lstm", forgetful_never())
    one = nats_per_char(network, CHARACTERS, 1)
    assert nats_per_char(network, CHARACTERS, 9) == pytest.approx(one, abs=1e-12)


@pytest.mark.parametrize("patience", [0, 100, 10**9])
def test_patience_changes_nothing(patience: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = native("gru", make_model("gru"))
    one = nats_per_char(network, CHARACTERS, 1)
    monkeypatch.setattr(scorer, "PATIENCE", patience)
    assert nats_per_char(network, CHARACTERS, 9) == pytest.approx(one, abs=1e-8)


@pytest.mark.parametrize("characters", [1, 2, 3, 63, 64, 65, 66, 4097])
@pytest.mark.parametrize("streams", [1, 2])
def test_texts_of_every_length(characters: int, streams: int) -> None:
    if streams >= characters:
        pytest.skip("no character for each stream")
    network = native("lstm", make_model("lstm"))
    one = nats_per_char(network, characters, 1)
    assert nats_per_char(network, characters, streams) == pytest.approx(one, abs=1e-8)


@pytest.mark.parametrize("characters", [1, 2, 10_000])
def test_a_model_that_knows_nothing_scores_log2_of_the_alphabet(characters: int) -> None:
    model = make_model("lstm")
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    result = evaluate(native("lstm", model), random_ids(characters), ALPHABET)
    assert result.bits_per_char == pytest.approx(math.log2(len(ALPHABET)), rel=1e-13)


def test_predictions_that_are_not_finite_are_an_error() -> None:
    model = make_model("lstm")
    model.head.bias[0] = np.inf
    with pytest.raises(CheckpointError, match="not finite"):
        evaluate(native("lstm", model), random_ids(9_000), ALPHABET)


def test_short_texts_are_not_split() -> None:
    assert streams_for(0) == 1
    assert streams_for(3 * 4096) == 3
    assert streams_for(10**9) == 64


@pytest.mark.parametrize("window", [1, 100, CHARACTERS])
def test_windows_are_scored_as_through_torch(window: int) -> None:
    model, ids = make_model("lstm"), random_ids(3_001)
    parts = list(scorer.score_windows(native("lstm", model), ids, window))
    expected = sum(float(nats.sum()) for nats in score_windows_through_torch(model, ids, window))
    assert sum(part.characters for part in parts) == len(ids) - 1
    assert math.fsum(part.nats for part in parts) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_weights_too_large_for_their_products_saturate_the_gates_without_a_warning(
    bfloat16: bool,
) -> None:
    model = make_model("lstm")
    model.embedding.weight.fill_(3e38)
    model.get_parameter("cells.0.input_weight").abs_()
    expected = evaluate_through_torch(model, random_ids(100), ALPHABET)
    result = evaluate(native("lstm", model, bfloat16=bfloat16), random_ids(100), ALPHABET)
    assert result.nats_per_char == pytest.approx(expected.nats_per_char, rel=0.05)
