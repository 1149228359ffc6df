"""Weights that follow the text: each character costs what it did before they moved."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from torch import Tensor

from charrnn.data.alphabet import Ids
from charrnn.evaluation.dynamic import SEGMENT, score_dynamically
from charrnn.evaluation.metrics import split_into_windows
from charrnn.evaluation.torch_scorer import score, score_windows
from charrnn.models.char_model import CharModel, build_model
from tests.support.arrangements import ARRANGEMENTS, configure

ALPHABET = 7


def make(arrangement: str = "lstm") -> CharModel:
    config = configure(arrangement, hidden=12, embedding=6)
    return build_model(config, ALPHABET, seed=3).eval().requires_grad_(False)


def text(length: int) -> Ids:
    return (np.arange(length) % ALPHABET).astype(np.uint8)


def nats(parts: Iterable[Tensor]) -> Tensor:
    return torch.cat([part.flatten() for part in parts])


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_the_first_segment_costs_what_it_always_did(arrangement: str) -> None:
    ids = text(3 * SEGMENT)
    expected = nats(score(make(arrangement), ids))
    found = nats(score_dynamically(make(arrangement), ids))
    assert len(found) == len(expected) == len(ids) - 1
    torch.testing.assert_close(found[:SEGMENT], expected[:SEGMENT], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found[SEGMENT:], expected[SEGMENT:])


def test_what_comes_later_changes_no_earlier_score() -> None:
    ids = text(3 * SEGMENT)
    other = ids.copy()
    other[2 * SEGMENT :] = 0
    found, changed = (nats(score_dynamically(make(), some)) for some in (ids, other))
    assert torch.equal(found[: 2 * SEGMENT - 1], changed[: 2 * SEGMENT - 1])


def test_a_text_that_repeats_itself_gets_cheaper() -> None:
    found = nats(score_dynamically(make(), text(200 * SEGMENT)))
    assert found[-SEGMENT:].mean() < 0.5 * found[:SEGMENT].mean()


@pytest.mark.parametrize("length", [1, 2, SEGMENT, SEGMENT + 1, SEGMENT + 2])
def test_every_character_but_the_first_is_scored_once(length: int) -> None:
    assert sum(part.numel() for part in score_dynamically(make(), text(length))) == length - 1


@pytest.mark.parametrize("window", [1, 5, 64, 1000])
@pytest.mark.parametrize("characters", [0, 1, 4, 64, 700])
def test_windows_hold_every_position_once(characters: int, window: int) -> None:
    found = [positions.T.ravel() for positions in split_into_windows(characters, window)]
    assert np.concatenate([np.arange(0), *found]).tolist() == list(range(characters))


def test_windows_forget_what_came_before_them() -> None:
    ids = text(50)
    found = nats(score_windows(make(), ids, 10))
    alone = torch.cat([nats(score(make(), ids[at : at + 11])) for at in range(0, 49, 10)])
    assert math.isclose(found.sum().item(), alone.sum().item(), rel_tol=1e-6)
    carried = nats(score(make(), ids))
    assert not math.isclose(found.sum().item(), carried.sum().item(), rel_tol=1e-4)


def test_one_long_window_is_the_carried_state() -> None:
    ids = text(300)
    found, carried = nats(score_windows(make(), ids, 10_000)), nats(score(make(), ids))
    torch.testing.assert_close(found, carried, atol=1e-5, rtol=1e-5)
