"""Texts without an end: refused by their sizes and first bytes, or at a bound a user can raise."""

from __future__ import annotations

import base64
import os
import random
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from charrnn.data import text_size
from charrnn.data.inputs import find_source, gather_sources
from charrnn.data.text_reader import TextReader, read_text
from charrnn.data.text_size import LIMIT, check_file, find_sign, guard_stream
from charrnn.errors import CorpusError
from charrnn.folders import TemporaryFolder

MIB = 1 << 20
NOISE = random.Random(1).randbytes(2 * MIB)
WORDS = " ".join(random.Random(2).choices(["heron", "mouse", "reed"], k=450_000))
TEXT = WORDS.encode()[: 2 * MIB]


@pytest.fixture(autouse=True)
def no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LIMIT, raising=False)
    monkeypatch.setattr(text_size, "MOST_ALIKE_BYTES", 8 * MIB)


def endless(piece: bytes, passed: list[int]) -> Iterator[bytes]:
    """The same bytes without an end; counts those that were asked for."""
    while True:
        passed.append(len(piece))
        yield piece


@pytest.fixture
def pipe() -> Iterator[int]:
    reading, writing = os.pipe()
    yield reading
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    ("block", "sign"),
    [
        (bytes(MIB), "repeats the same byte"),
        (b"y\n" * (MIB // 2), "repeats the same 2 bytes"),
        (TEXT[:100_000] * 11, "repeats the same 100,000 bytes"),
        (NOISE[:MIB], "looks random"),
        (TEXT[:MIB], ""),
        (bytes(MIB - 1) + b"x", ""),
        (base64.b64encode(NOISE)[:MIB], ""),
    ],
    ids=["zeros", "yes", "a long pattern", "noise", "text", "an end", "base64"],
)
def test_what_has_no_end_shows_it(block: bytes, sign: str) -> None:
    assert find_sign(block) == sign


@pytest.mark.parametrize("piece", [bytes(65536), b"y\n" * 32768, NOISE[:65536]])
def test_an_endless_pipe_is_refused_by_what_has_come(pipe: int, piece: bytes) -> None:
    passed: list[int] = []
    with pytest.raises(CorpusError, match=r"the pipe: .* for 8\.0 MiB, and may") as raised:
        list(guard_stream("the pipe", pipe, endless(piece, passed)))
    assert sum(passed) == 8 * MIB
    assert f"setting {LIMIT}=4G" in str(raised.value)


def test_a_device_is_refused_sooner() -> None:
    with Path("/dev/zero").open("rb") as zeros:
        with pytest.raises(CorpusError, match=r"repeats the same byte for 1\.0 MiB"):
            list(read_text("/dev/zero", zeros))
        # A stream reads ahead by a chunk at most.
        assert os.lseek(zeros.fileno(), 0, os.SEEK_CUR) <= 2 * MIB


def test_a_pipe_of_text_is_read_to_a_bound_that_can_be_raised(
    pipe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_size, "MOST_STREAMED_BYTES", 16 * MIB)
    passed: list[int] = []
    with pytest.raises(CorpusError, match="has more than 16,777,216 bytes"):
        list(guard_stream("it", pipe, endless(TEXT, passed)))
    monkeypatch.setenv(LIMIT, "20M")
    with pytest.raises(CorpusError, match="has more than 20,971,520 bytes"):
        list(guard_stream("it", pipe, endless(bytes(MIB), passed)))


def test_repetition_that_comes_to_an_end_is_a_text(pipe: int) -> None:
    pieces = [bytes(MIB)] * 7 + [TEXT[:MIB]] + [b"y\n" * (MIB // 2)] * 7
    assert list(guard_stream("it", pipe, pieces)) == pieces


def test_a_file_on_standard_input_has_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "noise"
    path.write_bytes(NOISE * 6)
    with path.open("rb") as stream:
        assert sum(map(len, read_text("it", stream))) == 12 * MIB
        monkeypatch.setattr(text_size, "MOST_BYTES", MIB)
        with pytest.raises(CorpusError, match=r"has more than 1,048,576 bytes"):
            next(read_text("it", stream))


def test_a_file_that_tells_no_size_is_looked_at_as_a_pipe_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "proc"
    path.touch()
    passed: list[int] = []
    monkeypatch.setattr(
        "charrnn.data.text_reader.read_chunks", lambda *_: endless(bytes(MIB), passed)
    )
    with pytest.raises(CorpusError, match=r"repeats the same byte for 8\.0 MiB"):
        list(TextReader([path]))
    with path.open("rb") as stream, pytest.raises(CorpusError, match="may have no end"):
        list(read_text("it", stream))


def test_a_large_file_of_holes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "holes.txt"
    with path.open("wb") as stream:
        stream.truncate(64 * MIB)
        stream.write(b"a text")
    if path.stat().st_blocks * 512 > MIB:
        pytest.skip("this file system makes no holes")
    with pytest.raises(CorpusError, match="consists of holes"):
        TextReader([path])


def test_a_small_or_dense_file_is_no_hole() -> None:
    for size, blocks in ((MIB, 0), (64 * MIB, 64 * MIB // 512), (64 * MIB, 64 * MIB // 8192)):
        fields = {"st_size": size, "st_blocks": blocks, "st_mode": stat.S_IFREG}
        check_file("it", type("Status", (), fields)())


def test_files_that_are_too_large_together_are_refused_before_the_first_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text("x" * 40)
    monkeypatch.setattr(text_size, "MOST_BYTES", 100)
    with pytest.raises(CorpusError, match=r"c\.txt: has more than 100 bytes"):
        TextReader([tmp_path])
    monkeypatch.setenv(LIMIT, "120")
    assert len("".join(TextReader([tmp_path]))) == 120


@pytest.mark.parametrize("data", [b"a text \xff", b"%PDF-1.7 ", b"\x80\x81"])
def test_a_copy_ends_where_it_is_no_text_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    passed: list[int] = []
    monkeypatch.setattr("charrnn.data.inputs.read_text", lambda *_: endless(data, passed))
    with TemporaryFolder() as folder:
        (path,), _ = gather_sources(["-"], folder, "utf-8")
        assert path.read_bytes() == data
    assert len(passed) == 1


def test_a_device_is_copied_no_further_than_it_is_text() -> None:
    with TemporaryFolder() as folder:
        copy = find_source("/dev/urandom", folder, 0, "utf-8")
        assert copy.stat().st_size <= 2 * MIB
        # Noise may begin as a file of another kind does.
        with pytest.raises(CorpusError, match=r"is not utf-8|not plain text"):
            list(TextReader([copy]))
