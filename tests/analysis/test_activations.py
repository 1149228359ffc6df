"""Activations against states one character at a time, and a unit known to follow a feature."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from charrnn.analysis import activations
from charrnn.analysis.activations import (
    compute_activations,
    limit_characters,
    name_units,
    read_records,
)
from charrnn.analysis.features import compute_features, find_followers
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet
from charrnn.data.encoded_text import ContinuousText, RecordText
from charrnn.inference.torch_backend import TorchBackend
from charrnn.models.char_model import CharModel, build_model
from tests.support.arrangements import KINDS
from tests.support.networks import make_model, random_ids


def one_by_one(model: CharModel, ids: NDArray[np.uint8], layer: int) -> NDArray[np.float32]:
    states = model.initial_states(1)
    cell = model.layers()[layer - 1]
    seen = []
    with torch.inference_mode():
        for character in ids.tolist():
            _, states = model(torch.tensor([[character]]), states)
            h, *others = states[layer - 1]
            with_memory = "c" in cell.parts
            seen.append(torch.cat((h, others[0].tanh()), -1) if with_memory else h)
    found: NDArray[np.float32] = torch.cat(seen).numpy()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("arrangement", KINDS)
def test_activations_are_the_states_after_each_character(arrangement: str) -> None:
    model, ids = make_model(arrangement), random_ids(60)
    for layer in range(1, len(model.layers()) + 1):
        found = compute_activations(TorchBackend(model), ContinuousText(ids), layer)
        np.testing.assert_allclose(found, one_by_one(model, ids, layer), atol=1e-6)
        assert found.shape == (60, len(name_units(TorchBackend(model))))


def test_units_are_named_by_their_part_and_number() -> None:
    assert name_units(TorchBackend(make_model("gru", hidden=3))) == ["h1", "h2", "h3"]
    assert name_units(TorchBackend(make_model("lstm", hidden=2))) == ["h1", "h2", "c1", "c2"]
    assert name_units(TorchBackend(make_model("stack", hidden=2))) == ["h1", "h2"]


@pytest.mark.slow
@pytest.mark.parametrize("arrangement", ["lstm", "pyramid of lstm"])
def test_streams_side_by_side_come_to_the_same_states(
    arrangement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, text = make_model(arrangement), ContinuousText(random_ids(1503))
    monkeypatch.setattr(activations, "_MOST_STREAMS", 1)
    alone = compute_activations(TorchBackend(model), text, 2)
    monkeypatch.setattr(activations, "_MOST_STREAMS", 5)
    monkeypatch.setattr(activations, "_LEAST_CHARACTERS", 100)
    beside = compute_activations(TorchBackend(model), text, 2)
    assert beside.shape == alone.shape
    np.testing.assert_allclose(beside, alone, atol=1e-4)


def test_a_wide_layer_is_looked_at_in_a_shorter_text(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model("lstm", hidden=5)
    assert limit_characters(TorchBackend(model)) == activations.MOST_CHARACTERS
    monkeypatch.setattr(activations, "MOST_NUMBERS", 1000)
    assert limit_characters(TorchBackend(model)) == 100


ALPHABET = Alphabet.of("abcdefg ()\n")


def bracketed(words: int, seed: int) -> str:
    """Words, some of them in brackets for a while, in lines of any length."""
    generator = np.random.default_rng(seed)
    text, inside = "", False
    for _ in range(words):
        if generator.random() < 0.2:
            text += ")" if inside else "("
            inside = not inside
        letters = generator.choice(list("abcdefg"), generator.integers(1, 8))
        text += "".join(letters) + str(generator.choice([" ", " ", " ", "\n"]))
    return text


@pytest.mark.slow
def test_the_unit_that_is_made_to_follow_brackets_is_found() -> None:
    """A bracket throws unit 4 over to one side or the other, where it stays until the next."""
    shape = ModelConfig(cell="rnn", layers=1, hidden=12, embedding=11, norm="none")
    model = build_model(shape, len(ALPHABET), seed=2).eval().requires_grad_(False)
    weights = dict(model.named_parameters())
    weights["embedding.weight"].copy_(torch.eye(11))
    for name in ("input_weight", "recurrent_weight"):
        weights[f"cells.0.{name}"][3] = 0
        weights[f"cells.0.{name}"][:, 3] *= name == "input_weight"
    weights["cells.0.recurrent_weight"][3, 3] = 3
    for bracket, push in (("(", 9.0), (")", -9.0)):
        weights["cells.0.input_weight"][3, ALPHABET.characters.index(bracket)] = push
    text = bracketed(700, 1)
    active = compute_activations(TorchBackend(model), ContinuousText(ALPHABET.encode(text)), 1)
    found = find_followers(active, compute_features(text), 1)
    follower = next(one for one in found if one.feature == "inside brackets")
    assert name_units(TorchBackend(model))[follower.unit] == "h4"
    assert follower.correlation > 0.95


def test_of_records_the_activations_are_those_of_each_by_itself() -> None:
    model, end = make_model("lstm"), 10
    records = [random_ids(5 + number, characters=10) for number in range(4)]
    ids = np.concatenate([np.append(end, record) for record in records]).astype(np.uint8)
    alone = [one_by_one(model, np.append(end, record).astype(np.uint8), 2) for record in records]
    found = compute_activations(TorchBackend(model), RecordText(ids, end), 2)
    np.testing.assert_allclose(found, np.concatenate(alone), atol=1e-6)
    assert (
        abs(found - compute_activations(TorchBackend(model), ContinuousText(ids), 2)).max() > 0.01
    )


END = 10
RECORDS = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 0, 1], [2, 3], [4, 5, 6, 7], [8]]
TEXT = np.array([END, *(one for record in RECORDS for one in (*record, END)), 1, 2], np.uint8)
"""The last record is cut."""


@pytest.mark.slow
@pytest.mark.parametrize("arrangement", KINDS)
def test_each_record_is_read_from_a_fresh_state_and_each_character_once(
    arrangement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most_rows in (1, 4, 256):
        monkeypatch.setattr(activations, "_MOST_ROWS", most_rows)
        model = make_model(arrangement)
        found = {
            int(place): [part[row] for part in states.layers[-1]]
            for places, states in read_records(TorchBackend(model), RecordText(TEXT, END))
            for row, place in enumerate(places)
        }
        assert sorted(found) == list(range(len(TEXT)))
        states = model.initial_states(1)
        for place, character in enumerate(TEXT.tolist()):
            if character == END:
                states = model.initial_states(1)
            with torch.inference_mode():
                _, states = model(torch.tensor([[character]]), states)
            for beside, alone in zip(found[place], states[-1], strict=True):
                torch.testing.assert_close(beside, alone[0], atol=1e-5, rtol=0)
