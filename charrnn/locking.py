"""A lock that dies with its owner, however that ends, since the operating system holds it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from charrnn.errors import StorageError

if sys.platform == "win32":
    import msvcrt

    def _take(file: int, *, wait: bool) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
else:
    import fcntl

    def _take(file: int, *, wait: bool) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class Lock:
    """A lock on a file. The file stays behind: two could hold one that is removed and made anew.

    Args:
        path: the file, in a folder that exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def acquire(self, *, wait: bool = False) -> bool:
        """Take the lock; whether it was free.

        Args:
            wait: until it is free, instead of giving up at once.

        Raises:
            StorageError: the file cannot be made or locked.
        """
        try:
            while True:
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
                if not _take(self._file, wait=wait):
                    self.release()
                    return False
                # Somebody may have removed the file between its being opened and being locked.
                if not self.is_lost:
                    return True
                self.release()
        except OSError as problem:
            self.release()
            raise StorageError(f"{self.path}: cannot be locked: {problem.strerror}") from problem

    @property
    def is_lost(self) -> bool:
        """Whether the lock is held on a file that no longer stands at its path."""
        if self._file is None:
            return False
        try:
            return not os.path.samestat(os.fstat(self._file), self.path.stat())
        except OSError:
            return True

    def release(self) -> None:
        """Let the lock go, if it is held; the system does so as the file is closed."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
