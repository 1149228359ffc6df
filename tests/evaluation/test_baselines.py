"""Baselines of a text: n-gram models, compressors, and the figures put together from both."""

from __future__ import annotations

import math
import random
import zlib
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.data import ngrams
from charrnn.data.alphabet import Alphabet
from charrnn.evaluation import baselines
from charrnn.evaluation.baselines import (
    COMPRESSORS,
    ORDERS,
    Baselines,
    measure_baselines,
    measure_compressed_bits,
    score_ngrams,
)
from tests.conftest import SENTENCES

TEXT = "\n".join(SENTENCES * 20)
ALPHABET = Alphabet.of(TEXT)
IDS = ALPHABET.encode(TEXT)
LEARNED, HELD_OUT = np.split(IDS, [3000])


def test_the_figures_are_means_over_the_characters() -> None:
    found = measure_baselines(LEARNED, HELD_OUT, ALPHABET, ["zlib", "xz"], most=10**6)
    scores = list(baselines.score_ngrams(LEARNED, HELD_OUT, len(ALPHABET), ORDERS))
    assert found.ngrams == tuple(nats.mean() for nats in scores)
    data = TEXT.encode()
    bits = measure_compressed_bits(data[:3000], data[3000:], ["zlib", "xz"])
    for name, cost in bits.items():
        expected = cost * math.log(2) / len(HELD_OUT)
        assert found.compressors[name] == pytest.approx(expected)
    assert (found.learnt, found.scored) == (3000, len(HELD_OUT))


def test_the_best_order_is_that_of_the_least_cost() -> None:
    assert Baselines((3.0, 2.0, 1.5, 1.7), {}, 1, 1).best_order == 2


def test_of_too_much_the_nearest_is_taken() -> None:
    bounded = measure_baselines(LEARNED, HELD_OUT, ALPHABET, ["zlib"], most=400)
    assert (bounded.learnt, bounded.scored) == (400, 100)
    assert bounded == measure_baselines(
        LEARNED[-400:], HELD_OUT[:100], ALPHABET, ["zlib"], most=400
    )


def test_characters_of_many_bytes_are_compressed_as_a_file_holds_them() -> None:
    text = "\u4e2d\u6587\u5b57" * 50
    alphabet = Alphabet.of(text)
    ids = alphabet.encode(text)
    found = measure_baselines(ids[:100], ids[100:], alphabet, ["bz2"], most=10**6)
    bits = measure_compressed_bits(text[:100].encode(), text[100:].encode(), ["bz2"])["bz2"]
    assert found.compressors["bz2"] == pytest.approx(bits * math.log(2) / 50)


NGRAM_ORDERS = 4
V = 5

texts = st.lists(st.integers(0, V - 1), max_size=60)
some_text = st.lists(st.integers(0, V - 1), min_size=1, max_size=30)


def as_ids(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.uint8)


def costs(learned: list[int], text: list[int], size: int = V) -> list[np.ndarray]:
    return list(score_ngrams(as_ids(learned), as_ids(text), size, NGRAM_ORDERS))


class Reference:
    """The equations, word for word, over dictionaries of tuples; None is the end of the text."""

    def __init__(self, learned: list[int], size: int) -> None:
        self.size = size
        self.followers: defaultdict[tuple[int, ...], Counter[int | None]] = defaultdict(Counter)
        for order in range(NGRAM_ORDERS):
            for end in range(order, len(learned)):
                self.followers[tuple(learned[end - order : end])][learned[end]] += 1
            if order and order <= len(learned):
                self.followers[tuple(learned[len(learned) - order :])][None] += 1

    def probability(self, context: tuple[int, ...], character: int) -> float:
        below = self.probability(context[1:], character) if context else 1 / self.size
        counts = self.followers.get(context)
        if not counts or set(counts) == {None}:
            return below
        different = len(counts)
        left = different + counts[None]
        return (counts[character] + left * below) / (counts.total() + different)


@given(texts, some_text)
def test_the_costs_are_those_of_counts_in_dictionaries(learned: list[int], text: list[int]) -> None:
    reference = Reference(learned, V)
    whole = learned + text
    for order, nats in enumerate(costs(learned, text)):
        for place, cost in enumerate(nats):
            end = len(learned) + place
            context = tuple(whole[max(end - order, 0) : end])
            expected = -math.log(reference.probability(context, whole[end]))
            assert cost == pytest.approx(expected, rel=1e-12)


@given(texts, texts)
def test_probabilities_sum_to_one_in_every_context(learned: list[int], context: list[int]) -> None:
    each = [costs(learned, [*context, character]) for character in range(V)]
    for order in range(NGRAM_ORDERS):
        total = sum(math.exp(-nats[order][-1]) for nats in each)
        assert total == pytest.approx(1.0, rel=1e-12)


def test_what_was_never_read_costs_the_logarithm_of_the_alphabet() -> None:
    for nats in costs([], [0, 3, 3, 3, 1], size=7):
        assert nats == pytest.approx(math.log(7))


def test_a_uniform_text_costs_about_the_logarithm_of_its_alphabet_at_order_0() -> None:
    rng = np.random.default_rng(1)
    learned, text = (rng.integers(0, 8, 40_000).astype(np.uint8) for _ in range(2))
    first, *others = score_ngrams(learned, text, 8, 3)
    assert first.mean() == pytest.approx(math.log(8), abs=0.001)
    for nats in others:
        assert nats.mean() >= math.log(8) - 0.001


def test_the_text_itself_is_not_counted() -> None:
    learned, text = [0, 1, 2, 3] * 10, [4, 3, 2, 1, 0] * 6
    once, twice = costs(learned, text), costs(learned, text + text)
    for one, both in zip(once, twice, strict=True):
        assert list(one) == list(both[: len(one)])


def test_keys_too_large_to_carry_their_places_are_numbered_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(2)
    learned, text = (rng.integers(0, 300, 900).astype(np.uint16) for _ in range(2))
    packed = [nats.tolist() for nats in score_ngrams(learned, text, 300, NGRAM_ORDERS)]
    monkeypatch.setattr(ngrams, "_BITS", 8)
    assert [nats.tolist() for nats in score_ngrams(learned, text, 300, NGRAM_ORDERS)] == packed


NOISE = random.Random(1).randbytes(30_000)


def test_the_cost_is_that_of_both_less_that_of_the_first() -> None:
    first, second = b"the heron stood " * 50, b"in the ford and counted"
    sizes = [len(zlib.compress(data, 9)) for data in (first + second, first)]
    assert measure_compressed_bits(first, second, ["zlib"]) == {"zlib": 8 * (sizes[0] - sizes[1])}


@pytest.mark.parametrize("name", COMPRESSORS)
def test_noise_costs_all_its_bits(name: str) -> None:
    half = len(NOISE) // 2
    bits = measure_compressed_bits(NOISE[:half], NOISE[half:], [name])[name]
    assert bits == pytest.approx(8 * half, rel=0.02)


@pytest.mark.parametrize("name", ["zlib", "xz"])
def test_what_was_read_before_costs_next_to_nothing(name: str) -> None:
    bits = measure_compressed_bits(NOISE, NOISE[-20_000:], [name])[name]
    assert bits < 8 * 500


@pytest.mark.slow
def test_only_xz_looks_back_beyond_its_neighborhood() -> None:
    far = NOISE + random.Random(2).randbytes(1_000_000)
    bits = measure_compressed_bits(far, NOISE, list(COMPRESSORS))
    assert bits["xz"] < 8 * 2_000
    assert bits["zlib"] > 8 * 29_000
    assert bits["bz2"] > 8 * 29_000


def test_only_the_compressors_asked_for_are_tried() -> None:
    assert set(measure_compressed_bits(b"a", b"b", ["bz2", "xz"])) == {"bz2", "xz"}
