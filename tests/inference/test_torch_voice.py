"""Reading and writing by turns through torch: as if all had been read at once."""

import numpy as np
import pytest
import torch

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import Alphabet
from charrnn.errors import CheckpointError
from charrnn.inference import torch_backend
from charrnn.inference.interactive import Play
from charrnn.inference.torch_backend import TorchVoice, sample
from tests.support.arrangements import ARRANGEMENTS
from tests.support.networks import make_model

ALPHABET = Alphabet.of("abcdefghi \n")
CONFIG = SampleConfig(length=30, temp=0.9, top_k=8, top_p=0.95, min_p=0.01)


@pytest.mark.parametrize("first", ["", "abc\n"])
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_going_on_is_as_sampling_after_the_whole_text(arrangement: str, first: str) -> None:
    model = make_model(arrangement)
    play = Play(TorchVoice(model, ALPHABET), ALPHABET, 5)
    for typed in (first, "", "d", "hi hi"):
        play.add(typed)
        play.reseed(5)
        # What is drawn from nothing is drawn as at the beginning of a line, and stays so.
        before = ALPHABET.encode(play.text if first else "\n" + play.text)
        expected = "".join(p.symbols for p in sample(model, ALPHABET, CONFIG, before, 5))
        assert "".join(play.go_on(CONFIG)) == expected


def test_a_long_text_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    one = TorchVoice(make_model("stack"), ALPHABET)
    ids = np.random.default_rng(0).integers(len(ALPHABET), size=50)
    whole = one.read(one.beginning(), ids)
    monkeypatch.setattr(torch_backend, "_MOST_AT_ONCE", 7)
    parts = one.read(one.beginning(), ids)
    for one_part, other in zip(parts.states, whole.states, strict=True):
        for a, b in zip(one_part, other, strict=True):
            torch.testing.assert_close(a, b)
    assert parts.unread.tolist() == whole.unread.tolist() == [ids[-1]]


def test_predictions_that_are_not_finite_are_an_error_and_the_text_stands() -> None:
    model = make_model("rnn")
    model.head.bias[0] = torch.inf
    play = Play(TorchVoice(model, ALPHABET), ALPHABET, 0)
    play.add("abc")
    with pytest.raises(CheckpointError, match="not finite"):
        list(play.go_on(CONFIG))
    assert play.text == "abc"
