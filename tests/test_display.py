"""Text that somebody else wrote, made fit to be looked at, and hints at similar words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.display import did_you_mean, nearest, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[31m\x00\r\x7f", "\u241b[31m\u2400\u240d\u2421"),
        ("\u202eabc\u2066", "<U+202E>abc<U+2066>"),
        ("\x9b", "<U+009B>"),
        ("\udcff", "\\udcff"),
        ("\u6c5f\u00e9", "\u6c5f\u00e9"),
    ],
)
def test_control_characters_become_marks(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_what_is_shown_has_nothing_left_to_show(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize(("word", "found"), [("trian", "train"), ("evl", "eval"), ("zzz", None)])
def test_the_nearest_word_is_the_one_most_like_it_or_none(word: str, found: str | None) -> None:
    assert nearest(word, ["train", "eval", "sample"]) == found


def test_a_hint_ends_a_message_or_is_empty() -> None:
    assert did_you_mean("trian", ["train"]) == "; did you mean train?"
    assert did_you_mean("zzz", ["train"]) == ""
