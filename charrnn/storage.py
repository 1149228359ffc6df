"""Writing to disk so that a reader finds the old file or the new one, whole, and never a part.

Every write, flush and rename of a file that matters goes through this one small layer.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from charrnn.errors import StorageError

TEMPORARIES = ".*.tmp"
"""Pattern of the names that a killed process may leave behind."""


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at ``path``: temporary file beside it, fsync, rename, fsync of the folder.

    Raises:
        StorageError: the system refused. What was there before still stands, unless the message
            says that the new content is in place already.
    """
    fill_atomically(path, lambda stream: stream.write(data))


def copy_atomically(source: Path, path: Path) -> None:
    """Replace the file at ``path`` by a copy of another, as :func:`write_atomically` does."""

    def copy(stream: BinaryIO) -> None:
        with source.open("rb") as original:
            shutil.copyfileobj(original, stream)

    fill_atomically(path, copy)


def fill_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace a file by what a function writes, as :func:`write_atomically` does.

    What else the function raises is passed on, and the file stays as it was.
    """
    temporary = temporary_for(path)
    stands = "What was there before still stands."
    try:
        with temporary.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        stands = "It is in place, but a power cut may take it back."
        _sync_folder(path.parent)
    except OSError as problem:
        reason = problem.strerror
        raise StorageError(f"{path}: could not be written: {reason}. {stands}") from problem
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a file if it is there.

    Raises:
        StorageError: the system refused.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as problem:
        raise StorageError(f"{path}: cannot be removed: {problem.strerror}") from problem


def is_file(path: Path) -> bool:
    """Whether a path is a file's; a path that no file can have is not."""
    return _has(path, stat.S_ISREG)


def is_folder(path: Path) -> bool:
    """Whether a path is a folder's; a path that no folder can have is not."""
    return _has(path, stat.S_ISDIR)


def _has(path: Path, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def append_line(path: Path, line: str) -> None:
    """Add a line to a log and flush it to the disk.

    Raises:
        StorageError: the system refused.
    """
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as problem:
        raise StorageError(f"{path}: could not be written: {problem.strerror}") from problem


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        StorageError: the system refused, or a file stands in the way.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StorageError(f"{path}: cannot be made a folder: {problem.strerror}") from problem


def temporary_for(path: Path) -> Path:
    """Where this process gathers the next content of a file."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; Windows cannot open folders and does without."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
