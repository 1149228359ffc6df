"""Baselines of a text, put together from n-gram models and compressors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from charrnn.data.alphabet import Alphabet
from charrnn.evaluation import baselines
from charrnn.evaluation.baselines import (
    ORDERS,
    Baselines,
    measure_baselines,
    measure_compressed_bits,
)
from tests.conftest import SENTENCES

TEXT = "\n".join(SENTENCES * 20)
ALPHABET = Alphabet.of(TEXT)
IDS = ALPHABET.encode(TEXT)
LEARNT, HELD_OUT = np.split(IDS, [3000])


def test_the_figures_are_means_over_the_characters() -> None:
    found = measure_baselines(LEARNT, HELD_OUT, ALPHABET, ["zlib", "xz"], most=10**6)
    scores = list(baselines.score_ngrams(LEARNT, HELD_OUT, len(ALPHABET), ORDERS))
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
    bounded = measure_baselines(LEARNT, HELD_OUT, ALPHABET, ["zlib"], most=400)
    assert (bounded.learnt, bounded.scored) == (400, 100)
    assert bounded == measure_baselines(LEARNT[-400:], HELD_OUT[:100], ALPHABET, ["zlib"], most=400)


def test_characters_of_many_bytes_are_compressed_as_a_file_holds_them() -> None:
    text = "\u4e2d\u6587\u5b57" * 50
    alphabet = Alphabet.of(text)
    ids = alphabet.encode(text)
    found = measure_baselines(ids[:100], ids[100:], alphabet, ["bz2"], most=10**6)
    bits = measure_compressed_bits(text[:100].encode(), text[100:].encode(), ["bz2"])["bz2"]
    assert found.compressors["bz2"] == pytest.approx(bits * math.log(2) / 50)
