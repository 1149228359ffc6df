"""Drawing through the native network: the same text as through torch, whatever the count."""

from collections.abc import Callable

import numpy as np
import pytest

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import Alphabet
from charrnn.errors import CheckpointError
from charrnn.inference.sampling import sample
from charrnn.inference.torch_backend import sample as sample_through_torch
from tests.support.networks import SERVED, make_model, native, needs_library

ALPHABET = Alphabet.of("abcdefghi \n")

pytestmark = needs_library


def drawn(
    arrangement: str,
    config: SampleConfig,
    *,
    seed: int = 5,
    prime: str = "",
    threads: int = 1,
    bfloat16: bool = False,
) -> list[str]:
    network = native(arrangement, make_model(arrangement), bfloat16=bfloat16)
    texts = [""] * config.count
    ended: set[int] = set()
    for piece in sample(network, ALPHABET, config, ALPHABET.encode(prime), seed, threads):
        assert piece.sample not in ended
        texts[piece.sample] += piece.symbols
        ended |= {piece.sample} if piece.last else set()
    assert ended == set(range(config.count))
    return texts


def drawn_through_torch(arrangement: str, config: SampleConfig, prime: str = "") -> list[str]:
    texts = [""] * config.count
    model = make_model(arrangement)
    for piece in sample_through_torch(model, ALPHABET, config, ALPHABET.encode(prime), 5):
        texts[piece.sample] += piece.symbols
    return texts


@pytest.mark.parametrize("arrangement", SERVED)
def test_a_seed_gives_the_text_that_it_gives_through_torch(arrangement: str) -> None:
    config = SampleConfig(length=400, count=2, temp=0.9, top_k=8, top_p=0.95, min_p=0.01)
    assert drawn(arrangement, config) == drawn_through_torch(arrangement, config)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_sample_is_the_same_whatever_the_count_and_the_threads(bfloat16: bool) -> None:
    whole = drawn("lstm", SampleConfig(length=50, count=70), bfloat16=bfloat16)
    assert len(set(whole)) == 70
    for count in (1, 2, 7, 64, 65):
        config = SampleConfig(length=50, count=count)
        assert drawn("lstm", config, threads=2, bfloat16=bfloat16) == whole[:count]


@pytest.mark.parametrize("prime", ["", "a", "abc\nab"])
def test_the_prime_is_read_as_through_torch(prime: str) -> None:
    config = SampleConfig(length=30)
    assert drawn("gru", config, prime=prime) == drawn_through_torch("gru", config, prime)


def test_a_stop_ends_each_sample_before_itself() -> None:
    config = SampleConfig(length=300, count=9)
    whole = drawn("lstm", config)
    stops = ("ab", "c\nd", "gh")
    stopped = drawn("lstm", SampleConfig(length=300, count=9, stop=stops))
    for text, cut in zip(whole, stopped, strict=True):
        ends = [text.index(stop) for stop in stops if stop in text]
        assert cut == text[: min(ends, default=len(text))]
    assert len({len(cut) for cut in stopped}) > 3


def test_the_first_character_comes_at_once_and_blocks_grow() -> None:
    network = native("lstm", make_model("lstm"))
    config = SampleConfig(length=1000)
    sizes = [
        len(piece.symbols)
        for piece in sample(network, ALPHABET, config, ALPHABET.encode("a"), seed=1)
    ]
    assert sizes[0] == 1
    assert sum(sizes) == 1000
    assert len(sizes) < 1000


def test_a_length_of_zero_draws_nothing() -> None:
    assert drawn("lstm", SampleConfig(length=0, count=3)) == ["", "", ""]


def spoil(name: str) -> Callable[[], None]:
    def draw() -> None:
        model = make_model("rnn")
        model.state_dict()[name].view(-1)[0] = np.inf
        list(sample(native("rnn", model), ALPHABET, SampleConfig(length=9), ALPHABET.encode(""), 1))

    return draw


@pytest.mark.parametrize("name", ["head.bias", "norms.1.weight"])
def test_predictions_that_are_not_finite_are_an_error(name: str) -> None:
    with pytest.raises(CheckpointError, match="not finite"):
        spoil(name)()
