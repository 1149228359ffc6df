"""Overlap of a text with another, against a search for every span by itself."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from charrnn.analysis.memorization import (
    LONGEST_GRAM,
    Overlap,
    Span,
    compare_with_held_out,
    measure_overlaps,
    sum_overlaps,
)
from charrnn.data.alphabet import RECORD_END, Alphabet
from charrnn.data.encoded_text import ContinuousText, RecordText

LETTERS = Alphabet.of("abc\n")
texts = st.text("\nab", max_size=60)


def overlap(text: str, searched: str) -> Overlap:
    (found,) = measure_overlaps([LETTERS.encode(text)], LETTERS.encode(searched))
    return found


def look_up(text: str, searched: str) -> Overlap:
    """The same, found by looking for every span of the text."""
    grams = range(1, LONGEST_GRAM + 1)
    windows = [[text[i : i + n] for i in range(len(text) - n + 1)] for n in grams]
    spans = [
        Span(start, end - start, searched.index(text[start:end]))
        for end in range(1, len(text) + 1)
        for start in range(end)
        if text[start:end] in searched
    ]
    return Overlap(
        characters=len(text),
        found=tuple(sum(gram in searched for gram in same) for same in windows),
        grams=tuple(map(len, windows)),
        longest=max(spans, key=lambda span: span.length, default=None),
    )


@given(texts, texts)
def test_it_is_what_looking_for_every_span_finds(text: str, searched: str) -> None:
    assert overlap(text, searched) == look_up(text, searched)


@given(texts, texts, texts, st.integers(0, 60), st.integers(0, 60))
def test_copied_spans_are_found_whole(
    before: str, searched: str, after: str, begin: int, end: int
) -> None:
    text = before + searched[begin:end] + after
    assert overlap(text, searched) == look_up(text, searched)


@given(st.lists(texts, min_size=1, max_size=4), texts)
def test_several_texts_are_measured_as_each_by_itself(several: list[str], searched: str) -> None:
    found = measure_overlaps(list(map(LETTERS.encode, several)), LETTERS.encode(searched))
    assert found == [look_up(text, searched) for text in several]


def test_a_span_longer_than_any_n_gram_is_found_with_its_first_place() -> None:
    copied = "abacabaabcabc" * 5
    found = overlap("\n" + copied + "\n", "bb" + copied + "bb" + copied)
    assert found.longest == Span(1, 65, 2)
    assert found.shares[31] == 34 / 36


def test_a_text_shorter_than_n_has_no_share_of_n_grams() -> None:
    assert overlap("ab", "abc").shares[:3] == (1.0, 1.0, None)
    assert overlap("", "abc") == Overlap(0, (0,) * 32, (0,) * 32, None)


def test_held_out_text_is_taken_in_stretches_as_long_as_the_drawn_texts() -> None:
    trained_on, held_out = (ContinuousText(LETTERS.encode(text)) for text in ("aaab", "aabbcaaa"))
    drawn = [LETTERS.encode(text) for text in ("ab", "aab", "ccccc")]
    ours, theirs = compare_with_held_out(drawn, trained_on, held_out)
    assert ours == [look_up(text, "aaab") for text in ("ab", "aab", "ccccc")]
    assert theirs == [look_up(text, "aaab") for text in ("aa", "bbc", "aaa")]


def test_no_span_of_held_out_records_goes_beyond_one() -> None:
    alphabet = Alphabet.of("ab" + RECORD_END)
    end = alphabet.characters.index(RECORD_END)
    trained_on, held_out = (
        RecordText(alphabet.encode(RECORD_END.join(records)), end)
        for records in (["", "ab", "ba", "aa", ""], ["", "b", "ba", "bb", ""])
    )
    drawn = [alphabet.encode("ababab")]
    ((ours,), (theirs,)) = compare_with_held_out(drawn, trained_on, held_out)
    assert ours.characters == 6
    assert (theirs.characters, theirs.found[:2], theirs.grams[:3]) == (3, (3, 1), (3, 1, 0))
    assert theirs.longest is not None
    assert theirs.longest.length == 2
    as_one = ContinuousText(trained_on.ids), ContinuousText(held_out.ids)
    ((_,), (across,)) = compare_with_held_out(drawn, *as_one)
    assert across.longest is not None
    assert across.longest.length > 2


def test_several_overlaps_add_up() -> None:
    whole = sum_overlaps([overlap("aab", "abc"), overlap("cabc", "abc")])
    assert (whole.characters, whole.found[:3], whole.grams[:3]) == (7, (7, 3, 1), (7, 5, 3))
    assert whole.longest == Span(1, 3, 0)
    assert sum_overlaps([overlap("", "abc")]).longest is None


def test_a_large_alphabet_is_no_different() -> None:
    ids = np.arange(3000, dtype=np.uint16)
    (found,) = measure_overlaps([ids[1000:1100]], ids)
    assert found.longest == Span(0, 100, 1000)
