"""A text that grows by turns: text and place belong together, and there is always a way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import RECORD_END, Alphabet, Ids
from charrnn.errors import PredictionError, UnknownCharacterError
from charrnn.inference.interactive import MOST_STEPS_BACK, Play
from charrnn.inference.sampling import sample
from charrnn.kernels.network import Doubles, Filters, Floats
from tests.support.networks import (
    backend_of,
    both_kinds,
    every_kind_of_backend,
    make_model,
)

ALPHABET = Alphabet.of("abc\n")


class Writer:
    """A backend whose state is all that it has read, and that writes a text of its own.

    Args:
        alphabet: of the text.
        text: written from its beginning after every reading; None draws any characters.

    Attributes:
        ids_read: so far.
    """

    alignment = state_size = rows_to_draw = 1

    def __init__(self, alphabet: Alphabet = ALPHABET, text: str | None = None) -> None:
        self._alphabet, self._text = alphabet, text
        self._written = 0
        self.characters = len(alphabet)
        self.ids_read = 0

    def initial_state(self, rows: int) -> str:
        assert rows == 1
        return ""

    def hidden(self, state: object) -> dict[str, Floats]:
        raise AssertionError("nobody asks for it")

    def read(self, ids: Ids, state: str) -> str:
        self.ids_read += len(ids)
        self._written = 0
        return state + self._alphabet.decode(ids.ravel())

    def draw(self, last: Ids, uniforms: Doubles, state: str, filters: Filters) -> tuple[Ids, str]:
        assert filters == Filters()
        count = uniforms.shape[1]
        self.ids_read += count
        # All but the newline, which stands for the beginning of a line.
        drawn = 1 + (uniforms[0] * (self.characters - 1)).astype(int)
        if self._text is not None:
            drawn = self._alphabet.encode(self._text[self._written :][:count])
            self._written += count
        before = self._alphabet.decode(np.concatenate([last, drawn[:-1]]))
        return drawn[None], state + before

    def select(self, state: str, rows: NDArray[np.int64]) -> str:
        raise NotImplementedError

    def joined(self, state: str, other: str) -> NDArray[np.bool_]:
        raise NotImplementedError

    def predict(self, ids: Ids, state: str) -> tuple[Floats, str]:
        raise NotImplementedError

    def score(self, ids: Ids, targets: Ids, state: str) -> tuple[Doubles, str]:
        raise NotImplementedError


def place_of(play: Play) -> str:
    """All that the model has read or has yet to read, but for a beginning that nobody typed."""
    state, unread = play._moments[-1].place
    return str(state + play._alphabet.decode(unread)).removeprefix("\n")


def draw(play: Play, length: int = 3) -> str:
    return "".join(play.go_on(SampleConfig(length=length)))


turns = st.lists(
    st.one_of(
        st.text("abc", max_size=4),
        st.sampled_from(["DRAW", "STOPPED", "BACK", "NEW"]),
    ),
    max_size=30,
)


@given(turns)
def test_the_text_the_place_and_the_way_back_always_belong_together(script: list[str]) -> None:
    play = Play(Writer(), ALPHABET, 0)
    past = [""]
    for turn in script:
        if turn == "DRAW":
            past.append(past[-1] + draw(play))
        elif turn == "STOPPED":
            past.append(past[-1] + next(play.go_on(SampleConfig(length=9))))
        elif turn == "BACK":
            assert play.take_back() == (len(past) > 1)
            past = past[:-1] or past
        elif turn == "NEW":
            play.begin_anew()
            past.append("")
        elif play.add(turn):
            past.append(past[-1] + turn)
        assert play.text == place_of(play) == past[-1]
    while play.take_back():
        past.pop()
        assert play.text == place_of(play) == past[-1]
    assert past == [""]


@pytest.mark.parametrize(("records", "parted"), [("line", "\n"), ("paragraph", "\n\n"), ("%", "%")])
def test_a_continuation_ends_with_its_record_and_the_next_begins_afresh(
    records: str, parted: str
) -> None:
    alphabet = Alphabet.of("abc" + RECORD_END)
    play = Play(Writer(alphabet, f"ab{RECORD_END}cab"), alphabet, 0, records)
    assert place_of(play) == RECORD_END
    play.add("c")
    assert place_of(play) == f"{RECORD_END}c"
    assert draw(play, 6) == f"ab{parted}"
    assert play.text == f"cab{parted}"
    assert place_of(play) == RECORD_END
    play.add("b")
    assert (play.text, place_of(play)) == (f"cab{parted}b", f"{RECORD_END}b")
    play.add(f"a{parted}cc")
    assert (play.text, place_of(play)) == (f"cab{parted}ba{parted}cc", f"{RECORD_END}cc")
    assert play.take_back()
    assert place_of(play) == f"{RECORD_END}b"
    assert play.count_unknown(f"a{parted}b!") == 1


def test_a_record_that_was_cut_goes_on() -> None:
    alphabet = Alphabet.of("abc" + RECORD_END)
    play = Play(Writer(alphabet, f"abcabc{RECORD_END}"), alphabet, 0, "line")
    assert draw(play, 3) == "abc"
    assert place_of(play) == f"{RECORD_END}abc"
    assert draw(play, 9) == "abc\n"
    assert place_of(play) == RECORD_END


def test_nothing_is_read_twice() -> None:
    backend = Writer()
    play = Play(backend, ALPHABET, 0)
    for _ in range(5):
        play.add("abc")
        draw(play)
    play.take_back()
    draw(play)
    assert backend.ids_read == 5 * 6 - 1 + 3


def test_a_seed_fixes_the_draws_and_each_is_another() -> None:
    def three_draws(seed: int) -> list[str]:
        play = Play(Writer(), ALPHABET, seed)
        drawn = []
        for _ in range(3):
            drawn.append(draw(play, 20))
            play.take_back()
        return drawn

    assert three_draws(1) == three_draws(1)
    assert len({*three_draws(1), *three_draws(2)}) == 6
    play = Play(Writer(), ALPHABET, 5)
    draw(play)
    play.take_back()
    play.reseed(1)
    assert draw(play, 20) == three_draws(1)[0]


def test_an_unknown_character_is_refused_and_nothing_has_changed() -> None:
    play = Play(Writer(), ALPHABET, 0)
    play.add("ab")
    with pytest.raises(UnknownCharacterError, match="character 2"):
        play.add("c!a")
    assert (play.text, place_of(play)) == ("ab", "ab")
    assert play.add("c!a", "skip") == "ca"
    assert play.add("!", "skip") == ""
    assert play.add("!b", "replace") == "\nb"
    assert play.text == place_of(play) == "abca\nb"


def test_whether_the_text_ends_with_a_continuation_is_known() -> None:
    play = Play(Writer(), ALPHABET, 0)
    assert not play.ends_drawn
    draw(play)
    assert play.ends_drawn
    play.add("a")
    assert not play.ends_drawn
    play.take_back()
    assert play.ends_drawn


def test_a_continuation_of_no_length_is_no_addition() -> None:
    play = Play(Writer(), ALPHABET, 0)
    assert draw(play, 0) == ""
    assert not play.take_back()


def test_so_many_additions_can_be_taken_back_and_older_ones_cost_nothing() -> None:
    play = Play(Writer(), ALPHABET, 0)
    for _ in range(MOST_STEPS_BACK + 50):
        play.add("a")
    back = 0
    while play.take_back():
        back += 1
    assert back == MOST_STEPS_BACK
    assert play.text == place_of(play) == "a" * 50


SYMBOLS = Alphabet.of("abcdefghi \n")
CONFIG = SampleConfig(length=30, temperature=0.9, top_k=8, top_p=0.95, min_p=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["", "abc\n"])
@every_kind_of_backend
def test_going_on_is_as_sampling_after_the_whole_text(
    kind: str, arrangement: str, first: str
) -> None:
    backend = backend_of(kind, arrangement)
    play = Play(backend, SYMBOLS, 5)

    def sampled(number: int, prime: str) -> str:
        config = SampleConfig.from_dict({**CONFIG.to_dict(), "count": number + 1})
        pieces = sample(backend, SYMBOLS, config, SYMBOLS.encode(prime), 5)
        return "".join(piece.symbols for piece in pieces if piece.sample == number)

    for number, typed in enumerate([first, "", "d", "hi hi"]):
        play.add(typed)
        # What is drawn from nothing is drawn as at the beginning of a line, and stays so.
        before = play.text if first else "\n" + play.text
        assert "".join(play.go_on(CONFIG)) == sampled(number, before)
        if number == 2:
            play.take_back()


@both_kinds
def test_predictions_that_are_not_finite_are_an_error_and_the_text_stands(kind: str) -> None:
    model = make_model("rnn")
    model.head.bias[0] = np.inf
    play = Play(backend_of(kind, "rnn", model), SYMBOLS, 0)
    play.add("abc")
    with pytest.raises(PredictionError, match="not finite"):
        list(play.go_on(CONFIG))
    assert play.text == "abc"


def test_the_end_of_a_text_is_found_without_reading_all_of_it() -> None:
    play = Play(Writer(), ALPHABET, 0)
    assert play.end(3) == ""
    for symbols in ("ab", "c", "cab"):
        play.add(symbols)
    assert [play.end(most) for most in (0, 1, 3, 4, 5, 6, 7)] == [
        play.text[len(play.text) - most :] for most in (0, 1, 3, 4, 5, 6, 6)
    ]
    play.take_back()
    assert play.end(2) == "bc"
