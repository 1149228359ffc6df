"""Weights that follow the text: each character costs what it did before they moved."""

from __future__ import annotations

import math

import numpy as np
import pytest

from charrnn.data.alphabet import Alphabet, Ids
from charrnn.data.encoded_text import ContinuousText
from charrnn.evaluation.dynamic import SEGMENT, evaluate_dynamically, score_dynamically
from charrnn.evaluation.scorer import Part
from charrnn.inference.torch_backend import TorchBackend
from charrnn.models.char_model import CharModel, build_model
from tests.support.arrangements import KINDS, configure
from tests.support.networks import make_expert

ALPHABET = 7


def make(arrangement: str = "lstm") -> CharModel:
    config = configure(arrangement, hidden=12, embedding=6)
    return build_model(config, ALPHABET, seed=3).eval().requires_grad_(False)


def text(length: int) -> Ids:
    return (np.arange(length) % ALPHABET).astype(np.uint8)


def segments(model: CharModel, ids: Ids) -> list[Part]:
    return list(score_dynamically(model, ids))


@pytest.mark.parametrize("arrangement", KINDS)
def test_the_first_segment_costs_what_it_always_did(arrangement: str) -> None:
    ids = text(3 * SEGMENT)
    backend = TorchBackend(make(arrangement))
    nats, _ = backend.score(ids[:-1, None], ids[1:, None], backend.initial_state(1))
    expected = [float(part.sum()) for part in np.split(nats, [SEGMENT, 2 * SEGMENT])]
    found = [part.nats for part in segments(make(arrangement), ids)]
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[1:] != pytest.approx(expected[1:], rel=1e-5)


def test_an_expert_is_joined_with_the_network_as_it_was_and_as_it_becomes() -> None:
    ids, expert = text(3 * SEGMENT), make_expert(ALPHABET)
    backend = TorchBackend(make(), expert)
    nats, _ = backend.score(ids[:-1, None], ids[1:, None], backend.initial_state(1))
    found = [part.nats for part in score_dynamically(make(), ids, expert)]
    assert found[0] == pytest.approx(float(nats[:SEGMENT].sum()), rel=1e-5)
    assert found[2] < float(nats[2 * SEGMENT :].sum())


def test_what_comes_later_changes_no_earlier_score() -> None:
    ids = text(3 * SEGMENT)
    other = ids.copy()
    other[2 * SEGMENT + 1 :] = 0
    found, changed = (segments(make(), some) for some in (ids, other))
    assert found[:2] == changed[:2]
    assert found[2] != changed[2]


@pytest.mark.slow
def test_a_text_that_repeats_itself_gets_cheaper() -> None:
    found = segments(make(), text(200 * SEGMENT + 1))
    assert found[-1].nats < 0.5 * found[0].nats


@pytest.mark.parametrize("length", [1, 2, SEGMENT, SEGMENT + 1, SEGMENT + 2])
def test_every_character_but_the_first_is_scored_once(length: int) -> None:
    assert sum(part.characters for part in segments(make(), text(length))) == length - 1


def test_the_score_is_that_of_all_segments() -> None:
    ids, alphabet = text(300), Alphabet.of("abcdefg")
    told: list[int] = []
    score = evaluate_dynamically(make(), ContinuousText(ids), alphabet, told.append)
    expected = math.fsum(part.nats for part in segments(make(), ids)) + math.log(ALPHABET)
    assert score.nats == pytest.approx(expected, rel=1e-12)
    assert (score.characters, told[-1]) == (300, 300)
