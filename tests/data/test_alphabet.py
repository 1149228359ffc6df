"""Characters become ids and come back as they were, whatever they are."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.data.alphabet import (
    KEEPING_BYTES,
    Alphabet,
    AlphabetBuilder,
    Ids,
    drop_cut_characters,
    find_smallest_dtype,
    format_character,
    is_invalid_byte,
    to_code_points,
)
from charrnn.errors import CorpusError, UnknownCharacterError

SMALLEST = [
    (1, "uint8"),
    (2, "uint8"),
    (256, "uint8"),
    (257, "uint16"),
    (65536, "uint16"),
    (65537, "uint32"),
]

characters = st.characters(exclude_categories=["Cs"])
# Few distinct characters make repeats likely, the whole of Unicode makes them rare.
texts = st.text(characters) | st.text("ab\n\0\u0301\U0001f980")


def distinct(count: int) -> str:
    """That many characters, all beyond the surrogates."""
    return "".join(map(chr, range(0x10000, 0x10000 + count)))


def build(chunks: list[str]) -> tuple[Alphabet, Ids]:
    builder = AlphabetBuilder()
    for chunk in chunks:
        builder.add(chunk)
    return builder.finish()


@settings(deadline=None)
@given(texts.filter(bool))
def test_a_text_comes_back_from_its_ids(text: str) -> None:
    alphabet = Alphabet.of(text)
    assert alphabet.decode(alphabet.encode(alphabet.symbols(text))) == text
    assert alphabet.to_bytes(text) == text.encode()


@settings(deadline=None)
@given(st.binary())
def test_bytes_come_back_from_their_ids(data: bytes) -> None:
    alphabet = Alphabet.bytes_alphabet()
    ids = alphabet.encode(data.decode("latin-1"))
    assert ids.tolist() == list(data)
    assert alphabet.to_bytes(alphabet.decode(ids)) == data


@settings(deadline=None)
@given(texts)
def test_a_bytes_alphabet_spells_a_text_as_its_utf8(text: str) -> None:
    alphabet = Alphabet.bytes_alphabet()
    symbols = alphabet.symbols(text)
    assert alphabet.encode(symbols).tolist() == list(text.encode())
    assert alphabet.to_bytes(symbols).decode() == text


def test_bytes_from_a_command_line_that_are_not_utf8_survive() -> None:
    argument = b"caf\xe9".decode("utf-8", "surrogateescape")
    alphabet = Alphabet.bytes_alphabet()
    assert alphabet.to_bytes(alphabet.symbols(argument)) == b"caf\xe9"


@settings(deadline=None)
@given(texts.filter(bool))
def test_ids_are_in_the_order_of_code_points(text: str) -> None:
    alphabet = Alphabet.of(text)
    assert list(alphabet.characters) == sorted(set(text))
    assert alphabet.encode(alphabet.characters).tolist() == list(range(len(alphabet)))


@settings(deadline=None)
@given(st.lists(texts).filter(any))
def test_a_builder_agrees_with_the_whole_text_however_it_is_cut(chunks: list[str]) -> None:
    text = "".join(chunks)
    alphabet, ids = build(chunks)
    assert alphabet == Alphabet.of(text)
    expected = alphabet.encode(text)
    assert ids.dtype == expected.dtype
    assert ids.tolist() == expected.tolist()


def test_a_builder_counts_the_characters_taken_in() -> None:
    builder = AlphabetBuilder()
    for chunk in ("hello", "", "\U0001f980 o"):
        builder.add(chunk)
    assert len(builder) == 8


def test_ids_of_early_chunks_survive_when_later_ones_outgrow_their_integer_type() -> None:
    late = distinct(70_000)
    text = ["z", late[:300], "z", late, "za"]
    alphabet, ids = build(text)
    assert ids.dtype == np.uint32
    assert alphabet.decode(ids) == "".join(text)


def test_a_builder_that_was_given_nothing_makes_no_alphabet() -> None:
    with pytest.raises(ValueError, match="at least one character"):
        build(["", ""])


def test_a_builder_refuses_surrogates_as_a_fault_of_the_text() -> None:
    with pytest.raises(CorpusError, match="surrogates"):
        build(["a", "\ud83e"])


def test_a_builder_holds_about_two_bytes_for_each_character_at_its_peak() -> None:
    chunk, chunks = "".join(map(chr, range(256))) * 128, 128
    characters = len(chunk) * chunks
    tracemalloc.start()
    try:
        builder = AlphabetBuilder()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(chunks):
            builder.add(chunk)
        _, ids = builder.finish()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert ids.nbytes == characters
    assert peak < 2.5 * characters


@pytest.mark.parametrize(("count", "expected"), SMALLEST)
def test_ids_take_the_smallest_integer_type_that_fits(count: int, expected: str) -> None:
    text = distinct(count)
    alphabet, ids = build([text])
    assert (
        find_smallest_dtype(count) == ids.dtype == alphabet.encode(text).dtype == np.dtype(expected)
    )
    assert ids.tolist() == alphabet.encode(text).tolist() == list(range(count))
    assert ids.nbytes == count * np.dtype(expected).itemsize


def test_no_symbols_are_no_ids_of_the_same_type() -> None:
    ids = Alphabet(distinct(300)).encode("")
    assert ids.shape == (0,)
    assert ids.dtype == np.uint16


@pytest.mark.parametrize(
    ("unknown", "expected"), [("skip", "abba"), ("replace", "a?bb?a"), ("error", None)]
)
def test_an_unknown_character_is_skipped_or_replaced_or_an_error(
    unknown: str, expected: str | None
) -> None:
    alphabet = Alphabet.of("!ab?")
    text = "a\u00e9bb\U0001f980a"
    assert alphabet.count_unknown(text) == 2
    if expected is None:
        with pytest.raises(UnknownCharacterError):
            alphabet.encode(text, unknown)
    else:
        assert alphabet.decode(alphabet.encode(text, unknown)) == expected


def test_an_error_is_what_comes_of_an_unknown_character_unless_told_otherwise() -> None:
    with pytest.raises(UnknownCharacterError):
        Alphabet("ab").encode("abc")


def test_a_third_way_with_unknown_characters_is_a_programmers_mistake() -> None:
    with pytest.raises(ValueError, match="unknown"):
        Alphabet("ab").encode("ab", "ignore")


@settings(deadline=None)
@given(texts.filter(bool), texts)
def test_what_is_skipped_is_what_the_alphabet_lacks(known: str, text: str) -> None:
    alphabet = Alphabet.of(known)
    kept = "".join(character for character in text if character in known)
    assert alphabet.decode(alphabet.encode(text, "skip")) == kept
    assert alphabet.count_unknown(text) == len(text) - len(kept)
    assert len(alphabet.encode(text, "replace")) == len(text)


@pytest.mark.parametrize(
    ("known", "replacement"),
    [("a\ufffd?_ ", "\ufffd"), (" ?_a", "?"), ("a _", "_"), ("a b", " "), ("xyz", "x")],
)
def test_the_replacement_is_the_best_that_the_alphabet_has(known: str, replacement: str) -> None:
    assert Alphabet.of(known).replacement == replacement


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\u00e9", "'\u00e9' (U+00E9)"),
        ("\U0001f980", "'\U0001f980' (U+1F980)"),
        ("\0", "'\\x00' (U+0000)"),
        ("\n", "'\\n' (U+000A)"),
        ("\udce9", "'\\udce9' (U+DCE9)"),
    ],
)
def test_an_unknown_character_is_named_with_its_position(character: str, shown: str) -> None:
    assert format_character(character) == shown
    with pytest.raises(UnknownCharacterError) as raised:
        Alphabet("ab").encode("abab" + character + "\u4e0a")
    assert str(raised.value).startswith(f"{shown} at character 5 is not")
    assert "(unknown='skip')" in str(raised.value)


def test_the_position_of_an_unknown_character_counts_what_came_before() -> None:
    with pytest.raises(UnknownCharacterError, match="at character 1,000,003 "):
        Alphabet("ab").encode("abc", start=1_000_000)


def test_a_character_just_beyond_the_last_known_one_is_unknown() -> None:
    assert Alphabet("ab").count_unknown("abc\U0010ffff") == 2


@pytest.mark.parametrize("alphabet", [Alphabet.of("h\u00e9llo\0"), Alphabet.bytes_alphabet()])
def test_an_alphabet_comes_back_from_json(alphabet: Alphabet) -> None:
    assert Alphabet.from_dict(json.loads(json.dumps(alphabet.to_dict()))) == alphabet


def test_text_of_256_latin_characters_is_not_a_bytes_alphabet() -> None:
    text = Alphabet(Alphabet.bytes_alphabet().characters)
    assert text != Alphabet.bytes_alphabet()
    assert Alphabet.from_dict(text.to_dict()) == text
    assert text.symbols("\u00e9") == "\u00e9"
    assert text.to_bytes("\u00e9") == b"\xc3\xa9"


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "abc",
        {},
        {"kind": "text"},
        {"kind": "text", "characters": ""},
        {"kind": "text", "characters": "aa"},
        {"kind": "text", "characters": "a\ud800"},
        {"kind": "text", "characters": ["a", "b"]},
        {"kind": "text", "characters": 3},
        {"kind": "text", "characters": None},
        {"kind": "words", "characters": "ab"},
        {"kind": None, "characters": "ab"},
        {"kind": ["text"], "characters": "ab"},
        {"kind": "bytes", "characters": "ab"},
        {"kind": "bytes", "characters": None},
        {"kind": "text", "characters": "ab", "extra": 1},
    ],
)
def test_what_is_not_an_alphabet_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="alphabet"):
        Alphabet.from_dict(data)


@settings(deadline=None)
@given(texts.filter(bool))
def test_byte_lengths_are_those_of_utf8(text: str) -> None:
    alphabet = Alphabet.of(text)
    assert int(alphabet.byte_lengths[alphabet.encode(text)].sum()) == len(text.encode())


def test_every_byte_is_one_byte_long() -> None:
    assert Alphabet.bytes_alphabet().byte_lengths.tolist() == [1] * 256


@settings(deadline=None)
@given(st.text(st.characters()))
def test_code_points_are_those_of_the_characters_surrogates_included(text: str) -> None:
    assert to_code_points(text).tolist() == [ord(character) for character in text]


@given(st.text(), st.integers(0, 20), st.integers(0, 20))
def test_a_text_cut_at_bytes_is_whole_characters_of_it(text: str, begin: int, end: int) -> None:
    data = text.encode()
    cut = data[begin : len(data) - end]
    whole = drop_cut_characters(cut)
    assert whole.decode() in text
    assert len(cut) - len(whole) <= 6
    assert drop_cut_characters(whole) == whole


@pytest.mark.parametrize("data", [b"\x80" * 4 + b"a", b"a\xff", b"\xffa", b"a\x80b"])
def test_bytes_that_are_no_cut_text_are_kept(data: bytes) -> None:
    assert drop_cut_characters(data) == data


@given(st.binary())
def test_invalid_bytes_are_kept_as_lone_surrogates_and_come_back(data: bytes) -> None:
    text = data.decode("utf-8", KEEPING_BYTES)
    assert text == data.decode("utf-8", "surrogateescape")
    assert text.encode("utf-8", KEEPING_BYTES) == data
    assert sum(map(is_invalid_byte, data.decode("ascii", KEEPING_BYTES))) == sum(
        b > 127 for b in data
    )


def test_any_string_has_symbols() -> None:
    alphabet = Alphabet.bytes_alphabet()
    assert alphabet.symbols("a\ud800\udcff\udc41") == "a\xed\xa0\x80\xffA"
