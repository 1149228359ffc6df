"""Lines that no model has seen the like of: each is scored, and none before or after it is lost."""

from itertools import chain
from pathlib import Path

import pytest

from charrnn.config.inference import UnitConfig
from charrnn.data.alphabet import RECORD_END, Alphabet
from charrnn.data.inputs import stream_sources
from charrnn.data.records import divide_texts
from charrnn.errors import UnknownCharacterError
from charrnn.evaluation.units import Scoring, choose_units
from charrnn.inference.torch_backend import TorchBackend
from tests.support.networks import make_model

KNOWN = "\nabcdef?" + RECORD_END
STRANGE = [
    b"a\xffb",
    b"\xed\xa0\x80",
    b"\xf0\x9f\xa6",
    b"a\0b",
    b"ab\r",
    b"a\x1eb",
    b"\x1e",
    "a\U000e0001b".encode(),
    b"abc" * 50_000 + b"\xff",
]


def score_lines(
    tmp_path: Path, data: bytes, unknown: str, *, records: bool, encoding: str = "utf-8"
) -> Scoring:
    path = tmp_path / "lines.txt"
    path.write_bytes(data)
    # Those of a model of lines lack the end of a record, those of records the newline.
    alphabet = Alphabet.of(KNOWN.replace("\n" if records else RECORD_END, ""))
    texts = stream_sources([str(path)], encoding, "\n" if records else None, lambda _: None)
    choice = choose_units("it", UnitConfig(), has_records=records)
    return Scoring(
        TorchBackend(make_model("lstm", len(alphabet))),
        alphabet,
        divide_texts(texts, "line") if records else chain.from_iterable(texts),
        choice,
        unknown=unknown,
        name="it",
    )


@pytest.mark.parametrize("records", [False, True])
@pytest.mark.parametrize("strange", STRANGE, ids=lambda line: repr(line[:9]))
def test_a_strange_line_is_scored_as_unknown_characters_are(
    tmp_path: Path, strange: bytes, records: bool
) -> None:
    data = b"abc\n" + strange + b"\ndef"
    plain = [unit.bits for unit in score_lines(tmp_path, b"abc\ndef", "error", records=records)]
    for unknown in ("skip", "replace"):
        scoring = score_lines(tmp_path, data, unknown, records=records)
        units = list(scoring)
        expected = ["abc", strange.decode("utf-8", "surrogateescape"), "def"]
        assert [unit.text for unit in units] == expected
        assert [units[0].bits, units[2].bits] == pytest.approx(plain)
        unknown_there = sum(character not in "abcdef?" for character in expected[1])
        assert scoring.unknown == unknown_there > 0
        skipped = unknown_there if unknown == "skip" else 0
        assert units[1].characters == len(expected[1]) + 1 - skipped


@pytest.mark.parametrize("records", [False, True])
@pytest.mark.parametrize("strange", STRANGE, ids=lambda line: repr(line[:9]))
def test_the_lines_before_an_error_are_scored(
    tmp_path: Path, strange: bytes, records: bool
) -> None:
    scoring = iter(score_lines(tmp_path, b"abc\ndef\n" + strange, "error", records=records))
    assert [next(scoring).text for _ in range(2)] == ["abc", "def"]
    with pytest.raises(UnknownCharacterError, match="it: ") as raised:
        next(scoring)
    settings = {remedy.means for remedy in raised.value.remedies}
    assert settings <= {"unknown", "encoding"}
    assert ("encoding" in settings) == (b"\xff" in strange or max(strange) in (0xED, 0xF0))


def test_an_invalid_byte_of_any_encoding_keeps_to_its_line(tmp_path: Path) -> None:
    data = "abc\n".encode("utf-16-le") + b"\x00\xd8a\0\n\0d"
    units = list(score_lines(tmp_path, data, "replace", records=False, encoding="utf-16-le"))
    assert [unit.text for unit in units] == ["abc", "\udc00\udcd8a", "\udc64"]


def test_the_text_before_an_unknown_character_is_measured_when_carried() -> None:
    alphabet = Alphabet.of("abc")
    choice = choose_units("it", UnitConfig(by="window", window=2), has_records=False)
    backend = TorchBackend(make_model("lstm", len(alphabet)))
    scoring = iter(Scoring(backend, alphabet, iter(["ab", "cab!a"]), choice))
    assert [next(scoring).text for _ in range(2)] == ["ab", "ca"]
    with pytest.raises(UnknownCharacterError, match="character 6 "):
        next(scoring)


def test_a_file_with_an_invalid_byte_is_one_of_the_texts_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"ab\n")
    (tmp_path / "b.log").write_bytes(b"a\xffb\n")
    texts = stream_sources([str(tmp_path)], "utf-8", None, pytest.fail)
    assert ["".join(chunks) for chunks in texts] == ["ab\n", "a\udcffb\n"]


def test_a_file_may_grow_while_it_is_scored(tmp_path: Path) -> None:
    path = tmp_path / "growing.log"
    path.write_text("abc\n")
    texts = stream_sources([str(path)], "utf-8", None, pytest.fail)
    chunks = next(texts)
    assert next(chunks) == "abc\n"
    with path.open("a") as log:
        log.write("def\n")
    assert "".join(chunks) == "def\n"
