"""Writing: the old file or the new one, whole, whatever the disk refuses."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from charrnn import files
from charrnn.errors import StorageError
from charrnn.files import (
    Disk,
    append_line,
    check_disk_space,
    clear_leftovers,
    copy_atomically,
    make_folder,
    name_temporary,
    remove,
    write_atomically,
    write_chunks_atomically,
)
from tests.support.disks import Fault, FaultyDisk, SippingDisk, WatchedDisk, refusal

Patch = pytest.MonkeyPatch
WRITING = ("create", "write", "sync", "close", "rename")
"""The requests of a write before the new content is in place."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    return path


class Refusing(FaultyDisk):
    """A full disk that refuses one kind of request, some bytes of a write taken."""

    def __init__(self, *requests: str) -> None:
        super().__init__(Fault(refusal(errno.ENOSPC), requests, torn=True), 1)


class Watching(WatchedDisk):
    """Remembers the requests that were made of it."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    def meet(self, request: str, *given: object) -> None:
        self.requests.append(request)


def failed_write(path: Path, patch: Patch, *requests: str) -> str:
    with patch.context() as patched:
        patched.setattr(files, "disk", Refusing(*requests))
        with pytest.raises(StorageError) as caught:
            write_atomically(path, b"the new content")
    assert caught.value.exit_code == 7
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("before", [b"old", b"the old content is longer", b""])
def test_a_write_replaces_the_content_and_leaves_no_temporary_file(
    path: Path, before: bytes
) -> None:
    path.write_bytes(before)
    write_atomically(path, b"the new one")
    assert path.read_bytes() == b"the new one"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("request_", WRITING)
def test_a_refused_write_leaves_the_old_content_and_no_temporary_file(
    path: Path, monkeypatch: Patch, request_: str
) -> None:
    message = failed_write(path, monkeypatch, request_)
    assert "No space left" in message
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_what_fails_while_writing_leaves_the_old_content_and_no_temporary_file(path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"the new"
        raise KeyError("the rest")

    with pytest.raises(KeyError):
        write_chunks_atomically(path, chunks())
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_refused_folder_fsync_is_reported_without_a_false_word_on_what_stands(
    path: Path, monkeypatch: Patch
) -> None:
    message = failed_write(path, monkeypatch, "sync_folder")
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() in (b"old", b"the new content")
    assert path.read_bytes() == b"old" or "old content still stands" not in message


@pytest.mark.parametrize("request_", WRITING)
def test_a_refused_write_creates_nothing_where_there_was_nothing(
    tmp_path: Path, monkeypatch: Patch, request_: str
) -> None:
    failed_write(tmp_path / "new", monkeypatch, request_)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["missing/x", "kept/x", "n" * 252, "n" * 300, "folder"])
def test_a_path_that_cannot_be_written_is_a_storage_error(path: Path, name: str) -> None:
    (path.parent / "folder").mkdir()
    with pytest.raises(StorageError, match="could not be written"):
        write_atomically(path.parent / name, b"new")


def test_a_refusal_is_reported_even_if_the_temporary_file_cannot_be_removed(
    path: Path, monkeypatch: Patch
) -> None:
    failed_write(path, monkeypatch, "sync", "remove")
    assert path.read_bytes() == b"old"


def test_a_leftover_temporary_file_does_no_harm(path: Path) -> None:
    name_temporary(path).write_bytes(b"half of something that was longer")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("problem", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("request_", WRITING)
def test_a_write_that_is_broken_off_leaves_the_old_content_and_no_temporary_file(
    path: Path, monkeypatch: Patch, request_: str, problem: type[BaseException]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(files, "disk", FaultyDisk(Fault(problem, (request_,)), 1))
        with pytest.raises(problem):
            write_atomically(path, b"lost")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_disk_that_takes_little_at_a_time_gets_it_all(path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(files, "disk", SippingDisk())
    write_atomically(path, b"the new content")
    append_line(path, ", and more")
    assert path.read_bytes() == b"the new content, and more\n"


def test_content_reaches_the_disk_before_its_name_does(path: Path, monkeypatch: Patch) -> None:
    disk = Watching()
    monkeypatch.setattr(files, "disk", disk)
    write_atomically(path, b"new")
    assert disk.requests == ["create", "write", "sync", "close", "rename", "sync_folder"]


def test_to_sync_is_to_ask_the_system_to(path: Path, monkeypatch: Patch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    write_atomically(path, b"new")
    folder = [] if os.name == "nt" else [path.parent.stat().st_ino]
    assert synced == [path.stat().st_ino, *folder]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot open folders")
@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_a_folder_need_not_be_synced_where_that_is_unknown(
    path: Path, monkeypatch: Patch, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", mock.Mock(side_effect=refusal(number)()))
    if number == errno.EINVAL:
        Disk().sync_folder(path.parent)
    else:
        with pytest.raises(OSError, match="Input/output"):
            Disk().sync_folder(path.parent)


def test_a_copy_is_a_replacement_too(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    path.write_bytes(os.urandom((1 << 20) + 3))
    copy_atomically(path, copy)
    assert copy.read_bytes() == path.read_bytes()
    with pytest.raises(StorageError, match="copy"):
        copy_atomically(tmp_path / "missing", copy)
    assert copy.read_bytes() == path.read_bytes()
    assert set(tmp_path.iterdir()) == {path, copy}


def test_the_check_of_disk_space_writes_the_sizes_and_leaves_nothing(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    written: list[int] = []

    class Weighing(WatchedDisk):
        def meet(self, request: str, *given: object) -> None:
            if request == "remove" and not written:
                written.extend(sorted(file.stat().st_size for file in tmp_path.iterdir()))

    monkeypatch.setattr(files, "disk", Weighing())
    check_disk_space(tmp_path, [0, 5, (1 << 20) + 7])
    assert written == [0, 5, (1 << 20) + 7]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("nth", range(1, 13))
def test_a_check_that_is_refused_says_how_much_was_wanted_and_leaves_nothing(
    tmp_path: Path, monkeypatch: Patch, nth: int
) -> None:
    fault = Fault(refusal(errno.ENOSPC), torn=True)
    monkeypatch.setattr(files, "disk", FaultyDisk(fault, nth))
    with pytest.raises(StorageError, match=r"1,030 bytes .*No space left"):
        check_disk_space(tmp_path, [1000, 20, 10])
    assert not list(tmp_path.iterdir())


def test_only_the_temporary_files_of_the_names_given_are_cleared(tmp_path: Path) -> None:
    leftover = tmp_path / ".last.safetensors.123.tmp"
    others = {tmp_path / name for name in (".mine.tmp", ".last.safetensors.tmp", ".mine.1.tmp")}
    for file in (leftover, *others):
        file.touch()
    clear_leftovers(tmp_path, "last.safetensors")
    assert set(tmp_path.iterdir()) == others


def test_a_file_is_removed_for_good_or_was_not_there(path: Path, monkeypatch: Patch) -> None:
    disk = Watching()
    monkeypatch.setattr(files, "disk", disk)
    for _ in range(2):
        remove(path)
    assert not path.exists()
    assert disk.requests == ["remove", "sync_folder", "remove"]
    with pytest.raises(StorageError, match="cannot be removed"):
        remove(path.parent)


def test_lines_are_appended_and_each_is_flushed_to_the_disk(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    log, disk = tmp_path / "log", Watching()
    monkeypatch.setattr(files, "disk", disk)
    append_line(log, "one")
    append_line(log, "zwei, drüben")
    assert log.read_text(encoding="utf-8") == "one\nzwei, drüben\n"
    line = ["extend", "write", "sync", "close"]
    assert disk.requests == [*line, "sync_folder", *line]


@pytest.mark.parametrize("request_", ["extend", "write", "sync"])
def test_a_refused_append_leaves_the_lines_before_and_no_part_of_another(
    tmp_path: Path, monkeypatch: Patch, request_: str
) -> None:
    log = tmp_path / "log"
    append_line(log, "one")
    with monkeypatch.context() as patched:
        patched.setattr(files, "disk", Refusing(request_))
        with pytest.raises(StorageError, match="No space left") as caught:
            append_line(log, "two")
    assert str(log) in str(caught.value)
    assert log.read_bytes() == b"one\n"


def test_a_folder_is_made_with_those_above_it_and_may_be_there_already(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_and_those_above_it_are_there_to_stay(tmp_path: Path, monkeypatch: Patch) -> None:
    disk = Watching()
    monkeypatch.setattr(files, "disk", disk)
    make_folder(tmp_path / "a" / "b")
    assert disk.requests[:4] == ["make_folder", "sync_folder"] * 2
    disk.requests.clear()
    # It may be the work of a process that was killed before it could sync.
    make_folder(tmp_path / "a" / "b")
    assert disk.requests == ["sync_folder"]


def test_a_folder_that_another_process_makes_first_is_as_good(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    class Overtaken(WatchedDisk):
        def meet(self, request: str, *given: object) -> None:
            if request == "make_folder":
                (tmp_path / "made").mkdir()

    monkeypatch.setattr(files, "disk", Overtaken())
    make_folder(tmp_path / "made")
    assert (tmp_path / "made").is_dir()


@pytest.mark.parametrize("name", ["kept", "kept/below", "n" * 300])
def test_a_folder_that_cannot_be_made_is_a_storage_error(path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="cannot be made a folder"):
        make_folder(path.parent / name)
