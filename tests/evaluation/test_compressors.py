"""The standard library's compressors as readers of one text after another."""

from __future__ import annotations

import random
import zlib

import pytest

from charrnn.evaluation.baselines import COMPRESSORS, measure_compressed_bits

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
def test_only_xz_looks_back_beyond_its_neighbourhood() -> None:
    far = NOISE + random.Random(2).randbytes(1_000_000)
    bits = measure_compressed_bits(far, NOISE, list(COMPRESSORS))
    assert bits["xz"] < 8 * 2_000
    assert bits["zlib"] > 8 * 29_000
    assert bits["bz2"] > 8 * 29_000


def test_only_the_compressors_asked_for_are_tried() -> None:
    assert set(measure_compressed_bits(b"a", b"b", ["bz2", "xz"])) == {"bz2", "xz"}
