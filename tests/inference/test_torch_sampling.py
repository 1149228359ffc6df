"""Drawing through torch: stops, seeds, batches."""

import numpy as np
import pytest
import torch

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import Alphabet, opening
from charrnn.inference.sampling import in_order
from charrnn.inference.torch_backend import TILE, sample
from charrnn.models.char_model import CharModel, build_model
from tests.support.arrangements import ARRANGEMENTS, configure

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
