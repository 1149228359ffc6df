"""Drawing: filters, stops, seeds, batches."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charrnn.alphabet import Alphabet
from charrnn.config import SampleConfig
from charrnn.drawing import StopScanner, draw, filter_distribution, in_order, opening
from charrnn.model import CharModel, build_model
from charrnn.sample import TILE, sample
from tests.arrangements import ARRANGEMENTS, configure

ALPHABET = Alphabet.of("abcdefghij \n")


def make(arrangement: str = "lstm") -> CharModel:
    config = configure(arrangement, hidden=16, embedding=8)
    model = build_model(config, len(ALPHABET), seed=4).eval()
    # A sharper head, so that texts differ by more than noise.
    torch.nn.init.normal_(model.head.weight, std=0.6, generator=torch.Generator().manual_seed(0))
    return model


def drawn(model: CharModel, config: SampleConfig, seed: int = 0, prime: str = "") -> list[str]:
    texts: dict[int, str] = {}
    for piece in sample(model, ALPHABET, config, ALPHABET.encode(prime), seed):
        texts[piece.sample] = texts.get(piece.sample, "") + piece.symbols
    return [texts[number] for number in range(config.count)]


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


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_a_sample_is_the_same_whatever_the_count(arrangement: str) -> None:
    model = make(arrangement)
    texts = drawn(model, SampleConfig(length=60, count=2 * TILE + 1), seed=9)
    assert len(set(texts)) == len(texts)
    for count in range(1, 2 * TILE + 1):
        assert drawn(model, SampleConfig(length=60, count=count), seed=9) == texts[:count]


def test_another_seed_gives_another_text() -> None:
    model, config = make(), SampleConfig(length=60)
    assert drawn(model, config, seed=1) == drawn(model, config, seed=1)
    assert drawn(model, config, seed=1) != drawn(model, config, seed=2)


def test_temperature_zero_follows_the_likeliest_character_of_a_whole_pass() -> None:
    model = make().double()
    (text,) = drawn(model, SampleConfig(temp=0.0, length=40), prime="abc")
    ids = torch.from_numpy(ALPHABET.encode("abc" + text).astype(np.int64))[:, None]
    with torch.no_grad():
        logits, _ = model(ids, model.initial_states(1))
    likeliest = ALPHABET.decode(logits[2:-1, 0].argmax(-1).numpy())
    assert text == likeliest


def test_the_prime_matters_and_is_not_repeated() -> None:
    model, config = make(), SampleConfig(length=30)
    one, other = drawn(model, config, prime="aaaa"), drawn(model, config, prime="jjjj")
    assert one != other
    assert len(one[0]) == 30


def test_without_a_prime_a_text_begins_like_a_line() -> None:
    assert ALPHABET.decode(opening(ALPHABET)) == "\n"
    assert Alphabet.of("ab ").decode(opening(Alphabet.of("ab "))) == " "
    assert Alphabet.of("xy").decode(opening(Alphabet.of("xy"))) == "x"
    assert drawn(make(), SampleConfig(length=20)) == drawn(
        make(), SampleConfig(length=20), prime="\n"
    )


def test_a_length_of_zero_draws_nothing() -> None:
    pieces = list(sample(make(), ALPHABET, SampleConfig(length=0), ALPHABET.encode("a"), 0))
    assert [(piece.symbols, piece.last) for piece in pieces] == [("", True)]


def test_every_sample_ends_with_one_last_piece() -> None:
    config = SampleConfig(length=50, count=TILE + 2, stop=("a",))
    last = [p.sample for p in sample(make(), ALPHABET, config, ALPHABET.encode(""), 3) if p.last]
    assert sorted(last) == list(range(TILE + 2))


def test_a_stop_ends_the_sample_before_itself() -> None:
    model = make()
    (whole,) = drawn(model, SampleConfig(length=80), seed=5)
    stop = whole[40:42]
    (stopped,) = drawn(model, SampleConfig(length=80, stop=(stop,)), seed=5)
    assert stopped == whole[: whole.index(stop)]


def test_samples_come_in_order_and_as_soon_as_their_turn_has_come() -> None:
    config = SampleConfig(length=5, count=3)
    pieces = list(sample(make(), ALPHABET, config, ALPHABET.encode(""), 0))
    assert [piece.sample for piece in pieces[:3]] == [0, 1, 2]
    turns = list(in_order(pieces))
    assert [piece.sample for piece in turns] == [0] * 5 + [1] * 5 + [2] * 5
    first = in_order(iter(pieces))
    assert next(first) is pieces[0]


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
