"""Bytes become text exactly as their encoding says, or an error that says where they do not."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.data import text_reader, text_size
from charrnn.data.alphabet import TAKE_BYTES
from charrnn.data.text_reader import TextReader, check_encoding
from charrnn.errors import CorpusError, UsageError

CHUNKS = [1, 2, 3, 5, 1 << 20]


def read(*paths: Path, encoding: str | None = "utf-8") -> str:
    return "".join(TextReader(paths, encoding))


def error_of(paths: Sequence[Path], encoding: str | None = "utf-8") -> str:
    with pytest.raises(CorpusError) as raised:
        "".join(TextReader(paths, encoding))
    return str(raised.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.txt"


@pytest.fixture(scope="module")
def shared_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources") / "some.txt"


def test_text_is_left_exactly_as_it_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for chunk in CHUNKS:
        for text, is_odd in (
            ("one\r\ntwo\rthree\n", True),
            ("no newline at the end", False),
            ("nul \0 and \x1a and \x1b[31m", True),
            ("e\u0301 is not \u00e9, \ufb01 not fi, \u212b not \u00c5", True),
            ("\u2028 \u2029 \x85 \x0b \x0c are no newlines", False),
            ("zero \ufeff width", True),
            ("\U0001f468\u200d\U0001f469\u200d\U0001f467", False),
            (" \t blanks \t \n\n\n", False),
            ("a", False),
        ):
            monkeypatch.setattr(text_reader, "CHUNK_BYTES", chunk)
            file.write_bytes(text.encode())
            reader = TextReader([file])
            assert "".join(reader) == text
            assert len(reader.notes) == is_odd


@settings(deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\n\u4e0a")),
    encoding=st.sampled_from(["utf-8", "utf-16-le", "utf-16", "utf-32", "gb18030", "utf-7"]),
    chunk=st.integers(1, 9),
)
def test_text_does_not_depend_on_where_the_chunks_end(
    shared_file: Path, text: str, encoding: str, chunk: int
) -> None:
    text = "." + text  # so that no byte-order mark opens it
    shared_file.write_bytes(text.encode(encoding))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_reader, "CHUNK_BYTES", chunk)
        assert read(shared_file, encoding=encoding) == text


def test_byte_order_mark_is_dropped_with_a_note(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chunk in CHUNKS:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le"):
            monkeypatch.setattr(text_reader, "CHUNK_BYTES", chunk)
            file.write_bytes("\ufefftext\ufeff".encode(encoding))
            reader = TextReader([file], encoding)
            assert "".join(reader) == "text\ufeff"
            dropped, kept = reader.notes
            assert dropped == f"{file}: dropped the byte-order mark"
            assert kept.startswith(f"{file}: 1 byte-order marks (U+FEFF) within the text")


def test_a_byte_order_mark_that_the_encoding_calls_for_is_no_text(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chunk in CHUNKS:
        for encoding in ("utf-16", "utf-32", "utf-8-sig"):
            monkeypatch.setattr(text_reader, "CHUNK_BYTES", chunk)
            file.write_bytes("text\n".encode(encoding))
            assert read(file, encoding=encoding) == "text\n"


def test_the_byte_order_mark_of_every_file_is_dropped(tmp_path: Path) -> None:
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    first.write_bytes(b"\xef\xbb\xbfone\n")
    second.write_bytes(b"\xef\xbb\xbftwo")
    reader = TextReader([first, second])
    assert "".join(reader) == "one\ntwo"
    assert reader.notes == [f"{first}, {second}: dropped the byte-order mark"]


def test_nothing_but_a_byte_order_mark_is_an_empty_text(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf")
    assert read(file) == ""


def test_invalid_utf8_is_told_with_its_byte_and_line(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chunk in CHUNKS:
        for before, bad, line in (
            (b"", b"\xff", 1),
            (b"ab\ncd\n", b"\xff", 3),
            (b"one\r\ntwo\r\nthree", b"\xe9 ", 3),
            ("\u4e0a\n\U0001f980\n".encode(), b"\x80", 3),
            ("\u4e0a\n\u4e0a".encode(), b"\xe4\xb8!", 2),
            (b"x" * 1_500, b"\xc0\xaf", 1),
            (b"a surrogate\n", b"\xed\xa0\x80", 2),
        ):
            monkeypatch.setattr(text_reader, "CHUNK_BYTES", chunk)
            file.write_bytes(before + bad + b"\nand on\n")
            place = f"byte {len(before):,} (0x{bad[0]:02X}, line {line})"
            assert error_of([file]).startswith(f"{file}: {place} is not utf-8\n")


def test_a_text_that_ends_within_a_character_is_told_where_it_begins(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chunk in CHUNKS:
        monkeypatch.setattr(text_reader, "CHUNK_BYTES", chunk)
        file.write_bytes(b"ab\ncd\xf0\x9f\xa6")
        assert "byte 5 (0xF0, line 2)" in error_of([file])


# U+4E0A holds the byte 0x0A, which is not a newline there.
def test_bytes_that_another_encoding_forbids_are_told_with_byte_and_line(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chunk in CHUNKS:
        for encoding, bad in (
            ("utf-16-le", b"\x00\xdc\x41\x00"),
            ("utf-16-be", b"\xdc\x00\x00\x41"),
            ("utf-32-le", b"\x01\xff\xff\xff"),
            ("shift_jis", b"\xff"),
            ("gb18030", b"\xff"),
        ):
            monkeypatch.setattr(text_reader, "CHUNK_BYTES", chunk)
            before = "\u4e0a\u4e0a\nab".encode(encoding)
            file.write_bytes(before + bad)
            place = f"byte {len(before)} (0x{bad[0]:02X}, line 2)"
            assert f"{place} is not {encoding}\n" in error_of([file], encoding)


def test_a_byte_order_mark_is_counted_in_the_place_of_a_bad_byte(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chunk in CHUNKS:
        monkeypatch.setattr(text_reader, "CHUNK_BYTES", chunk)
        file.write_bytes(b"\xef\xbb\xbfab\n\xff")
        assert "byte 6 (0xFF, line 2)" in error_of([file], "utf-8")
        assert "byte 6 (0xFF, line 2)" in error_of([file], "utf-8-sig")


def test_the_place_of_a_bad_byte_is_counted_in_its_own_file(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_bytes(b"one\ntwo\n")
    bad.write_bytes(b"x\n\xff")
    assert error_of([good, bad]).startswith(f"{bad}: byte 2 (0xFF, line 2)")


def test_utf16_without_its_byte_order_mark_is_an_error(file: Path) -> None:
    file.write_bytes("text".encode("utf-16-le"))
    assert error_of([file], "utf-16").startswith(f"{file}: is not utf-16")


def test_an_error_of_encoding_says_what_to_try(file: Path) -> None:
    file.write_bytes(b"\xff")
    assert "(encoding)" in error_of([file])
    assert "(encoding=None)" not in error_of([file])
    with pytest.raises(CorpusError, match=r"\(encoding=None\)"):
        list(TextReader([file], remedies=[TAKE_BYTES]))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "UTF8", "latin-1", "cp1252", "utf-16", "utf-32", "shift_jis", "gb18030"]
)
def test_encodings_of_text_are_known(encoding: str) -> None:
    check_encoding(encoding)


@pytest.mark.parametrize(
    "encoding",
    [
        "klingon",
        "",
        "rot13",
        "hex",
        "base64",
        "zlib",
        "locale",
        "utf-8\0",
        "caf\udce9",
        "../utf_8",
        pytest.param("x" * 10_000, id="long"),
    ],
)
def test_what_is_no_encoding_of_text_is_refused(file: Path, encoding: str) -> None:
    file.write_text("text")
    with pytest.raises(UsageError, match=r"^encoding is .*\nTry utf-8") as raised:
        read(file, encoding=encoding)
    assert len(str(raised.value)) < 300


def test_another_encoding_decodes_as_it_says(file: Path) -> None:
    file.write_bytes(b"caf\xe9 \x80")
    assert read(file, encoding="cp1252") == "caf\u00e9 \u20ac"


def test_bytes_are_read_as_they_are(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for chunk in CHUNKS:
        monkeypatch.setattr(text_reader, "CHUNK_BYTES", chunk)
        data = b"\xef\xbb\xbf\r\n" + bytes(range(256))
        file.write_bytes(data)
        reader = TextReader([file], None)
        assert "".join(reader).encode("latin-1") == data
        assert reader.notes == []


def test_the_digest_is_sha256_of_all_bytes_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chunk in CHUNKS:
        for encoding in ("utf-8", "utf-16-le", None):
            monkeypatch.setattr(text_reader, "CHUNK_BYTES", chunk)
            first, second = tmp_path / "b.txt", tmp_path / "a.txt"
            one, two = (
                "\ufeffone\r\n".encode(encoding or "utf-8"),
                "two".encode(encoding or "utf-8"),
            )
            first.write_bytes(one)
            second.write_bytes(two)
            reader = TextReader([first, second], encoding)
            "".join(reader)
            assert reader.digest == hashlib.sha256(one + two).hexdigest()


def test_files_are_read_in_the_order_given(tmp_path: Path) -> None:
    first, second = tmp_path / "b.txt", tmp_path / "a.txt"
    first.write_text("one ")
    second.write_text("two ")
    assert read(first, second, first) == "one two one "


def test_a_folder_is_read_in_sorted_order_at_any_depth(tmp_path: Path) -> None:
    names = ["1.txt", "10.txt", "2.txt", "sub/a", "sub/b", "sub/deep/c.md"]
    for name in reversed(names):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")
    reader = TextReader([tmp_path])
    assert "".join(reader).split() == [
        "1.txt",
        "10.txt",
        "2.txt",
        "sub/a",
        "sub/b",
        "sub/deep/c.md",
    ]
    assert reader.notes == []


@pytest.mark.parametrize(
    "data", [b"\x7fELF\0\0", b"\x89PNG\r\n\x1a\n", "utf-16".encode("utf-16")], ids=repr
)
def test_a_binary_file_in_a_folder_is_left_out_with_a_note(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.bin").write_bytes(data)
    reader = TextReader([tmp_path])
    assert "".join(reader) == "text"
    (note,) = reader.notes
    assert note.startswith(f"{tmp_path}: skipped 1 of ")


@pytest.fixture(params=[".hidden.txt", ".git/config"])
def folder_with_hidden(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / request.param).write_text("secret")
    (tmp_path / "a.txt").write_text("text")
    return tmp_path


def test_hidden_files_in_a_folder_are_left_out(folder_with_hidden: Path) -> None:
    assert read(folder_with_hidden) == "text"


def test_a_hidden_file_that_is_named_is_read(tmp_path: Path) -> None:
    hidden = tmp_path / ".hidden.txt"
    hidden.write_text("text")
    assert read(hidden) == "text"


def test_nul_is_a_character_in_a_file_that_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"a\0b")
    assert read(file) == "a\0b"


def test_every_file_of_a_folder_is_read_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0\xff")
    assert read(tmp_path, encoding=None) == "\0\xff"


def test_a_file_whose_opening_ends_within_a_character_is_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_reader, "_SNIFF_BYTES", 4)
    (tmp_path / "a.txt").write_text("abc\u4e0a", encoding="utf-8")
    assert read(tmp_path) == "abc\u4e0a"


def test_a_pipe_in_a_folder_is_left_out_unopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("text")
    os.mkfifo(tmp_path / "pipe")
    opened: list[str] = []

    def note_name(reader: TextReader, file: Path) -> bool:
        opened.append(file.name)
        return True

    # Opening the pipe for real would wait forever for someone to write into it.
    monkeypatch.setattr(TextReader, "_is_text", note_name)
    (note,) = TextReader([tmp_path]).notes
    assert opened == ["a.txt"]
    assert note.startswith(f"{tmp_path}: skipped 1 of ")


def test_links_that_lead_in_circles_do_not(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "folder").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "itself.txt").symlink_to("itself.txt")
    (tmp_path / "nowhere.txt").symlink_to("gone.txt")
    assert read(tmp_path) == "text"


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.txt").symlink_to("a.txt")
    assert read(tmp_path) == "texttext"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with a text and links of all kinds, and texts outside of it."""
    inside, outside = tmp_path / "shelf", tmp_path / "shelf of secrets"
    for folder in (inside / "deep" / ".store", outside):
        folder.mkdir(parents=True)
    (outside / "secret.txt").write_text("secret\n")
    (inside / "a.txt").write_text("text\n")
    (inside / "deep" / ".store" / "blob").write_text("blob\n")
    return inside


@pytest.mark.parametrize(
    "target",
    [
        "../../shelf of secrets/secret.txt",
        "../../shelf of secrets",
        "../chain",
        "/etc/hostname",
        "/proc/self/environ",
        "/dev/zero",
        "../../gone.txt",
        "../../shelf/../shelf of secrets/secret.txt",
        "../..",
    ],
)
def test_a_link_that_leads_out_of_a_folder_is_left_out_with_a_note(
    shelf: Path, target: str
) -> None:
    (shelf / "chain").symlink_to("../shelf of secrets/secret.txt")
    (shelf / "deep" / "b.txt").symlink_to(target)
    reader = TextReader([shelf])
    assert "".join(reader) == "text\n"
    (note,) = reader.notes
    assert note.startswith(f"{shelf}: left out 2 links that lead out of it: chain, deep/b.txt\n")
    assert "Name them" in note
    assert read(shelf / "a.txt", shelf / "chain") == "text\nsecret\n"


@pytest.mark.parametrize("target", ["../a.txt", ".store/blob", "../../shelf/a.txt", "c.txt"])
def test_a_link_within_a_folder_is_read(shelf: Path, target: str) -> None:
    (shelf / "deep" / "b.txt").symlink_to(target)
    (shelf / "deep" / "c.txt").symlink_to(shelf / "a.txt")
    reader = TextReader([shelf])
    assert len("".join(reader).split()) == 3
    assert not any("left out" in note for note in reader.notes)


def test_a_folder_that_is_named_by_a_link_holds_what_it_leads_to(shelf: Path) -> None:
    named = shelf.parent / "named"
    named.symlink_to(shelf)
    (shelf / "b.txt").symlink_to("a.txt")
    assert read(named) == "text\ntext\n"


def test_a_working_folder_that_was_removed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert "cannot be read" in error_of([Path()])


def test_a_folder_of_nothing_but_links_out_of_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "b.txt").symlink_to("../a.txt")
    message = error_of([folder])
    assert "holds no text files (0 files found; " in message
    assert "left out 1 link that leads out of it: b.txt)\nName them" in message


def test_files_of_another_encoding_that_a_folder_leaves_out_are_told_with_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.txt").write_text("text of Windows", encoding="utf-16-le")
    (tmp_path / "c.txt").write_text("text of Windows", encoding="utf-16-le")
    (tmp_path / "d.txt").write_text("text of Windows", encoding="utf-16")
    (note,) = TextReader([tmp_path]).notes
    assert note.endswith("d.txt\nName the encoding of those that are text (encoding='utf-16-le')")


@pytest.mark.parametrize("name", [None, "picture.bin", ".hidden"])
def test_a_folder_without_text_is_an_error(tmp_path: Path, name: str | None) -> None:
    if name:
        (tmp_path / name).write_bytes(b"\0")
    assert error_of([tmp_path]).startswith(f"{tmp_path}: the folder holds no text files")


@pytest.mark.parametrize("name", ["gone.txt", "gone/gone.txt", "a.txt/b.txt", "nul\0", "long" * 80])
def test_a_path_that_is_not_there_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").write_text("text")
    assert error_of([tmp_path / name]).startswith(f"{tmp_path / name}: ")


def test_a_file_that_vanishes_before_it_is_read_is_an_error(file: Path) -> None:
    file.write_text("text")
    reader = TextReader([file])
    file.unlink()
    with pytest.raises(CorpusError, match="cannot be read: No such file"):
        next(iter(reader))


def test_a_file_that_may_not_be_read_is_an_error(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    file.write_text("text")
    # The tests may run as root, who may read everything.
    monkeypatch.setattr(Path, "open", refuse)
    assert error_of([file]) == f"{file}: cannot be read: Permission denied"


def test_an_empty_file_is_an_empty_text(file: Path) -> None:
    file.touch()
    assert read(file) == read(file, encoding=None) == ""


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> int:
    """The bytes that a text may have in these tests."""
    monkeypatch.setattr(text_size, "MOST_BYTES", 1000)
    monkeypatch.setattr(text_reader, "CHUNK_BYTES", 64)
    return 1000


@pytest.mark.parametrize("encoding", ["utf-8", None])
def test_a_text_may_be_as_long_as_the_bound_and_no_longer(
    tmp_path: Path, bounded: int, encoding: str | None
) -> None:
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    first.write_bytes(b"x" * (bounded - 1))
    second.write_bytes(b"y")
    assert len(read(first, second, encoding=encoding)) == bounded
    message = error_of([first, second, second], encoding)
    assert message.startswith(f"{second}: has more than 1,000 bytes")
    assert "Give a part of it" in message


def test_a_hole_that_claims_to_be_a_file_is_refused_unread(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    monkeypatch.setattr(text_reader, "read_chunks", lambda *_: pytest.fail("it was read"))
    assert "has more than 4,294,967,296 bytes" in error_of([file])


def test_a_file_that_grows_faster_than_it_is_read_ends_at_the_bound(
    file: Path, tmp_path: Path, bounded: int
) -> None:
    before = tmp_path / "before.txt"
    before.write_bytes(b"y" * (bounded // 2))
    file.write_bytes(b"x" * 100)
    read: list[str] = []

    def read_as_it_grows() -> None:
        for text in TextReader([before, file]):
            read.append(text)
            assert len("".join(read)) <= bounded
            if text[0] == "x":
                with file.open("ab") as stream:
                    stream.write(b"x" * 100)

    with pytest.raises(CorpusError, match=f"^{file}: has more than"):
        read_as_it_grows()
    assert set("".join(read)) == set("xy")


@pytest.mark.parametrize("after", [b"12345678and more", b"1234", b"", b"87654321"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    file: Path, after: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_reader, "CHUNK_BYTES", 3)
    file.write_bytes(b"12345678")
    os.utime(file, (1, 1))
    reading = iter(TextReader([file]))
    assert next(reading) == "123"
    file.write_bytes(after)
    with pytest.raises(CorpusError) as raised:
        list(reading)
    assert str(raised.value).startswith(
        f"{file}: changed while it was read (then 8 bytes, now {len(after)})"
    )


def test_a_file_that_is_replaced_or_removed_while_it_is_read_is_read_as_it_was(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_reader, "CHUNK_BYTES", 3)
    file.write_bytes(b"12345678")
    reading = iter(TextReader([file]))
    assert next(reading) == "123"
    file.unlink()
    file.write_bytes(b"another")
    assert "".join(reading) == "45678"


def test_folders_may_be_deeper_than_calls(tmp_path: Path) -> None:
    depth = 1200
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("a", dir_fd=here)
        below = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("f.txt", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    (tmp_path / "g.txt").write_text("text")
    try:
        assert read(tmp_path) == "text"
    finally:
        # Python's own ways to remove a tree call themselves at each depth.
        subprocess.run(["rm", "-rf", tmp_path / "a"], check=True)


def test_what_cannot_be_looked_into_is_left_out_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    # The tests may run as root, who may look into everything.
    monkeypatch.setattr(os, "scandir", refuse)
    reader = TextReader([tmp_path])
    assert "".join(reader) == "text"
    assert reader.notes == [f"{tmp_path / 'closed'}: skipped: Permission denied"]
    message = error_of([tmp_path / "closed"])
    assert "Permission denied" in message


def test_a_link_into_a_closed_folder_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "link.txt").symlink_to("closed/b.txt")
    look = Path.stat

    def refuse(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.name == "link.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", refuse)
    reader = TextReader([tmp_path])
    assert "".join(reader) == "text"
    (note,) = reader.notes
    assert note.startswith(f"{tmp_path}: skipped 1 of 2 files")
