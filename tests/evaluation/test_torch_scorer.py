"""Scoring: every character once, exactly, with the state carried."""

import math

import numpy as np
import pytest
import torch

from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet, Ids
from charrnn.evaluation.metrics import Score, Tally
from charrnn.evaluation.torch_scorer import CONTEXT, evaluate, score, streams_for
from charrnn.models.char_model import CharModel, build_model
from tests.support.arrangements import ARRANGEMENTS, configure

ALPHABET = Alphabet.of("abcdefg\n")


def make(arrangement: str = "lstm") -> CharModel:
    config = configure(arrangement, hidden=12, embedding=6)
    return build_model(config, len(ALPHABET), seed=2).eval()


def ignorant() -> CharModel:
    model = make()
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    return model


def random_ids(characters: int) -> Ids:
    drawn = np.random.default_rng(0).integers(len(ALPHABET), size=characters)
    return drawn.astype(np.uint8)


@pytest.mark.parametrize("characters", [1, 2, 1000])
def test_a_model_that_knows_nothing_scores_log2_of_the_alphabet(characters: int) -> None:
    result = evaluate(ignorant(), random_ids(characters), ALPHABET)
    assert result.bits_per_char == pytest.approx(math.log2(len(ALPHABET)), rel=1e-14)
    assert result.perplexity == pytest.approx(len(ALPHABET), rel=1e-13)
    assert result.characters == characters


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_the_score_is_the_sum_over_one_long_pass(arrangement: str) -> None:
    model, ids = make(arrangement).double(), random_ids(5000)
    text = torch.from_numpy(ids.astype(np.int64))[:, None]
    with torch.no_grad():
        logits, _ = model(text[:-1], model.initial_states(1))
    expected = torch.nn.functional.cross_entropy(logits[:, 0], text[1:, 0], reduction="sum")
    result = evaluate(model, ids, ALPHABET)
    assert result.nats == pytest.approx(float(expected) + math.log(len(ALPHABET)), rel=1e-12)


@pytest.mark.parametrize(
    ("characters", "streams"),
    [(1, 1), (2, 1), (9, 1), (4097, 1), (9001, 1), (5, 4), (9, 4), (4097, 4), (9001, 4)],
)
def test_every_character_is_scored_once(characters: int, streams: int) -> None:
    blocks = list(score(make(), random_ids(characters), streams))
    assert sum(block.numel() for block in blocks) == characters - 1


def test_one_stream_yields_the_characters_in_order() -> None:
    model, ids = make(), random_ids(6000)
    in_order = torch.cat([block[:, 0] for block in score(model, ids)])
    shorter = torch.cat([block[:, 0] for block in score(model, ids[:3000])])
    torch.testing.assert_close(in_order[:2999], shorter, rtol=0, atol=1e-6)


# A stack, a list, and rectifiers that start from the identity, may remember what lies further back
# than what the streams read before their own part.
LASTING = ("stack", "list", "rnn, relu")
FADING = [name for name in ARRANGEMENTS if not name.startswith(LASTING)]


@pytest.mark.parametrize("arrangement", FADING)
def test_streams_side_by_side_agree_with_one_stream(arrangement: str) -> None:
    model, ids = make(arrangement), random_ids(20 * CONTEXT)
    one = evaluate(model, ids, ALPHABET)
    many = evaluate(model, ids, ALPHABET, streams=4)
    assert many.characters == one.characters
    assert many.nats_per_char == pytest.approx(one.nats_per_char, abs=1e-5)


def test_short_texts_are_not_split() -> None:
    assert streams_for(1) == 1
    assert streams_for(4 * CONTEXT * 3) == 3
    assert streams_for(10**9) == 32


def test_bits_per_byte_counts_the_bytes_of_a_file() -> None:
    alphabet = Alphabet.of("a漢")
    model = build_model(ModelConfig(hidden=4, embedding=4), 2)
    result = evaluate(model, alphabet.encode("a漢漢a"), alphabet)
    assert result.bytes == 1 + 3 + 3 + 1
    assert result.bits_per_byte == pytest.approx(result.bits_per_char * 4 / 8)


def test_the_figures_of_a_score_agree() -> None:
    result = Score(nats=8 * math.log(2), characters=4, bytes=8)
    assert result.nats_per_char == pytest.approx(2 * math.log(2))
    assert result.bits_per_char == pytest.approx(2)
    assert result.bits_per_byte == pytest.approx(1)
    assert result.perplexity == pytest.approx(4)


def test_a_tally_that_is_not_complete_gives_no_score() -> None:
    with pytest.raises(ValueError, match="1 of 3"):
        Tally(random_ids(3), len(ALPHABET)).score(ALPHABET)
