"""A lock that dies with its owner, however that ends, since the operating system holds it."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import lock_descriptor

from charrnn.errors import StorageError

# A link that another user laid there would make an empty file elsewhere. Windows has no such flag.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class Lock:
    """A lock on a file.

    The file is never removed: two processes could then each lock a file of that name.

    Args:
        path: the file, in a folder that exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def acquire(self, *, wait: bool = False) -> bool:
        """Take the lock, and return whether it was free.

        Args:
            wait: until it is free, instead of giving up at once.

        Raises:
            StorageError: the file cannot be made or locked.
        """
        try:
            while True:
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
                # Not filelock.FileLock: where a disk cannot lock, it makes do with a marker file,
                # which a process that is killed would leave behind.
                if not lock_descriptor(self._file, blocking=wait):
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
        """True if the lock is held on a file that no longer stands at its path."""
        if self._file is None:
            return False
        try:
            return not os.path.samestat(os.fstat(self._file), self.path.stat())
        except OSError:
            return True

    def release(self) -> None:
        """Release the lock, if it is held, by closing its file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
