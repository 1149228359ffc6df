"""What sampling is made of: filters, draws, stop strings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config.inference import SampleConfig
from charrnn.inference.sampling import StopScanner, draw, filter_distribution

LOGITS = np.log(np.array([0.5, 0.25, 0.15, 0.1]))


def test_temperature_one_leaves_the_distribution_as_it_is() -> None:
    np.testing.assert_allclose(
        filter_distribution(LOGITS, SampleConfig()), [0.5, 0.25, 0.15, 0.1], atol=1e-15
    )


def test_temperature_is_a_power_of_the_probabilities() -> None:
    expected = np.array([0.5, 0.25, 0.15, 0.1]) ** 2
    np.testing.assert_allclose(
        filter_distribution(LOGITS, SampleConfig(temp=0.5)), expected / expected.sum()
    )


def test_temperature_zero_takes_the_first_of_the_likeliest() -> None:
    tied = np.array([0.0, 3.0, 3.0])
    np.testing.assert_array_equal(filter_distribution(tied, SampleConfig(temp=0.0)), [0, 1, 0])


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        (SampleConfig(top_k=1), 1),
        (SampleConfig(top_k=3), 3),
        (SampleConfig(top_k=99), 4),
        (SampleConfig(top_p=0.0), 1),
        (SampleConfig(top_p=0.5), 1),
        (SampleConfig(top_p=0.51), 2),
        (SampleConfig(top_p=0.9), 3),
        (SampleConfig(top_p=1.0), 4),
        (SampleConfig(min_p=0.19), 4),
        (SampleConfig(min_p=0.21), 3),
        (SampleConfig(min_p=0.31), 2),
        (SampleConfig(min_p=1.0), 1),
        (SampleConfig(top_k=3, top_p=0.8), 2),
    ],
)
def test_filters_keep_the_likeliest(config: SampleConfig, kept: int) -> None:
    left = filter_distribution(LOGITS, config)
    assert np.count_nonzero(left) == kept
    assert (left[:kept] > 0).all()
    assert left.sum() == pytest.approx(1)


def test_top_k_among_equals_keeps_exactly_k() -> None:
    left = filter_distribution(np.zeros(6), SampleConfig(top_k=2))
    np.testing.assert_allclose(left, [0.5, 0.5, 0, 0, 0, 0])


def test_extreme_logits_stay_finite() -> None:
    left = filter_distribution(np.array([1e4, -1e4, 0.0]), SampleConfig(temp=0.01))
    np.testing.assert_array_equal(left, [1, 0, 0])


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(lambda p: sum(p) > 1e-3),
    st.floats(0, 1, exclude_max=True),
)
def test_a_draw_never_falls_on_probability_zero(weights: list[float], uniform: float) -> None:
    probabilities = np.array(weights) / sum(weights)
    assert probabilities[draw(probabilities, uniform)] > 0


def test_draws_follow_the_distribution() -> None:
    probabilities = np.array([0.2, 0.0, 0.5, 0.3])
    uniforms = np.random.default_rng(0).random(20_000)
    counts = np.bincount([draw(probabilities, u) for u in uniforms], minlength=4)
    np.testing.assert_allclose(counts / 20_000, probabilities, atol=0.015)


@given(st.text("abc", max_size=40), st.lists(st.text("abc", min_size=1, max_size=4), max_size=3))
def test_a_scanner_ends_where_the_first_stop_string_is_complete(
    text: str, stops: list[str]
) -> None:
    scanner, seen = StopScanner(stops), ""
    for symbol in text:
        seen += scanner.feed(symbol)
        if scanner.stopped:
            break
    seen += scanner.flush()
    ends = [text.index(stop) + len(stop) for stop in stops if stop in text]
    if not ends:
        assert not scanner.stopped
        assert seen == text
    else:
        complete = text[: min(ends)]
        assert scanner.stopped
        assert seen in {complete.removesuffix(stop) for stop in stops if complete.endswith(stop)}


def test_a_scanner_holds_back_no_more_than_could_become_a_stop() -> None:
    scanner = StopScanner(["xyz"])
    assert [scanner.feed(symbol) for symbol in "axxyb"] == ["a", "", "x", "", "xyb"]


@given(
    st.text("abc", max_size=40),
    st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(1, 9), max_size=20),
)
def test_a_scanner_makes_the_same_of_blocks(text: str, stops: list[str], sizes: list[int]) -> None:
    one_by_one, in_blocks = StopScanner(stops), StopScanner(stops)
    place = 0
    for size in [*sizes, len(text)]:
        block = text[place : place + size]
        place += size
        expected = ""
        for symbol in block:
            expected += one_by_one.feed(symbol)
            if one_by_one.stopped:
                break
        assert in_blocks.feed(block) == expected
        assert in_blocks.stopped == one_by_one.stopped
        if in_blocks.stopped:
            return
    assert in_blocks.flush() == one_by_one.flush()
