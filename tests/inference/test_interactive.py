"""A text that grows by turns: text and place belong together, and there is always a way back."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import RECORD_END, Alphabet, Ids
from charrnn.errors import UnknownCharacterError
from charrnn.inference.interactive import MOST_STEPS_BACK, Play

ALPHABET = Alphabet.of("abc")


class Recorder:
    """A voice whose place is all that it has read or written, and that counts what it reads."""

    def __init__(self) -> None:
        self.read_ids = 0

    def beginning(self) -> str:
        return ""

    def read(self, place: str, ids: Ids) -> str:
        self.read_ids += len(ids)
        return place + ALPHABET.decode(ids)

    def write(
        self, place: str, config: SampleConfig, generator: np.random.Generator
    ) -> Iterator[tuple[Ids, str]]:
        for _ in range(config.length):
            ids = generator.integers(len(ALPHABET), size=2)
            place += ALPHABET.decode(ids)
            yield ids, place


def place_of(play: Play[str]) -> str:
    return play._moments[-1].place


def draw(play: Play[str], length: int = 3) -> str:
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
    play = Play(Recorder(), ALPHABET, 0)
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


class Speller:
    """A voice that goes on with a text of its own, a few ids at a time; its place is what it read.

    Args:
        alphabet: of the text.
        text: what it writes, from the beginning each time.
    """

    def __init__(self, alphabet: Alphabet, text: str) -> None:
        self._alphabet, self._text = alphabet, text

    def beginning(self) -> str:
        return ""

    def read(self, place: str, ids: Ids) -> str:
        return place + self._alphabet.decode(ids)

    def write(
        self, place: str, config: SampleConfig, generator: np.random.Generator
    ) -> Iterator[tuple[Ids, str]]:
        for begin in range(0, config.length, 3):
            piece = self._text[begin : begin + 3]
            place += piece
            yield self._alphabet.encode(piece), place


@pytest.mark.parametrize(("records", "parted"), [("line", "\n"), ("paragraph", "\n\n"), ("%", "%")])
def test_a_continuation_ends_with_its_record_and_the_next_begins_afresh(
    records: str, parted: str
) -> None:
    alphabet = Alphabet.of("abc" + RECORD_END)
    play = Play(Speller(alphabet, f"ab{RECORD_END}cab"), alphabet, 0, records)
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
    play = Play(Speller(alphabet, f"abcabc{RECORD_END}"), alphabet, 0, "line")
    assert draw(play, 3) == "abc"
    assert place_of(play) == f"{RECORD_END}abc"
    assert draw(play, 9) == "abcabc\n"
    assert place_of(play) == RECORD_END


def test_nothing_is_read_twice() -> None:
    voice = Recorder()
    play = Play(voice, ALPHABET, 0)
    for _ in range(5):
        play.add("abc")
        draw(play)
    play.take_back()
    draw(play)
    assert voice.read_ids == 15


def test_a_seed_fixes_the_draws_and_each_is_another() -> None:
    def three_draws(seed: int) -> list[str]:
        play = Play(Recorder(), ALPHABET, seed)
        drawn = []
        for _ in range(3):
            drawn.append(draw(play, 20))
            play.take_back()
        return drawn

    assert three_draws(1) == three_draws(1)
    assert len({*three_draws(1), *three_draws(2)}) == 6
    play = Play(Recorder(), ALPHABET, 5)
    draw(play)
    play.take_back()
    play.reseed(1)
    assert draw(play, 20) == three_draws(1)[0]


def test_an_unknown_character_is_refused_and_nothing_has_changed() -> None:
    play = Play(Recorder(), ALPHABET, 0)
    play.add("ab")
    with pytest.raises(UnknownCharacterError, match="character 2"):
        play.add("c!a")
    assert (play.text, place_of(play)) == ("ab", "ab")
    assert play.add("c!a", "skip") == "ca"
    assert play.add("!", "skip") == ""
    assert play.add("!b", "replace") == "ab"
    assert play.text == place_of(play) == "abcaab"


def test_whether_the_text_ends_with_a_continuation_is_known() -> None:
    play = Play(Recorder(), ALPHABET, 0)
    assert not play.ends_drawn
    draw(play)
    assert play.ends_drawn
    play.add("a")
    assert not play.ends_drawn
    play.take_back()
    assert play.ends_drawn


def test_a_continuation_of_no_length_is_no_addition() -> None:
    play = Play(Recorder(), ALPHABET, 0)
    assert draw(play, 0) == ""
    assert not play.take_back()


def test_so_many_additions_can_be_taken_back_and_older_ones_cost_nothing() -> None:
    play = Play(Recorder(), ALPHABET, 0)
    for _ in range(MOST_STEPS_BACK + 50):
        play.add("a")
    back = 0
    while play.take_back():
        back += 1
    assert back == MOST_STEPS_BACK
    assert play.text == place_of(play) == "a" * 50
