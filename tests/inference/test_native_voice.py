"""Reading and writing by turns through the native network: as if all had been read at once."""

import numpy as np
import pytest

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import Alphabet
from charrnn.errors import CheckpointError
from charrnn.inference import native_backend
from charrnn.inference.interactive import Play
from charrnn.inference.native_backend import NativeVoice
from charrnn.inference.sampling import sample
from tests.support.networks import SERVED, make_model, native, needs_library

ALPHABET = Alphabet.of("abcdefghi \n")
CONFIG = SampleConfig(length=60, temp=0.9, top_k=8, top_p=0.95, min_p=0.01)

pytestmark = needs_library


@pytest.mark.parametrize("first", ["", "abc\n"])
@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("arrangement", SERVED)
def test_going_on_is_as_sampling_after_the_whole_text(
    arrangement: str, bfloat16: bool, first: str
) -> None:
    network = native(arrangement, make_model(arrangement), bfloat16=bfloat16)
    play = Play(NativeVoice(network, ALPHABET), ALPHABET, 5)

    def sampled(draw: int, prime: str) -> str:
        config = SampleConfig.from_dict({**CONFIG.to_dict(), "count": draw + 1})
        pieces = sample(network, ALPHABET, config, ALPHABET.encode(prime), 5)
        return "".join(piece.symbols for piece in pieces if piece.sample == draw)

    for draw, typed in enumerate([first, "", "d", "hi hi"]):
        play.add(typed)
        # What is drawn from nothing is drawn as at the beginning of a line, and stays so.
        before = play.text if first else "\n" + play.text
        assert "".join(play.go_on(CONFIG)) == sampled(draw, before)
        if draw == 2:
            play.take_back()


def test_a_place_is_never_changed() -> None:
    network = native("lstm", make_model("lstm"))
    one = NativeVoice(network, ALPHABET)
    place = one.read(one.beginning(), ALPHABET.encode("abc"))
    copy = place.states.copy()
    one.read(place, ALPHABET.encode("defghi"))
    list(one.write(place, CONFIG, np.random.default_rng(0)))
    assert np.array_equal(place.states, copy)


def test_a_long_text_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    one = NativeVoice(native("gru", make_model("gru")), ALPHABET)
    ids = np.random.default_rng(0).integers(len(ALPHABET), size=50)
    whole = one.read(one.beginning(), ids)
    monkeypatch.setattr(native_backend, "_MOST_AT_ONCE", 7)
    parts = one.read(one.beginning(), ids)
    assert np.array_equal(parts.states, whole.states)
    assert parts.unread.tolist() == whole.unread.tolist() == [ids[-1]]


def test_predictions_that_are_not_finite_are_an_error_and_the_text_stands() -> None:
    model = make_model("rnn")
    model.head.bias[0] = np.inf
    play = Play(NativeVoice(native("rnn", model), ALPHABET), ALPHABET, 0)
    play.add("abc")
    with pytest.raises(CheckpointError, match="not finite"):
        list(play.go_on(CONFIG))
    assert play.text == "abc"
