"""The lock: one holder at a time, and only of a file that still stands."""

import _thread
import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import lock_descriptor

from charrnn.errors import StorageError
from charrnn.locking import Lock

HOLDER = """
import os, sys
from pathlib import Path
from charrnn.locking import Lock

lock = Lock(Path(sys.argv[1]))
assert lock.acquire()
print("held", flush=True)
sys.stdin.read()
os._exit(1)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_one_holds_it_until_it_lets_go(path: Path) -> None:
    first, second = Lock(path), Lock(path)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    assert not first.acquire()
    second.release()


def test_it_dies_with_its_owner(path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert not Lock(path).acquire()
        process.kill()
    mine = Lock(path)
    assert mine.acquire()
    mine.release()


def test_who_waits_has_it_next(path: Path) -> None:
    first, second = Lock(path), Lock(path)
    first.acquire()
    threading.Timer(0.05, first.release).start()
    assert second.acquire(wait=True)
    assert not first.acquire()
    second.release()


def test_it_is_lost_with_its_file(path: Path) -> None:
    lock = Lock(path)
    assert not lock.is_lost
    lock.acquire()
    assert not lock.is_lost
    path.unlink()
    assert lock.is_lost
    path.touch()
    assert lock.is_lost
    lock.release()
    assert not lock.is_lost


def test_a_file_removed_while_it_is_being_locked_is_not_held(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []

    def take_late(file: int, *, blocking: bool) -> bool:
        if not taken:
            path.unlink()
        taken.append(file)
        return lock_descriptor(file, blocking=blocking)

    monkeypatch.setattr("charrnn.locking.lock_descriptor", take_late)
    lock = Lock(path)
    assert lock.acquire()
    assert len(taken) == 2
    assert not Lock(path).acquire()
    lock.release()


def test_a_link_that_lies_in_wait_is_not_followed(path: Path) -> None:
    path.symlink_to("elsewhere")
    with pytest.raises(StorageError, match="cannot be locked"):
        Lock(path).acquire()
    assert not path.exists()


@pytest.mark.parametrize("name", ["missing/lock", "", "n" * 300])
def test_a_file_that_cannot_be_made_is_a_storage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="cannot be locked"):
        Lock(tmp_path / name).acquire()


def answer_with(patch: pytest.MonkeyPatch, number: int) -> None:
    """Make the system answer every request for a lock with an error."""

    def refuse(file: int, *, blocking: bool) -> bool:
        raise OSError(number, os.strerror(number))

    patch.setattr("charrnn.locking.lock_descriptor", refuse)


def test_a_disk_that_fails_to_lock_is_a_storage_error_and_no_file_is_left(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, errno.EIO)
    lock = Lock(path)
    with pytest.raises(StorageError, match=f"lock: cannot be locked: {os.strerror(errno.EIO)}"):
        lock.acquire()
    assert not lock.is_lost
    assert not path.exists()


@pytest.mark.parametrize(
    "number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL]
)
def test_a_disk_without_locks_says_so_and_keeps_nobody_out(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    answer_with(monkeypatch, number)
    first, second = Lock(path), Lock(path)
    for lock in (first, second):
        assert lock.acquire()
        assert lock.lacking == os.strerror(number)
    path.unlink()
    assert first.is_lost
    for lock in (first, second):
        lock.release()


def test_an_error_of_the_request_comes_through_and_is_not_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: int, *, blocking: bool) -> bool:
        raise MemoryError

    monkeypatch.setattr("charrnn.locking.lock_descriptor", fail)
    with pytest.raises(MemoryError):
        Lock(path).acquire(on_slow=lambda: None)
    assert not path.exists()


class Silent:
    """A system that answers no request for a lock until it is told to.

    Attributes:
        answer: set to let it answer.
        answered: set when it has.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.answer = threading.Event()
        self.answered = threading.Event()

        def wait(file: int, *, blocking: bool) -> bool:
            self.answer.wait()
            try:
                return lock_descriptor(file, blocking=blocking)
            finally:
                self.answered.set()

        patch.setattr("charrnn.locking.lock_descriptor", wait)


def test_a_disk_that_does_not_answer_is_waited_for_and_that_is_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Silent(monkeypatch)
    lock = Lock(path)
    # It answers when it has been called slow, and so only to who says that.
    assert lock.acquire(patience=0.01, on_slow=silent.answer.set)
    monkeypatch.undo()
    assert not Lock(path).acquire()
    lock.release()


def test_a_disk_that_does_not_answer_is_given_up_where_nobody_would_hear_of_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Silent(monkeypatch)
    with pytest.raises(StorageError, match="lock: the file system has not answered"):
        Lock(path).acquire(patience=0.01)
    assert not path.exists()
    silent.answer.set()


def test_waiting_for_a_disk_can_be_broken_off_and_the_lock_is_given_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = Silent(monkeypatch)
    path.touch()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Lock(path).acquire(patience=0.01, on_slow=interrupt)
    silent.answer.set()
    silent.answered.wait()
    monkeypatch.undo()
    after = Lock(path)
    assert after.acquire(wait=True)
    after.release()


def test_where_no_thread_can_start_the_system_is_asked_directly(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(function: object, arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    first = Lock(path)
    assert first.acquire()
    assert not Lock(path).acquire()
    first.release()


def test_only_who_made_the_file_and_holds_it_removes_it(path: Path) -> None:
    first, second = Lock(path), Lock(path)
    first.acquire()
    assert not second.acquire()
    second.remove()
    assert path.exists()
    first.remove()
    assert not path.exists()
    first.release()
    path.touch()
    first.acquire()
    first.remove()
    first.release()
    assert path.exists()
