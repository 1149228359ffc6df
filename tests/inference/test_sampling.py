"""Sampling: filters, draws, stop strings, and many samples at once through either backend."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import Alphabet, encode_default_prime
from charrnn.inference.backend import Backend
from charrnn.inference.sampling import (
    StopScanner,
    build_filters,
    draw_index,
    filter_distribution,
    order_pieces,
    sample,
)
from charrnn.kernels.network import Filters
from tests.support.arrangements import KINDS
from tests.support.networks import SERVED, backend_of, both_kinds, needs_library

LOGITS = np.log(np.array([0.5, 0.25, 0.15, 0.1]))


def test_temperature_one_leaves_the_distribution_as_it_is() -> None:
    np.testing.assert_allclose(
        filter_distribution(LOGITS, Filters()), [0.5, 0.25, 0.15, 0.1], atol=1e-15
    )


def test_temperature_is_a_power_of_the_probabilities() -> None:
    expected = np.array([0.5, 0.25, 0.15, 0.1]) ** 2
    np.testing.assert_allclose(
        filter_distribution(LOGITS, Filters(temperature=0.5)), expected / expected.sum()
    )


def test_temperature_zero_takes_the_first_of_the_likeliest() -> None:
    tied = np.array([0.0, 3.0, 3.0])
    np.testing.assert_array_equal(filter_distribution(tied, Filters(temperature=0.0)), [0, 1, 0])


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        (Filters(top_k=1), 1),
        (Filters(top_k=3), 3),
        (Filters(top_k=99), 4),
        (Filters(top_p=0.0), 1),
        (Filters(top_p=0.5), 1),
        (Filters(top_p=0.51), 2),
        (Filters(top_p=0.9), 3),
        (Filters(top_p=1.0), 4),
        (Filters(min_p=0.19), 4),
        (Filters(min_p=0.21), 3),
        (Filters(min_p=0.31), 2),
        (Filters(min_p=1.0), 1),
        (Filters(top_k=3, top_p=0.8), 2),
    ],
)
def test_filters_keep_the_likeliest(filters: Filters, kept: int) -> None:
    left = filter_distribution(LOGITS, filters)
    assert np.count_nonzero(left) == kept
    assert (left[:kept] > 0).all()
    assert left.sum() == pytest.approx(1)


def test_top_k_among_equals_keeps_exactly_k() -> None:
    left = filter_distribution(np.zeros(6), Filters(top_k=2))
    np.testing.assert_allclose(left, [0.5, 0.5, 0, 0, 0, 0])


def test_extreme_logits_stay_finite() -> None:
    left = filter_distribution(np.array([1e4, -1e4, 0.0]), Filters(temperature=0.01))
    np.testing.assert_array_equal(left, [1, 0, 0])


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(lambda p: sum(p) > 1e-3),
    st.floats(0, 1, exclude_max=True),
)
def test_a_draw_never_falls_on_probability_zero(weights: list[float], uniform: float) -> None:
    probabilities = np.array(weights) / sum(weights)
    assert probabilities[draw_index(probabilities, uniform)] > 0


def test_draws_follow_the_distribution() -> None:
    probabilities = np.array([0.2, 0.0, 0.5, 0.3])
    uniforms = np.random.default_rng(0).random(20_000)
    counts = np.bincount([draw_index(probabilities, u) for u in uniforms], minlength=4)
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


ALPHABET = Alphabet.of("abcdefghi \n")


def drawn(backend: Backend, config: SampleConfig, *, seed: int = 5, prime: str = "") -> list[str]:
    texts = [""] * config.count
    ended: set[int] = set()
    for piece in sample(backend, ALPHABET, config, ALPHABET.encode(prime), seed):
        assert piece.sample not in ended
        texts[piece.sample] += piece.symbols
        ended |= {piece.sample} if piece.last else set()
    assert ended == set(range(config.count))
    return texts


@pytest.mark.slow
@needs_library
@pytest.mark.parametrize("arrangement", SERVED)
def test_a_seed_gives_the_same_text_through_either_backend(arrangement: str) -> None:
    config = SampleConfig(length=400, count=2, temperature=0.9, top_k=8, top_p=0.95, min_p=0.01)
    texts = [drawn(backend_of(kind, arrangement), config) for kind in ("native", "torch")]
    assert texts[0] == texts[1]


@needs_library
@pytest.mark.parametrize("prime", ["", "a", "abc\nab"])
def test_the_prime_is_read_alike_through_either_backend(prime: str) -> None:
    config = SampleConfig(length=30)
    texts = [drawn(backend_of(kind, "gru"), config, prime=prime) for kind in ("native", "torch")]
    assert texts[0] == texts[1]


@needs_library
@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_native_sample_is_the_same_whatever_the_count_and_the_threads(bfloat16: bool) -> None:
    one, two = (backend_of("native", "lstm", bfloat16=bfloat16, threads=n) for n in (1, 2))
    whole = drawn(one, SampleConfig(length=50, count=70))
    assert len(set(whole)) == 70
    for count in (1, 2, 7, 64, 65):
        assert drawn(two, SampleConfig(length=50, count=count)) == whole[:count]


@pytest.mark.slow
@pytest.mark.parametrize("arrangement", KINDS)
def test_a_sample_through_torch_is_the_same_whatever_the_count(arrangement: str) -> None:
    backend = backend_of("torch", arrangement)
    most = backend.rows_to_draw + 1
    texts = drawn(backend, SampleConfig(length=60, count=most), seed=9)
    assert len(set(texts)) == most
    for count in (1, 3):
        assert drawn(backend, SampleConfig(length=60, count=count), seed=9) == texts[:count]


@both_kinds
def test_another_seed_gives_another_text(kind: str) -> None:
    backend, config = backend_of(kind, "lstm"), SampleConfig(length=60)
    assert drawn(backend, config, seed=1) == drawn(backend, config, seed=1)
    assert drawn(backend, config, seed=1) != drawn(backend, config, seed=2)


@both_kinds
def test_temperature_zero_follows_the_likeliest_character_of_a_whole_pass(kind: str) -> None:
    backend = backend_of(kind, "gru")
    (text,) = drawn(backend, SampleConfig(temperature=0.0, length=40), prime="abc")
    logits, _ = backend.predict(ALPHABET.encode("abc" + text)[:, None], backend.initial_state(1))
    assert text == ALPHABET.decode(logits[2:-1, 0].argmax(-1))


@both_kinds
def test_the_prime_matters_and_is_not_repeated(kind: str) -> None:
    backend, config = backend_of(kind, "lstm"), SampleConfig(length=30)
    one, other = drawn(backend, config, prime="aaaa"), drawn(backend, config, prime="iiii")
    assert one != other
    assert len(one[0]) == 30


@both_kinds
def test_without_a_prime_a_text_begins_like_a_line(kind: str) -> None:
    backend = backend_of(kind, "lstm")
    assert ALPHABET.decode(encode_default_prime(ALPHABET)) == "\n"
    assert Alphabet.of("ab ").decode(encode_default_prime(Alphabet.of("ab "))) == " "
    assert Alphabet.of("xy").decode(encode_default_prime(Alphabet.of("xy"))) == "x"
    config = SampleConfig(length=20)
    assert drawn(backend, config) == drawn(backend, config, prime="\n")


@both_kinds
def test_a_length_of_zero_draws_nothing(kind: str) -> None:
    backend = backend_of(kind, "lstm")
    assert drawn(backend, SampleConfig(length=0, count=3)) == ["", "", ""]
    pieces = list(sample(backend, ALPHABET, SampleConfig(length=0), ALPHABET.encode("a"), 0))
    assert [(piece.symbols, piece.last) for piece in pieces] == [("", True)]


@pytest.mark.slow
@both_kinds
def test_a_stop_ends_each_sample_before_itself(kind: str) -> None:
    backend, stops = backend_of(kind, "lstm"), ("ab", "c\nd", "gh")
    whole = drawn(backend, SampleConfig(length=300, count=9))
    stopped = drawn(backend, SampleConfig(length=300, count=9, stop=stops))
    for text, cut in zip(whole, stopped, strict=True):
        ends = [text.index(stop) for stop in stops if stop in text]
        assert cut == text[: min(ends, default=len(text))]
    assert len({len(cut) for cut in stopped}) > 3


@needs_library
def test_the_first_character_comes_at_once_and_pieces_grow() -> None:
    config = SampleConfig(length=1000)
    pieces = sample(backend_of("native", "lstm"), ALPHABET, config, ALPHABET.encode("a"), 1)
    sizes = [len(piece.symbols) for piece in pieces]
    assert sizes[0] == 1
    assert sum(sizes) == 1000
    assert len(sizes) < 1000


@both_kinds
def test_samples_come_in_order_and_as_soon_as_their_turn_has_come(kind: str) -> None:
    config = SampleConfig(length=5, count=3)
    pieces = list(sample(backend_of(kind, "lstm"), ALPHABET, config, ALPHABET.encode(""), 0))
    assert [piece.sample for piece in pieces[:3]] == [0, 1, 2]
    turns = list(order_pieces(pieces))
    each = len(turns) // 3
    assert [piece.sample for piece in turns] == [0] * each + [1] * each + [2] * each
    first = order_pieces(iter(pieces))
    assert next(first) is pieces[0]


def test_the_settings_that_shape_the_distribution_become_filters() -> None:
    config = SampleConfig(temperature=0.5, top_k=3, top_p=0.9, min_p=0.1)
    assert build_filters(config) == Filters(temperature=0.5, top_k=3, top_p=0.9, min_p=0.1)
