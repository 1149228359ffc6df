"""What keeping a file asks of the operating system: one method for each kind of request.

Nothing else in charrnn writes, flushes, renames or removes a file that matters, so that a test can
put another disk in the place of :data:`charrnn.storage.disk`: one that records, one that refuses.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

# Windows alone distinguishes text from bytes here.
_BYTES = getattr(os, "O_BINARY", 0)

_NO_SUCH_REQUEST = (errno.EINVAL, errno.ENOTSUP)


class Disk:
    """The disk as the operating system shows it. Every method raises OSError where it refuses."""

    def create(self, path: Path) -> int:
        """Open an empty file for writing; returns its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BYTES, 0o666)

    def extend(self, path: Path) -> int:
        """Open a file, made if it is missing, for writing at its end; returns its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BYTES, 0o666)

    def write(self, file: int, data: memoryview) -> int:
        """Write some of the data, from its beginning; returns how many bytes."""
        return os.write(file, data)

    def truncate(self, file: int, size: int) -> None:
        """Cut an open file to a size in bytes."""
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        """Wait until an open file's content has reached the disk."""
        os.fsync(file)

    def close(self, file: int) -> None:
        """Close an open file."""
        os.close(file)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, in place of the file that has it."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def make_folder(self, path: Path) -> None:
        """Make a folder in one that exists."""
        path.mkdir()

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder have reached the disk.

        Windows and some network drives have no such request and are done without it.
        """
        if os.name == "nt":
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as problem:
            if problem.errno not in _NO_SUCH_REQUEST:
                raise
        finally:
            os.close(descriptor)
