"""A lock that dies with its owner, however that ends, since the operating system holds it."""

from __future__ import annotations

import _thread
import errno
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import lock_descriptor

from charrnn.errors import Remedy, StorageError

PATIENCE_SECONDS = 5.0
"""Seconds after which a system that has not answered is slow."""

_NO_SUCH_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
"""Answers of file systems that have no locks, or whose server for locks does not run."""

_BETWEEN_TRIES_SECONDS = 0.05
_MOST_TRIES = 100
# A link that another user laid there would make an empty file elsewhere. Windows has no such flag.
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)


class Lock:
    """A lock on a file, and on nothing where the file system has no locks.

    A file may be removed by whoever holds the lock on it: others who have opened it notice.

    Args:
        path: the file, in a folder that exists.

    Attributes:
        lacking: the system's word for there being no locks here; None if there are.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lacking: str | None = None
        self._file: int | None = None
        self._made = False

    def acquire(
        self,
        *,
        wait: bool = False,
        patience: float = PATIENCE_SECONDS,
        on_slow: Callable[[], object] | None = None,
    ) -> bool:
        """Take the lock, and return whether nobody else is known to hold it.

        Args:
            wait: as long as ``patience`` until it is free, instead of giving up at once.
            patience: seconds after which a system that has not answered is slow.
            on_slow: called once the system is slow; its answer is then waited for until there is
                one. None takes silence for a refusal.

        Raises:
            StorageError: the file cannot be made or locked.
        """
        deadline = time.monotonic() + (patience if wait else 0)
        try:
            for _ in range(_MOST_TRIES):
                while not self._try(patience, on_slow):
                    if time.monotonic() >= deadline:
                        return False
                    time.sleep(_BETWEEN_TRIES_SECONDS)
                # Somebody may have removed the file between its being opened and being locked.
                if not self.is_lost:
                    return True
                self.release()
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        except OSError as problem:
            self.release()
            raise StorageError(f"{self.path}: cannot be locked: {problem.strerror}") from problem

    def _try(self, patience: float, on_slow: Callable[[], object] | None) -> bool:
        """Ask the system for the lock, and return whether it was free."""
        attempt = _Attempt(self.path)
        try:
            if not attempt.wait(patience):
                if on_slow is None:
                    raise StorageError(
                        f"{self.path}: the file system has not answered the request to lock it in "
                        f"{patience:.0f} seconds",
                        Remedy("try again when it does"),
                    )
                on_slow()
                attempt.wait(None)
        except BaseException:
            attempt.abandon()
            raise
        self._file, self.lacking, self._made = attempt.result(), attempt.lacking, attempt.made
        return self._file is not None

    @property
    def is_lost(self) -> bool:
        """True if the lock is held on a file that no longer stands at its path."""
        if self._file is None:
            return False
        try:
            return not os.path.samestat(os.fstat(self._file), self.path.lstat())
        except OSError:
            return True

    def remove(self) -> None:
        """Remove the file, if this made it and nobody else has replaced it since."""
        if self._file is not None and self._made and not self.is_lost:
            _remove(self.path)

    def release(self) -> None:
        """Release the lock, if it is held, by closing its file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _Attempt:
    """A request for a lock, made in a thread, since a network may never answer it.

    A signal is heard at once while a thread waits, and the thread does not keep the program from
    ending.

    Attributes:
        made: True if it has made the file, which is still there.
        lacking: as of the lock.
    """

    def __init__(self, path: Path) -> None:
        self.made = False
        self.lacking: str | None = None
        self._path = path
        self._file: int | None = None
        self._problem: OSError | MemoryError | None = None
        self._answered = threading.Event()
        self._settling = threading.Lock()
        self._abandoned = False
        try:
            # Not threading.Thread, which waits without end for a thread that lacks memory to begin.
            _thread.start_new_thread(self._ask, ())
        except RuntimeError:
            # No more threads are allowed.
            self._ask()

    def wait(self, seconds: float | None) -> bool:
        """Wait for the answer, and return whether it has come."""
        return self._answered.wait(seconds)

    def result(self) -> int | None:
        """Return the locked file; None if others hold the lock.

        Raises:
            OSError: the system refused.
            MemoryError: there is too little memory for the request.
        """
        if self._problem is not None:
            raise self._problem
        return self._file

    def abandon(self) -> None:
        """Give up, and give the lock back if it comes all the same."""
        with self._settling:
            self._abandoned = True
            self._remove()
            if self._answered.is_set():
                self._close()

    def _ask(self) -> None:
        is_held = False
        try:
            self._file = self._open()
            # Not filelock.FileLock: where a disk cannot lock, it makes do with a marker file,
            # which a process that is killed would leave behind.
            is_held = lock_descriptor(self._file, blocking=False)
        except OSError as problem:
            if self._file is not None and problem.errno in _NO_SUCH_LOCKS:
                is_held, self.lacking = True, problem.strerror
            else:
                self._problem = problem
        except MemoryError as problem:
            # Without an answer the program would wait for this thread without end.
            self._problem = problem
        with self._settling:
            if self._problem is not None:
                self._remove()
            if not is_held or self._abandoned:
                self._close()
            self._answered.set()

    def _open(self) -> int:
        """Open the file, and make it if it is missing."""
        try:
            file = os.open(self._path, _FLAGS | os.O_EXCL, 0o666)
            self.made = True
        except FileExistsError:
            file = os.open(self._path, _FLAGS, 0o666)
        return file

    def _remove(self) -> None:
        if self.made:
            _remove(self._path)
            self.made = False

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
