"""Witten-Bell n-grams: against counts in dictionaries, and as a distribution."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.evaluation import baselines
from charrnn.evaluation.baselines import score_ngrams

ORDERS = 4
V = 5

texts = st.lists(st.integers(0, V - 1), max_size=60)
some_text = st.lists(st.integers(0, V - 1), min_size=1, max_size=30)


def as_ids(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.uint8)


def costs(learnt: list[int], text: list[int], size: int = V) -> list[np.ndarray]:
    return list(score_ngrams(as_ids(learnt), as_ids(text), size, ORDERS))


class Reference:
    """The equations, word for word, over dictionaries of tuples."""

    def __init__(self, learnt: list[int], size: int) -> None:
        self.size = size
        self.followers: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for order in range(ORDERS):
            for end in range(order, len(learnt)):
                self.followers[tuple(learnt[end - order : end])][learnt[end]] += 1

    def probability(self, context: tuple[int, ...], character: int) -> float:
        below = self.probability(context[1:], character) if context else 1 / self.size
        counts = self.followers.get(context)
        if not counts:
            return below
        different = len(counts)
        return (counts[character] + different * below) / (counts.total() + different)


@given(texts, some_text)
def test_the_costs_are_those_of_counts_in_dictionaries(learnt: list[int], text: list[int]) -> None:
    reference = Reference(learnt, V)
    whole = learnt + text
    for order, nats in enumerate(costs(learnt, text)):
        for place, cost in enumerate(nats):
            end = len(learnt) + place
            context = tuple(whole[max(end - order, 0) : end])
            expected = -math.log(reference.probability(context, whole[end]))
            assert cost == pytest.approx(expected, rel=1e-12)


@given(texts, texts)
def test_probabilities_sum_to_one_in_every_context(learnt: list[int], context: list[int]) -> None:
    each = [costs(learnt, [*context, character]) for character in range(V)]
    for order in range(ORDERS):
        total = sum(math.exp(-nats[order][-1]) for nats in each)
        assert total == pytest.approx(1.0, rel=1e-12)


def test_what_was_never_read_costs_the_logarithm_of_the_alphabet() -> None:
    for nats in costs([], [0, 3, 3, 3, 1], size=7):
        assert nats == pytest.approx(math.log(7))


def test_a_uniform_text_costs_about_the_logarithm_of_its_alphabet_at_order_0() -> None:
    rng = np.random.default_rng(1)
    learnt, text = (rng.integers(0, 8, 40_000).astype(np.uint8) for _ in range(2))
    first, *others = score_ngrams(learnt, text, 8, 3)
    assert first.mean() == pytest.approx(math.log(8), abs=0.001)
    for nats in others:
        assert nats.mean() >= math.log(8) - 0.001


def test_the_text_itself_is_not_counted() -> None:
    learnt, text = [0, 1, 2, 3] * 10, [4, 3, 2, 1, 0] * 6
    once, twice = costs(learnt, text), costs(learnt, text + text)
    for one, both in zip(once, twice, strict=True):
        assert list(one) == list(both[: len(one)])


def test_keys_too_large_to_carry_their_places_are_numbered_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(2)
    learnt, text = (rng.integers(0, 300, 900).astype(np.uint16) for _ in range(2))
    packed = [nats.tolist() for nats in score_ngrams(learnt, text, 300, ORDERS)]
    monkeypatch.setattr(baselines, "_BITS", 8)
    assert [nats.tolist() for nats in score_ngrams(learnt, text, 300, ORDERS)] == packed
