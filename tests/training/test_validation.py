"""Held-out text is scored from its beginning, every character once."""

import math

import numpy as np
import pytest
import torch

from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.models.char_model import build_model
from charrnn.training.validation import HeldOut
from tests.support.arrangements import configure

IDS = np.array([0, 1, 2, 0, 2, 0, 1, 1, 2, 2, 0], np.uint8)
TEXTS = [ContinuousText(IDS), RecordText(IDS, end=0)]


@pytest.mark.parametrize("text", TEXTS)
def test_of_a_long_text_the_beginning_is_scored(
    text: EncodedText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.training.validation.MOST_SCORED", 7)
    held_out = HeldOut(text, configure("gru"))
    assert held_out.text.ids.tolist() == text.first(7).ids.tolist()
    assert 0 < len(held_out) < len(text)


@pytest.mark.parametrize("arrangement", ["gru", "stack"])
@pytest.mark.parametrize("text", TEXTS)
def test_every_character_is_scored_or_charged_once(text: EncodedText, arrangement: str) -> None:
    config = configure(arrangement, hidden=4, embedding=2)
    held_out = HeldOut(text, config)
    model = build_model(config, 3)
    total = held_out.open_sum(model)
    for nats, characters in held_out.score(model):
        total.add(nats, characters)
    assert total.characters == len(text.scored)
    assert total.nats > 0


@pytest.mark.parametrize("text", TEXTS)
def test_predictions_that_are_not_finite_show_in_the_sum_so_that_training_can_go_back(
    text: EncodedText,
) -> None:
    config = configure("gru", hidden=4, embedding=2)
    held_out = HeldOut(text, config)
    model = build_model(config, 3)
    model.head.bias.data[0] = torch.inf
    assert not math.isfinite(sum(nats for nats, _ in held_out.score(model)))
