"""The lock: one holder at a time, and only of a file that still stands."""

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


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EIO])
def test_a_disk_that_cannot_lock_is_a_storage_error(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(file: int, *, blocking: bool) -> bool:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("charrnn.locking.lock_descriptor", refuse)
    lock = Lock(path)
    with pytest.raises(StorageError, match=f"lock: cannot be locked: {os.strerror(number)}"):
        lock.acquire()
    assert not lock.is_lost
