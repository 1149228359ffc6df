"""Statistics of a text: its characters, its lines and its repetitions."""

from __future__ import annotations

import random
import statistics as stdlib_statistics
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.data import statistics
from charrnn.data.alphabet import Alphabet, Ids
from charrnn.data.statistics import (
    SPAN,
    CharacterGroup,
    CharacterStatistics,
    Layout,
    Lengths,
    count_characters,
    find_script,
    measure_copied_share,
    measure_layout,
)


def look_at(text: str) -> CharacterStatistics:
    alphabet = Alphabet.of(text)
    return count_characters(alphabet.encode(text), alphabet)


def test_a_plain_text_has_nothing_to_remark() -> None:
    found = look_at("The heron stood.\n\tThe mouse ran. " * 20)
    assert found.groups == {}
    assert found.rare == CharacterGroup("", 0)
    assert found.mixed_scripts == 0
    assert list(found.scripts) == ["Latin"]


@pytest.mark.parametrize(
    ("name", "characters"),
    [
        ("control characters", "\r\x1b\x00"),
        ("invisible characters", "\u200b\u00ad\ufeff"),
        ("spaces of other kinds", "\u00a0\u3000\u2028"),
        ("combining marks", "\u0301\u0308"),
        ("private or unassigned", "\ue000\U0010ffff"),
        ("curly quotes", "\u201c\u201d\u2019"),
        ("long dashes", "\u2014\u2013"),
        ("replacement marks", "\ufffd"),
    ],
)
def test_each_sort_of_unusual_character_is_counted(name: str, characters: str) -> None:
    found = look_at("plain text" + characters + characters[0])
    assert found.groups[name].count == len(characters) + 1
    assert found.groups[name].characters[0] == characters[0]
    assert sorted(found.groups[name].characters) == sorted(characters)
    assert set(found.groups) == {name}


def test_rare_characters_are_those_below_ten() -> None:
    found = look_at("a" * 10 + "b" * 9 + "c")
    assert found.rare == CharacterGroup("bc", 10)
    assert (found.different, found.bytes) == (3, 20)


def test_letters_are_counted_by_script_the_most_frequent_first() -> None:
    found = look_at("\u4e2d\u6587\u5b57 ab \u03b1, 12!")
    assert list(found.scripts.items()) == [("Han", 3), ("Latin", 2), ("Greek", 1)]
    assert found.bytes == 3 * 3 + 2 + 2 + 7


@pytest.mark.parametrize(
    ("characters", "script"),
    [
        ("a\u00e9\u00aa\uff21\u212a\u2163", "Latin"),
        ("\u4e2d\u3007\U00020000\uf900", "Han"),
        ("\u3072", "Hiragana"),
        ("\u30ab\uff76", "Katakana"),
        ("\u1401", "Canadian Aboriginal"),
        ("\u2126\u1f00", "Greek"),
        ("\u0483", "Cyrillic"),
        ("!3 \u00b5\u30fc\U0001d400\U0001f600\U000e0041", "Common"),
        ("\u0301\u200d\ufe0f", "Inherited"),
        ("\ue000\U0010fffd\u0378\U0010ffff\ud800\udfff", "Unknown"),
    ],
)
def test_a_script_is_named_by_the_property_of_unicode(characters: str, script: str) -> None:
    assert {character: find_script(character) for character in characters} == dict.fromkeys(
        characters, script
    )


def test_letters_that_scripts_share_are_counted_as_common_and_marks_not_at_all() -> None:
    found = look_at("\U0001d400\U0001d401\u00b5 e\u0301 \u0915\u094d \ue000")
    assert found.scripts == {"Common": 3, "Latin": 1, "Devanagari": 1}


def test_scripts_that_look_alike_are_found_where_they_meet() -> None:
    assert look_at("p\u0430ypal \u0430\u0431 ab \u4e2da").mixed_scripts == 2
    assert look_at("\u03b1\u0430a").mixed_scripts == 2
    assert look_at("\uff21a\u00aa \u0391\u2126 \U0001d400a").mixed_scripts == 0


def test_a_mark_follows_the_find_script_the_letter_before_it() -> None:
    assert look_at("a\u0301\u0308\u0430").mixed_scripts == 1
    assert look_at("a\u200d\u0430\u0301a").mixed_scripts == 2
    assert look_at("a\u0301a \u0301\u0430\u0301").mixed_scripts == 0


def test_pairs_are_counted_across_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "p\u0430\u0301\u0301\u0430p\u0301" * 10
    expected = look_at(text).mixed_scripts
    assert expected == 20
    for size in (1, 2, 3, 7):
        monkeypatch.setattr(statistics, "_IDS_AT_ONCE", size)
        assert look_at(text).mixed_scripts == expected


def test_bytes_are_counted_and_not_taken_for_letters() -> None:
    alphabet = Alphabet.bytes_alphabet()
    found = count_characters(np.array([0, 0, 200, 65], np.uint8), alphabet)
    assert found == CharacterStatistics(3, 4, CharacterGroup("\0A\u00c8", 4), {}, {}, 0)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_counts_agree_with_those_of_python(text: str) -> None:
    found = look_at(text)
    counts = Counter(text)
    assert found.different == len(counts)
    assert found.bytes == len(text.encode())
    assert found.rare.count == sum(count for count in counts.values() if count < statistics.RARE)
    assert sum(found.scripts.values()) == sum(c.isalpha() for c in text)
    assert set(found.scripts) == {find_script(c) for c in text if c.isalpha()}


LETTERS = Alphabet.of("abcdefghijklmnopqrstuvwxyz\n ")


def layout_of(text: str) -> Layout:
    return measure_layout(LETTERS.encode(text), LETTERS)


def draw(characters: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("abcdefgh", k=characters))


def ids_of(text: str) -> Ids:
    return LETTERS.encode(text)


def test_lines_paragraphs_and_blanks_are_counted() -> None:
    found = layout_of("one\ntwo\n\n  \nthree\none\n")
    assert found.lines == Lengths(4, 3.0, 5)
    assert found.blank_lines == 2
    assert found.paragraphs == Lengths(2, 8.0, 9)
    assert found.repeated_lines == 1
    assert found.repeated_share == pytest.approx(0.25)


def test_a_last_line_needs_no_newline() -> None:
    assert layout_of("one\ntwo").lines == layout_of("one\ntwo\n").lines == Lengths(2, 3.0, 3)


def test_a_text_of_blank_lines_has_no_lengths() -> None:
    found = layout_of("\n\n \n")
    assert (found.lines, found.blank_lines) == (Lengths(0, 0.0, 0), 3)
    assert found.repeated_share == 0.0


@given(st.text("ab \n", max_size=200), st.integers(1, 9))
def test_lines_are_those_of_python_however_the_text_is_cut(text: str, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "_IDS_AT_ONCE", chunk)
        found = layout_of(text)
    lines = text.removesuffix("\n").split("\n") if text else []
    full = [line for line in lines if line.strip()]
    assert found.lines.count == len(full)
    assert found.blank_lines == len(lines) - len(full)
    assert found.lines.median == (stdlib_statistics.median(map(len, full)) if full else 0)
    assert found.lines.longest == max(map(len, full), default=0)
    assert found.repeated_lines == len(full) - len(set(full))


def test_nothing_of_a_new_text_is_copied_and_all_of_an_old_one() -> None:
    learned = draw(5000, seed=1)
    assert measure_copied_share(ids_of(learned), ids_of(draw(500, seed=2))) == 0.0
    assert measure_copied_share(ids_of(learned), ids_of(learned[777:1777])) == 1.0


def test_the_share_is_of_the_spans_that_lie_whole_in_the_other_text() -> None:
    learned = draw(5000, seed=1)
    copied, new = learned[100 : 100 + SPAN + 9], draw(200, seed=2)
    text = copied + new
    spans = len(text) - SPAN + 1
    # A chance letter after the copied part may make it longer.
    share = measure_copied_share(ids_of(learned), ids_of(text))
    known = {learned[i : i + SPAN] for i in range(len(learned) - SPAN + 1)}
    assert share == sum(text[i : i + SPAN] in known for i in range(spans)) / spans > 0


def test_a_text_shorter_than_a_span_has_none() -> None:
    short, whole = ids_of("a" * (SPAN - 1)), ids_of("a" * SPAN)
    assert measure_copied_share(short, whole) == measure_copied_share(whole, short) == 0.0
    assert measure_copied_share(whole, whole) == 1.0
