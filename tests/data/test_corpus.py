"""A corpus holds its text exactly, in little memory, and says what is wrong with it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from charrnn.data import text_reader
from charrnn.data.alphabet import Alphabet
from charrnn.data.corpus import encode_corpus, fit_corpus
from charrnn.errors import CorpusError, UnknownCharacterError
from tests.support import TEXTS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.txt"


@pytest.mark.parametrize(
    "text",
    ["one\r\ntwo\rthree\n", "nul \0", "e\u0301 and \u00e9", "\U0001f980 \ufb01 \u212b", "ab"],
)
def test_a_text_is_held_exactly(file: Path, text: str) -> None:
    file.write_bytes(text.encode())
    corpus = fit_corpus([file])
    assert corpus.alphabet == Alphabet.of(text)
    assert corpus.alphabet.decode(corpus.ids) == text
    assert len(corpus) == len(text)
    assert encode_corpus([file], corpus.alphabet).ids.tolist() == corpus.ids.tolist()


def test_chunks_do_not_show(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit_corpus([text_file])
    monkeypatch.setattr(text_reader, "CHUNK_BYTES", 7)
    for corpus in (fit_corpus([text_file]), encode_corpus([text_file], whole.alphabet)):
        assert corpus.ids.tolist() == whole.ids.tolist()
        assert corpus.digest == whole.digest


def test_several_files_are_one_text(tmp_path: Path) -> None:
    paths = [tmp_path / "b.txt", tmp_path / "a.txt"]
    paths[0].write_text("one ")
    paths[1].write_text("two")
    corpus = fit_corpus(paths)
    assert corpus.alphabet.decode(corpus.ids) == "one two"


@pytest.mark.parametrize("encoding", ["utf-8", None])
def test_the_digest_is_sha256_of_the_bytes_read(file: Path, encoding: str | None) -> None:
    data = b"\xef\xbb\xbfone\r\n\xc3\xa9"
    file.write_bytes(data)
    corpus = fit_corpus([file], encoding)
    again = encode_corpus([file], corpus.alphabet, encoding=encoding)
    assert corpus.digest == again.digest == hashlib.sha256(data).hexdigest()


def test_a_dropped_byte_order_mark_is_noted_and_not_in_the_alphabet(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfab")
    corpus = fit_corpus([file])
    assert corpus.alphabet.characters == "ab"
    for notes in (corpus.notes, encode_corpus([file], corpus.alphabet).notes):
        assert notes == (f"{file}: dropped the byte-order mark",)


def test_bytes_are_ids_of_themselves(file: Path) -> None:
    data = b"\xef\xbb\xbf\0\r\n\xff\xfe"
    file.write_bytes(data)
    corpus = fit_corpus([file], None)
    assert corpus.alphabet == Alphabet.bytes_alphabet()
    assert corpus.ids.tolist() == list(data)
    assert corpus.ids.dtype == np.uint8
    assert corpus.notes == ()


def test_a_bytes_alphabet_reads_any_file_whatever_the_encoding(file: Path) -> None:
    file.write_bytes(b"caf\xe9")
    corpus = encode_corpus([file], Alphabet.bytes_alphabet(), encoding="utf-8")
    assert corpus.ids.tolist() == list(b"caf\xe9")


def test_256_characters_take_a_byte_each(file: Path) -> None:
    text = "".join(map(chr, range(0x100, 0x200))) * 40
    file.write_text(text, encoding="utf-8")
    corpus = fit_corpus([file])
    assert corpus.ids.nbytes == encode_corpus([file], corpus.alphabet).ids.nbytes == len(text)


def test_chinese_of_thousands_of_characters_takes_two_bytes_each(file: Path) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 6_000))) + "\u4e0a\u4e0b\u3002\n"
    file.write_text(text, encoding="utf-8")
    corpus = fit_corpus([file])
    assert len(corpus.alphabet) == 6_002
    assert corpus.ids.dtype == np.uint16
    assert corpus.alphabet.decode(corpus.ids) == text


def test_the_chinese_fables_are_read_as_they_are() -> None:
    path = TEXTS / "fables-zh.txt"
    corpus = fit_corpus([path])
    assert corpus.alphabet.decode(corpus.ids).encode() == path.read_bytes()
    assert len(corpus.alphabet) > 256
    assert corpus.ids.dtype == np.uint16


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_an_empty_text_cannot_be_trained_on_or_scored(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(CorpusError, match=r"some\.txt: 0 characters"):
        fit_corpus([file])
    with pytest.raises(CorpusError, match=r"some\.txt: 0 characters"):
        encode_corpus([file], Alphabet("ab"))


def test_an_empty_file_of_bytes_cannot_be_trained_on(file: Path) -> None:
    file.touch()
    with pytest.raises(CorpusError, match="0 characters"):
        fit_corpus([file], None)


@pytest.mark.parametrize("encoding", ["utf-8", None])
@pytest.mark.parametrize("count", [1, 2_000])
def test_a_text_of_one_character_over_and_over_has_nothing_to_learn(
    file: Path, count: int, encoding: str | None
) -> None:
    file.write_text("z" * count)
    with pytest.raises(CorpusError) as raised:
        fit_corpus([file], encoding)
    assert f"{count:,} characters, all of them 'z' (U+007A)" in str(raised.value)


def test_one_character_can_be_scored(file: Path) -> None:
    file.write_text("b")
    assert encode_corpus([file], Alphabet("ab")).ids.tolist() == [1]


def test_surrogates_are_refused(file: Path) -> None:
    file.write_bytes(b"ab\\ud800")
    with pytest.raises(CorpusError, match="surrogates"):
        fit_corpus([file], "raw_unicode_escape")


def test_an_unknown_character_is_told_with_its_file_and_place_across_chunks_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_reader, "CHUNK_BYTES", 2)
    paths = [tmp_path / "one.txt", tmp_path / "two.txt"]
    paths[0].write_bytes(b"\xef\xbb\xbfabab")
    paths[1].write_text("ab\u4e0a\u4e0b", encoding="utf-8")
    with pytest.raises(UnknownCharacterError) as raised:
        encode_corpus(paths, Alphabet("ab"))
    assert "two.txt" in str(raised.value)
    assert "(U+4E0A) at character 3 is not" in str(raised.value)
    assert "one.txt" not in str(raised.value)


@pytest.mark.parametrize(("unknown", "expected"), [("skip", "abab"), ("replace", "abaaaba")])
def test_unknown_characters_are_counted_across_chunks(
    file: Path, unknown: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_reader, "CHUNK_BYTES", 2)
    file.write_text("ab\u4e0a\u4e0bab\u4e0a", encoding="utf-8")
    alphabet = Alphabet("ab")
    corpus = encode_corpus([file], alphabet, unknown=unknown)
    assert corpus.unknown == 3
    assert alphabet.decode(corpus.ids) == expected


def test_an_error_of_reading_is_passed_on(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.txt", tmp_path):
        with pytest.raises(CorpusError, match=str(path)):
            fit_corpus([path])
        with pytest.raises(CorpusError, match=str(path)):
            encode_corpus([path], Alphabet("ab"))


def test_what_is_held_out_is_in_the_alphabet(file: Path) -> None:
    file.write_text("a" * 99 + "z")
    corpus = fit_corpus([file])
    _, held_out = corpus.split(0.1)
    assert corpus.alphabet.decode(held_out.ids) == "a" * 9 + "z"
