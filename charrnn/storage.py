"""Writing to disk so that a reader finds the old file or the new one, whole, and never a part.

Every write, flush and rename of a file that matters goes through this one small layer.
"""

from __future__ import annotations

import os
from pathlib import Path

from charrnn.errors import StorageError


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at ``path``: temporary file beside it, fsync, rename, fsync of the folder.

    Raises:
        StorageError: the system refused; the file that was there before still stands.
    """
    temporary = temporary_for(path)
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as problem:
        temporary.unlink(missing_ok=True)
        raise StorageError(
            f"{path}: could not be written: {problem.strerror}. What was there before still stands."
        ) from problem


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
    """Where the next content of a file is gathered: one name each, so that none pile up."""
    return path.with_name(f".{path.name}.tmp")


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; Windows cannot open folders and does without."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
