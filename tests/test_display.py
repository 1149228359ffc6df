"""Text that somebody else wrote, made fit to be looked at, and hints at similar words."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.display import (
    as_file_name,
    decode_typed,
    did_you_mean,
    in_one_line,
    nearest,
    visible,
)


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


@pytest.mark.parametrize(
    ("bytes_of", "text"),
    [("naïve", "naïve"), ("中", "中"), ("plain", "plain"), ("\udcff", "\udcff")],
)
def test_what_an_ascii_locale_left_undecoded_is_decoded(bytes_of: str, text: str) -> None:
    held = bytes_of.encode("utf-8", "surrogateescape").decode("ascii", "surrogateescape")
    assert decode_typed(held) == text
    assert decode_typed(text) == text
    assert decode_typed("\ud800" + held) == "\ud800" + held


def test_no_undecoded_control_character_is_shown() -> None:
    assert visible("\udcc2\udc9b31m") == "<U+009B>31m"
    assert in_one_line("a\udce2\udc80\udca8b") == "a<U+2028>b"


def test_a_name_is_spelled_as_the_system_can(monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_file_name("é") == "é"

    def refuse(text: str) -> bytes:
        return text.encode("ascii", "surrogateescape")

    monkeypatch.setattr(os, "fsencode", refuse)
    monkeypatch.setattr(os, "fsdecode", lambda data: data.decode("ascii", "surrogateescape"))
    assert as_file_name("é") == "\udcc3\udca9"
    assert decode_typed(as_file_name("é")) == "é"
