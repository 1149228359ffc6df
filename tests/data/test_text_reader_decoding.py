"""Every encoding decodes a text alike wherever its chunks end, or is no encoding of files."""

import codecs
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.data.text_reader import MOST_PENDING, Decoder, check_encoding
from charrnn.errors import CorpusError, UsageError
from tests.robustness.strange import known_encodings

FILE = Path("some.txt")


def decode(encoding: str, *pieces: bytes) -> str:
    decoder = Decoder(FILE, encoding)
    return "".join(decoder.decode(piece) for piece in [*pieces, b""])


def test_dozens_of_encodings_are_known() -> None:
    assert {"utf_8", "utf_16", "utf_7", "cp1252", "shift_jis", "iso2022_jp"} < {*known_encodings()}
    assert len(known_encodings()) > 80


@pytest.mark.parametrize("encoding", ["idna", "punycode", "unicode_escape", "Unicode-Escape"])
def test_what_depends_on_where_chunks_end_is_no_encoding_of_files(encoding: str) -> None:
    with pytest.raises(UsageError, match="not a known text encoding"):
        check_encoding(encoding)


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(
    encoding=st.sampled_from(known_encodings()),
    # By an escape, encodings of several alphabets begin to change between them.
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff\x1b")),
    data=st.data(),
)
def test_a_text_comes_back_whatever_its_encoding_and_pieces(
    encoding: str, text: str, data: st.DataObject
) -> None:
    encoded = codecs.encode(text, encoding, "ignore")
    text = codecs.getincrementaldecoder(encoding)().decode(encoded, final=True)
    places = data.draw(st.lists(st.integers(0, len(encoded)), max_size=9).map(sorted))
    pieces = [encoded[a:b] for a, b in zip([0, *places], [*places, len(encoded)], strict=True)]
    assert decode(encoding, *filter(None, pieces)) == text


def test_a_bad_byte_behind_a_missing_byte_order_mark_is_a_plain_error() -> None:
    with pytest.raises(CorpusError, match=r"^some\.txt: is not utf-16: .* BOM"):
        decode("utf-16", b"a\0b\0\x00\xdc\x41")


def test_a_character_of_utf7_that_never_ends_is_refused_before_it_takes_for_ever() -> None:
    block = b"AGEAYgBj" * (MOST_PENDING // 32)
    with pytest.raises(CorpusError, match="unfinished sequence"):
        decode("utf-7", b"+", *[block] * 8)
    assert len(decode("utf-7", b"+", *[block] * 3, b"-")) == len(block) * 9 // 8


def test_lone_surrogates_are_no_text_of_utf16_or_utf8() -> None:
    for encoding, place in (("utf-8", 1), ("utf-16-le", 2)):
        data = "a\ud800b".encode(encoding, "surrogatepass")
        with pytest.raises(CorpusError, match=rf"byte {place} "):
            decode(encoding, data)
