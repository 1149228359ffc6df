"""Lines, paragraphs and repetitions of a text."""

from __future__ import annotations

import random
import statistics as stdlib_statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.data import statistics
from charrnn.data.alphabet import Alphabet, Ids
from charrnn.data.statistics import SPAN, Layout, Lengths, measure_copied_share, measure_layout

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
    learnt = draw(5000, seed=1)
    assert measure_copied_share(ids_of(learnt), ids_of(draw(500, seed=2))) == 0.0
    assert measure_copied_share(ids_of(learnt), ids_of(learnt[777:1777])) == 1.0


def test_the_share_is_of_the_spans_that_lie_whole_in_the_other_text() -> None:
    learnt = draw(5000, seed=1)
    copied, new = learnt[100 : 100 + SPAN + 9], draw(200, seed=2)
    text = copied + new
    spans = len(text) - SPAN + 1
    # A chance letter after the copied part may make it longer.
    share = measure_copied_share(ids_of(learnt), ids_of(text))
    known = {learnt[i : i + SPAN] for i in range(len(learnt) - SPAN + 1)}
    assert share == sum(text[i : i + SPAN] in known for i in range(spans)) / spans > 0


def test_a_text_shorter_than_a_span_has_none() -> None:
    short, whole = ids_of("a" * (SPAN - 1)), ids_of("a" * SPAN)
    assert measure_copied_share(short, whole) == measure_copied_share(whole, short) == 0.0
    assert measure_copied_share(whole, whole) == 1.0
