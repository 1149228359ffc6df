"""An oddity of a text is told with a way out, and changes nothing of what is read."""

from __future__ import annotations

import copy
import os
import unicodedata
from pathlib import Path

import pytest

from charrnn.cli.messages import explain_note
from charrnn.data import text_reader
from charrnn.data.alphabet import Alphabet
from charrnn.data.corpus import encode_corpus, fit_corpus
from charrnn.data.inputs import stream_sources
from charrnn.data.text_reader import TextReader
from charrnn.data.text_signs import TextSigns, guess_encoding
from charrnn.errors import CorpusError, Notice, UnknownCharacterError

CHUNKS = [1, 3, 1 << 20]
LATIN = "Zoë said: the heron stood in the ford.\n" * 20
CYRILLIC = "Цапля стояла в воде. Вода была холодна.\n" * 20
JAPANESE = "日本語の文章です\n" * 40


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.txt"


def notes_on(file: Path, data: bytes, encoding: str | None = "utf-8") -> list[str]:
    """Read some bytes as a text, and return the notes in the words of the command line."""
    file.write_bytes(data)
    reader = TextReader([file], encoding)
    "".join(reader)
    return [explain_note(note) for note in reader.notes]


def read_notes(*paths: Path, encoding: str | None = "utf-8") -> list[str]:
    reader = TextReader(paths, encoding)
    "".join(reader)
    return reader.notes


def notes_on_records(file: Path, text: str, records: str, encoding: str | None = "utf-8") -> str:
    file.write_bytes(text.encode())
    return "".join(map(explain_note, fit_corpus([file], encoding, records).notes))


ENCODED = [
    ("the heron", "utf-16-le", "utf-8"),
    ("the heron", "utf-16-be", "utf-8"),
    ("the heron", "utf-32-le", "utf-8"),
    ("the heron", "utf-32-be", "utf-8"),
    ("the heron", "utf-16-le", "ascii"),
    ("h\nh", "utf-16-le", "utf-8"),
    (CYRILLIC, "utf-16-le", "utf-8"),
    (CYRILLIC, "utf-16-be", "utf-8"),
    (LATIN, "utf-16-le", "latin-1"),
    (LATIN, "utf-16-be", "utf-16-le"),
    (LATIN, "utf-32-be", "utf-16-be"),
    (LATIN, "utf-8", "latin-1"),
    (LATIN, "utf-8", "cp1252"),
    (CYRILLIC, "utf-8", "koi8-r"),
    (JAPANESE, "iso2022_jp", "utf-8"),
    (JAPANESE, "iso2022_jp", "latin-1"),
    ("한국어 문장입니다\n", "iso2022_kr", "utf-8"),
    ("the heron stood", "utf-8", "cp037"),
    ("the heron stood!", "utf-8", "utf-16-le"),
]


@pytest.mark.parametrize(("text", "right", "wrong"), ENCODED, ids=lambda value: value[:9])
def test_a_text_that_is_read_in_a_wrong_encoding_is_told_with_the_right_one(
    file: Path, monkeypatch: pytest.MonkeyPatch, text: str, right: str, wrong: str
) -> None:
    for chunk in CHUNKS:
        monkeypatch.setattr(text_reader, "CHUNK_BYTES", chunk)
        (note,) = notes_on(file, text.encode(right), wrong)
        assert note.startswith(f"{file}: read as {wrong}, but the bytes look like {right}\n")
        assert note.endswith(f"Name its encoding with --encoding {right}")


def test_a_byte_order_mark_of_another_encoding_tells_it(file: Path) -> None:
    for right, named, wrong in (
        ("utf-8-sig", "utf-8", "latin-1"),
        ("utf-16", "utf-16", "latin-1"),
        ("utf-32", "utf-32", "cp1252"),
    ):
        (note,) = notes_on(file, "the heron".encode(right), wrong)
        assert f"the byte-order mark is that of {named}\n" in note
        assert note.endswith(f"--encoding {named}")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("the heron", "utf-8"),
        (LATIN, "utf-8"),
        (LATIN, "utf-8-sig"),
        (LATIN, "latin-1"),
        (LATIN, "cp1252"),
        (LATIN, "utf-16"),
        (LATIN, "utf-16-le"),
        (LATIN, "utf-32-be"),
        (LATIN, "utf-7"),
        (LATIN, "cp037"),
        (CYRILLIC, "koi8-r"),
        (CYRILLIC, "utf-16-be"),
        ("上下文。\n" * 20, "shift_jis"),
        ("上下文。\n" * 20, "gb18030"),
        ("上下文。\n" * 20, "iso2022_jp"),
        ("上下文。\n" * 20, "utf-16-le"),
        (JAPANESE, "iso2022_jp_2"),
        ("ab ~{ cd\n", "hz"),
        ("\x1b[31mred\x1b[0m\n" * 9, "utf-8"),
        ("a\tb\tc\td\t" * 9 + "\n", "utf-8"),
        ("a\nb\nc\nd\n" * 9, "utf-8"),
        ("บทความ ऊँट हिंदी בְּרֵאשִׁית العربية 한국어\n" * 9, "utf-8"),
        ("$x^2$ {\\rm x} [[link]] {a: 1} <b>\n" * 9, "utf-8"),
        ("", "utf-8"),
    ],
    ids=lambda value: value[:12],
)
def test_a_text_that_is_read_as_it_was_meant_is_told_nothing_of(
    file: Path, monkeypatch: pytest.MonkeyPatch, text: str, encoding: str
) -> None:
    for chunk in CHUNKS:
        monkeypatch.setattr(text_reader, "CHUNK_BYTES", chunk)
        notes = notes_on(file, text.encode(encoding), encoding)
        assert [note for note in notes if "dropped" not in note] == []


ODD = [
    ("one\r\ntwo\r\n", "every line ends with a carriage return before the newline", "tr -d '\\r'"),
    ("one\r\ntwo\r", "every line ends", "tr -d '\\r'"),
    ("one\rtwo\r", "lines end with a carriage return alone", "tr '\\r' '\\n'"),
    ("one\r\ntwo\n", "in different ways: 1 with \\r\\n, 1 with \\n", "alike"),
    ("one\r\r\ntwo\r\r\n", "2 with \\r\\n, 2 with \\r", "alike"),
    ("a\0b\n", "1 NUL characters (U+0000)", "tr -d '\\0'"),
    ("\0" * 99 + "\n", "99 NUL characters", "tr -d"),
    ("one\n\ufefftwo\n", "1 byte-order marks (U+FEFF) within", "Take them out"),
    ("caf\ufffd cr\ufffdme\n", "2 replacement characters (U+FFFD)", "Take the text"),
    (unicodedata.normalize("NFD", "café élève\n"), "3 parts of letters", "nfc"),
    (unicodedata.normalize("NFD", "한국\n"), "4 parts of letters", "nfc"),
    (LATIN.encode().decode("cp1252"), "once decoded as cp1252", "iconv -f utf-8 -t cp1252"),
    (CYRILLIC.encode().decode("latin-1"), "once decoded as cp1252", "iconv"),
    ('{"text": "one"}\n{"text": "two"}\n', "JSON, whose names", "Take the text out"),
    ("<!DOCTYPE html>\n<p>one\n", "HTML, whose tags", "convert it to plain text".capitalize()),
    ('[\n  {"text": "one"}\n]\n', "JSON, whose names", "Take the text out"),
]


@pytest.mark.parametrize(("text", "seen", "way_out"), ODD, ids=lambda value: value[:9])
def test_what_is_odd_about_a_text_is_told_with_a_way_out(
    file: Path, monkeypatch: pytest.MonkeyPatch, text: str, seen: str, way_out: str
) -> None:
    for chunk in CHUNKS:
        monkeypatch.setattr(text_reader, "CHUNK_BYTES", chunk)
        (note,) = notes_on(file, text.encode())
        message, advice = note.split("\n")
        assert message.startswith(f"{file}: ")
        assert seen in message
        assert way_out in advice
        # Bytes are asked for as they are.
        assert notes_on(file, text.encode(), None) == []


def test_quotation_marks_of_windows_are_told_from_control_characters(file: Path) -> None:
    (note,) = notes_on(file, "“Zoë” said\n".encode("cp1252"), "latin-1")
    assert note.endswith("Name that encoding with --encoding cp1252")


def test_a_text_that_cannot_be_decoded_is_told_the_encoding_that_its_beginning_tells(
    file: Path,
) -> None:
    for right in ("utf-16", "utf-16-le", "utf-32"):
        with pytest.raises(CorpusError, match=rf"encoding \(encoding='{right}'\)"):
            notes_on(file, LATIN.encode(right))


@pytest.mark.parametrize(
    ("text", "records", "way_out"),
    [
        ("Ada\r\nBo\r\n", "line", "or separate the records there with --records $'\\r\\n'"),
        ("Ada\r\nBo\n", "line", "Take the carriage returns out first"),
        ("A\r\n\r\nB\r\n\r\n", "paragraph", "Take the carriage returns out first"),
        ("A\r\n%\r\nB\n%\nC", "\n%\n", "Take the carriage returns out first"),
    ],
)
def test_carriage_returns_that_stay_in_records_are_told(
    file: Path, text: str, records: str, way_out: str
) -> None:
    for encoding in ("utf-8", None):
        notes = notes_on_records(file, text, records, encoding)
        assert "which stays in the records" in notes
        assert way_out in notes


def test_the_way_out_of_carriage_returns_in_records_leads_out(file: Path) -> None:
    text = "Ada\r\nBo\r\nEve"
    assert notes_on_records(file, text, "\r\n") == ""
    corpus = fit_corpus([file], records="\r\n")
    assert corpus.alphabet.decode(corpus.ids) == "\x1eAda\x1eBo\x1eEve\x1e"


def test_a_list_that_is_one_record_is_told_where_its_records_may_end(file: Path) -> None:
    for text, records, separator in (
        ("Ada\rBo\rEve\r", "line", r"'\\r'"),
        ("A\r\n%\r\nB\r\n", "\n%\n", r"'\\r\\n%\\r\\n'"),
    ):
        file.write_bytes(text.encode())
        with pytest.raises(CorpusError, match=rf"records={separator}"):
            fit_corpus([file], records=records)


def test_a_model_of_records_is_told_of_them_without_a_separator_to_choose(file: Path) -> None:
    file.write_bytes(b"Ada\r\nBo\r\n")
    alphabet = Alphabet.of("\x1e\rAdaBo")
    (note,) = encode_corpus([file], alphabet, records="line").notes
    assert "which stays in the records" in note
    assert "records=" not in note


def test_texts_that_run_together_are_told(tmp_path: Path) -> None:
    for name, text in (("1", "one"), ("2", "two\n"), ("3", ""), ("4", "four"), ("5", "five")):
        (tmp_path / name).write_text(text)
    (note,) = fit_corpus([tmp_path]).notes
    assert note.startswith(f"{tmp_path / '1'}, {tmp_path / '4'}: no newline at the end")
    assert fit_corpus([tmp_path], records="line").notes == ()
    assert fit_corpus([tmp_path], None).notes == ()
    (tmp_path / "4").write_text("four\x85")
    assert fit_corpus([tmp_path / "4", tmp_path / "5"]).notes == ()


def test_a_text_that_is_given_twice_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "b.txt").hardlink_to(tmp_path / "a.txt")
    (tmp_path / "c.txt").symlink_to("a.txt")
    (tmp_path / "d.txt").write_text("one\n")
    (note,) = read_notes(tmp_path)
    assert note.startswith(f"{tmp_path / 'b.txt'}, {tmp_path / 'c.txt'}: given more than once")
    (note,) = read_notes(tmp_path / "d.txt", tmp_path / "d.txt", encoding=None)
    assert note.startswith(f"{tmp_path / 'd.txt'}: given more than once")


def test_many_texts_that_are_odd_in_one_way_are_told_in_one_note(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.txt").write_bytes("one\ufffd\r\n".encode())
    ends, replaced = read_notes(tmp_path)
    named = ", ".join(str(tmp_path / f"{number}.txt") for number in range(3))
    assert ends.startswith(f"{named} and 6 more: every line")
    assert replaced.startswith(f"{named} and 6 more: 9 replacement characters")


def test_a_wrong_encoding_is_told_before_a_stream_ends(tmp_path: Path) -> None:
    told: list[str] = []
    reading, writing = os.pipe()
    os.write(writing, "the heron stood".encode("utf-16-le"))
    texts = stream_sources([f"/dev/fd/{reading}"], "utf-8", None, told.append)
    assert next(next(texts)).startswith("t\0h\0")
    (note,) = told
    assert "look like utf-16-le" in note
    del texts
    for end in (reading, writing):
        os.close(end)


def test_every_text_of_a_stream_in_a_wrong_encoding_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    sources = [str(tmp_path / name) for name in ("1", "2")]
    for source in sources:
        Path(source).write_bytes("the heron stood\n".encode("utf-16-le"))
    for text in stream_sources(sources, "utf-8", None, told.append):
        "".join(text)
    assert [note.split(": ")[0] for note in told] == sources


def test_files_that_no_number_tells_apart_are_not_taken_for_one(file: Path) -> None:
    signs = TextSigns("utf-8")
    for name in ("1", "2"):
        signs.begin(name)
        signs.identify(1, 0)
    assert signs.notices == []


def test_a_stream_is_told_of_once_and_its_texts_together(tmp_path: Path) -> None:
    told: list[str] = []
    for name in ("1", "2"):
        (tmp_path / name).write_bytes(b"one\r\ntwo")
    sources = [str(tmp_path / name) for name in ("1", "2")]
    for text in stream_sources(sources, "utf-8", None, told.append):
        "".join(text)
    assert [note.split(": ")[1].split()[0] for note in told] == ["every", "no"]


def test_an_unknown_character_of_a_wrong_encoding_is_told_with_the_right_one(file: Path) -> None:
    file.write_bytes("the heron".encode("utf-16-le"))
    with pytest.raises(UnknownCharacterError, match="utf-16-le") as raised:
        encode_corpus([file], Alphabet.of("the heron"))
    assert "tr -d" not in str(raised.value)
    for text, way_out in (("heron\r\n", "carriage returns out"), ("heron\ufeff", "Take them out")):
        file.write_text(text, newline="")
        with pytest.raises(UnknownCharacterError, match=way_out):
            encode_corpus([file], Alphabet.of("heron\n"))


def test_a_guess_takes_no_accident_for_a_sign() -> None:
    for head in (b"", b"a", b"ab", b"\xc3\xa9", b"\xff" * 9, b"\0\0\0\0", bytes(range(256))):
        assert guess_encoding(head) is None


def test_a_notice_is_a_string_that_keeps_its_ways_out_in_a_copy() -> None:
    (note,) = (Notice("odd"),)
    assert (str(note), note.remedies, explain_note(note)) == ("odd", (), "odd")
    assert copy.deepcopy(note).message == "odd"
