"""Figures of a score, and the windows that a text is scored in."""

import math

import numpy as np
import pytest

from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet
from charrnn.data.encoded_text import ContinuousText
from charrnn.evaluation.evaluate import evaluate
from charrnn.evaluation.metrics import Score, ScoreSum, split_into_windows
from charrnn.inference.torch_backend import TorchBackend
from charrnn.models.char_model import build_model
from tests.support.networks import (
    random_ids,
)

ALPHABET = Alphabet.of("abcdefghi \n")


def test_windows_hold_every_position_once() -> None:
    for characters in (0, 1, 4, 64, 700):
        for window in (1, 5, 64, 1000):
            found = [positions.T.ravel() for positions in split_into_windows(characters, window)]
            assert np.concatenate([np.arange(0), *found]).tolist() == list(range(characters))


def test_bits_per_byte_counts_the_bytes_of_a_file() -> None:
    alphabet = Alphabet.of("a漢")
    model = build_model(ModelConfig(hidden=4, embedding=4), 2)
    result = evaluate(TorchBackend(model), ContinuousText(alphabet.encode("a漢漢a")), alphabet)
    assert result.bytes == 1 + 3 + 3 + 1
    assert result.bits_per_byte == pytest.approx(result.bits_per_char * 4 / 8)


def test_the_figures_of_a_score_agree() -> None:
    result = Score(nats=8 * math.log(2), characters=4, bytes=8)
    assert result.nats_per_char == pytest.approx(2 * math.log(2))
    assert result.bits_per_char == pytest.approx(2)
    assert result.bits_per_byte == pytest.approx(1)
    assert result.perplexity == pytest.approx(4)


def test_a_sum_that_is_not_complete_gives_no_score() -> None:
    with pytest.raises(ValueError, match="1 of 3"):
        ScoreSum(random_ids(3), len(ALPHABET)).score(ALPHABET)
