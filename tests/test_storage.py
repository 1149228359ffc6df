"""Writing: the old file or the new one, whole, whatever the disk refuses."""

import builtins
import errno
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from charrnn.errors import StorageError
from charrnn.storage import (
    append_line,
    fill_atomically,
    make_folder,
    temporary_for,
    write_atomically,
)

Patch = pytest.MonkeyPatch


def refuse(*given: Any, **named: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


class FullDisk(io.FileIO):
    """A file on a disk that takes three more bytes."""

    def write(self, data: Any, /) -> int:
        super().write(bytes(data)[:3])
        return int(refuse())


def refuse_open(patch: Patch) -> None:
    patch.setattr(io, "open", refuse)
    patch.setattr(builtins, "open", refuse)


def refuse_write(patch: Patch) -> None:
    def open_full(path: Path, mode: str, *given: Any, **named: Any) -> FullDisk:
        return FullDisk(path, mode)

    patch.setattr(io, "open", open_full)
    patch.setattr(builtins, "open", open_full)


def refuse_fsync(patch: Patch) -> None:
    patch.setattr(os, "fsync", refuse)


def refuse_replace(patch: Patch) -> None:
    patch.setattr(os, "replace", refuse)


def is_folder(descriptor: int) -> bool:
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def refuse_folder_fsync(patch: Patch) -> None:
    sync = os.fsync
    patch.setattr(os, "fsync", lambda file: refuse() if is_folder(file) else sync(file))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    return path


def failed_write(path: Path, patch: Patch, injection: Callable[[Patch], None]) -> str:
    with patch.context() as patched:
        injection(patched)
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


@pytest.mark.parametrize("injection", [refuse_open, refuse_write, refuse_fsync, refuse_replace])
def test_a_refused_write_leaves_the_old_content_and_no_temporary_file(
    path: Path, monkeypatch: Patch, injection: Callable[[Patch], None]
) -> None:
    message = failed_write(path, monkeypatch, injection)
    assert "No space left" in message
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_what_fails_while_writing_leaves_the_old_content_and_no_temporary_file(path: Path) -> None:
    path.write_bytes(b"old")

    def write(stream: BinaryIO) -> None:
        stream.write(b"the new")
        raise KeyError("the rest")

    with pytest.raises(KeyError):
        fill_atomically(path, write)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot open folders")
def test_a_refused_folder_fsync_is_reported_without_a_false_word_on_what_stands(
    path: Path, monkeypatch: Patch
) -> None:
    message = failed_write(path, monkeypatch, refuse_folder_fsync)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() in (b"old", b"the new content")
    assert path.read_bytes() == b"old" or "before still stands" not in message


@pytest.mark.parametrize("injection", [refuse_open, refuse_write, refuse_fsync, refuse_replace])
def test_a_refused_write_creates_nothing_where_there_was_nothing(
    tmp_path: Path, monkeypatch: Patch, injection: Callable[[Patch], None]
) -> None:
    failed_write(tmp_path / "new", monkeypatch, injection)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["missing/x", "kept/x", "n" * 252, "n" * 300, "folder"])
def test_a_path_that_cannot_be_written_is_a_storage_error(path: Path, name: str) -> None:
    (path.parent / "folder").mkdir()
    with pytest.raises(StorageError, match="could not be written"):
        write_atomically(path.parent / name, b"new")


def test_a_refusal_is_reported_even_if_the_temporary_file_cannot_be_removed(
    path: Path, monkeypatch: Patch
) -> None:
    def refuse_all(patch: Patch) -> None:
        refuse_fsync(patch)
        patch.setattr(os, "unlink", refuse)

    failed_write(path, monkeypatch, refuse_all)
    assert path.read_bytes() == b"old"


def test_a_leftover_temporary_file_does_no_harm(path: Path) -> None:
    temporary_for(path).write_bytes(b"half of something that was longer")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_process_that_dies_in_a_write_leaves_the_old_content_and_the_next_write_works(
    path: Path, monkeypatch: Patch
) -> None:
    def die(descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", die)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, b"lost")
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot open folders")
def test_content_reaches_the_disk_before_its_name_does(path: Path, monkeypatch: Patch) -> None:
    calls = []
    sync, replace = os.fsync, os.replace

    def watched_sync(descriptor: int) -> None:
        calls.append("folder" if is_folder(descriptor) else "content")
        if calls == ["content"]:
            assert temporary_for(path).read_bytes() == b"new"
        sync(descriptor)

    def watched_replace(source: Path, target: Path) -> None:
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_atomically(path, b"new")
    assert calls == ["content", "rename", "folder"]


def test_lines_are_appended_and_each_is_flushed_to_the_disk(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    log, flushed = tmp_path / "log", []
    monkeypatch.setattr(os, "fsync", lambda _: flushed.append(log.read_text(encoding="utf-8")))
    append_line(log, "one")
    append_line(log, "zwei, drüben")
    assert flushed == ["one\n", "one\nzwei, drüben\n"]


@pytest.mark.parametrize("injection", [refuse_open, refuse_fsync])
def test_a_refused_append_keeps_the_lines_before(
    tmp_path: Path, monkeypatch: Patch, injection: Callable[[Patch], None]
) -> None:
    log = tmp_path / "log"
    append_line(log, "one")
    with monkeypatch.context() as patched:
        injection(patched)
        with pytest.raises(StorageError, match="No space left") as caught:
            append_line(log, "two")
    assert str(log) in str(caught.value)
    assert log.read_text(encoding="utf-8").splitlines()[0] == "one"


def test_a_folder_is_made_with_those_above_it_and_may_be_there_already(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("name", ["kept", "kept/below", "n" * 300])
def test_a_folder_that_cannot_be_made_is_a_storage_error(path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="cannot be made a folder"):
        make_folder(path.parent / name)
