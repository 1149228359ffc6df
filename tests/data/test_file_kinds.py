"""Files that are no plain text are recognized by their first bytes, and texts are not."""

import bz2
import gzip
import io
import lzma
import pickle
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.checkpoints.checkpoint import open_checkpoint
from charrnn.data.file_kinds import HEAD_BYTES, identify_file, is_html, looks_like_text
from charrnn.data.text_reader import TextReader
from charrnn.errors import CheckpointError, CorpusError

TEXT = b"Once, when the river was low, the heron stood in the ford.\n" * 200


def _zip(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            stored = name == "mimetype"
            form = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            archive.writestr(name, "application/epub+zip" if stored else TEXT, form)
    return made.getvalue()


def _tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        member = tarfile.TarInfo("novel.txt")
        member.size = len(TEXT)
        archive.addfile(member, io.BytesIO(TEXT))
    return made.getvalue()


def _saved_by_torch(*, zipped: bool) -> bytes:
    made = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, made, _use_new_zipfile_serialization=zipped)
    return made.getvalue()


def _npy() -> bytes:
    made = io.BytesIO()
    np.save(made, np.zeros(3))
    return made.getvalue()


def _npz() -> bytes:
    made = io.BytesIO()
    np.savez(made, a=np.zeros(3))
    return made.getvalue()


def _database(folder: Path) -> bytes:
    path = folder / "a.db"
    with sqlite3.connect(path) as database:
        database.execute("create table t (x)")
    database.close()
    return path.read_bytes()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n"

FILES = {
    "gzip": gzip.compress(TEXT),
    "bzip2": bz2.compress(TEXT),
    "bzip2 file": bz2.compress(b""),
    "xz": lzma.compress(TEXT),
    "zip archive": _zip("novel.txt"),
    "Word": _zip("[Content_Types].xml", "_rels/.rels", "word/document.xml"),
    "Excel": _zip("[Content_Types].xml", "xl/workbook.xml"),
    "EPUB": _zip("mimetype", "chapter.xhtml"),
    "tar": _tar(),
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "PyTorch": _saved_by_torch(zipped=True),
    "pickle": _saved_by_torch(zipped=False),
    "pickle of Python": pickle.dumps({"a": 1}),
    "NumPy array": _npy(),
    "NumPy arrays": _npz(),
    "Parquet": b"PAR1\x15\x04\x15\x10",
    "LFS pointer": POINTER,
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_named_by_its_kind(kind: str) -> None:
    found = identify_file(FILES[kind][:HEAD_BYTES])
    assert found is not None
    assert kind in found.name


def test_a_database_and_a_program_are_named(tmp_path: Path) -> None:
    database = identify_file(_database(tmp_path)[:HEAD_BYTES])
    program = identify_file(b"\x7fELF\x02\x01\x01")
    assert database is not None
    assert program is not None
    assert ("SQLite" in database.name, program.name) == (True, "a program")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "a",
            "PK",
            "BZh",
            "PAR1 is a name",
            "GIF",
            "MZ, said he",
            "%PDF",
            "Rar!",
            "IDs",
            "7z",
        ),
        *(
            "Straße 日本語 \N{SNAKE}",
            "version 1",
            "<p>a page</p>",
            '{"a": 1}',
            "\ufeffmarked",
            "ID3",
        ),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_a_text_is_taken_for_nothing_else(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert identify_file(data) is None
    marked = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    assert looks_like_text(data) is (marked or (encoding == "utf-8" and bool(text)))


def test_a_text_may_be_cut_within_a_character() -> None:
    assert looks_like_text("Straße 日".encode()[:-1])
    assert not looks_like_text(b"Stra\xdfe")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"<!DOCTYPE html>\n<html>", True),
        (b"\xef\xbb\xbf \n<HTML lang='en'>", True),
        (b"<!-- saved -->\n<html>", True),
        (b"<p>only a part</p>", False),
        (b"<htmlish>", False),
        (b"A page begins with <html>", False),
    ],
)
def test_a_page_is_known_by_its_first_tag(head: bytes, expected: bool) -> None:
    assert is_html(head) is expected


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_another_kind_is_refused_as_a_text_and_as_a_model(
    tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "given"
    file.write_bytes(FILES[kind])
    # Every byte is a character of Latin-1, so that decoding alone would refuse none.
    with pytest.raises(CorpusError, match=f"is an? .*{kind}.*, not plain text"):
        list(TextReader([file], "latin-1"))
    assert b"".join(c.encode("latin-1") for c in TextReader([file], None)) == FILES[kind]
    with (
        pytest.raises(CheckpointError, match=f"is an? .*{kind}.*, not a model"),
        open_checkpoint(file),
    ):
        pass


def test_the_way_out_is_named(tmp_path: Path) -> None:
    file = tmp_path / "novel.txt.gz"
    file.write_bytes(gzip.compress(TEXT))
    with pytest.raises(CorpusError, match=r"Unpack it first, with gunzip$"):
        list(TextReader([file]))
    file.write_bytes(POINTER)
    with pytest.raises(CheckpointError, match="\nFetch the file itself, with git lfs pull, or"):
        open_checkpoint(file).__enter__()
    file.write_bytes(TEXT)
    with pytest.raises(CheckpointError, match=r"is a text.*\nTrain a model on it: charrnn\.train"):
        open_checkpoint(file).__enter__()


def test_pages_are_read_with_one_note_for_all(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.html").write_text("<html><body>The heron.</body></html>\n")
    reader = TextReader([tmp_path])
    assert "".join(reader).count("The heron.") == 5
    (note,) = reader.notes
    assert note.count(".html") == 3
    assert "tags are read as text" in note


def test_a_folder_leaves_out_what_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT)
    (tmp_path / "lfs.txt").write_bytes(POINTER)
    reader = TextReader([tmp_path])
    assert "".join(reader).encode() == TEXT
    assert "lfs.txt" in reader.notes[0]
