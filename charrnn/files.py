"""Files written atomically and flushed to the disk, and the check that the disk has room.

A reader finds the old file or the new one, whole, and never a part. All writes, flushes, renames
and removals of files that matter go through :data:`charrnn.files.disk`, so that a test can put
another disk in its place: one that records, one that refuses.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import repeat
from pathlib import Path

from charrnn.errors import StorageError

# Windows alone distinguishes text from bytes here.
_BYTES = getattr(os, "O_BINARY", 0)

_NO_SUCH_REQUEST = (errno.EINVAL, errno.ENOTSUP)


class Disk:
    """The requests to the operating system; every method raises OSError where it refuses."""

    def create(self, path: Path) -> int:
        """Open an empty file for writing and return its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BYTES, 0o666)

    def extend(self, path: Path) -> int:
        """Open a file for appending, made if it is missing, and return its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BYTES, 0o666)

    def write(self, file: int, data: memoryview) -> int:
        """Write the beginning of the data and return the number of bytes written."""
        return os.write(file, data)

    def truncate(self, file: int, size: int) -> None:
        """Cut an open file to a size in bytes."""
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        """Wait until the content of an open file has reached the disk."""
        os.fsync(file)

    def close(self, file: int) -> None:
        """Close an open file."""
        os.close(file)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file, replacing the file that has the new name."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def make_folder(self, path: Path) -> None:
        """Make a folder in one that exists."""
        path.mkdir()

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder have reached the disk.

        Windows and some network drives have no such request; there nothing is done.
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


disk = Disk()
"""The disk that all functions here write to."""

TRIAL_FILES = "space-test-*"
"""Pattern of the names of the files that :func:`check_disk_space` writes."""

_CHUNK_BYTES = 1 << 20
# Some systems refuse to write 2 GB at once.
_MOST_AT_ONCE_BYTES = 1 << 30
_BEFORE = "; the old content still stands"
_AFTER = "; the new content is in place, but a power cut may take it back"


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file: write a temporary one beside it, fsync, rename, fsync the folder.

    Raises:
        StorageError: the system refused. The old file still stands, unless the message says that
            the new one is in place already.
    """
    write_chunks_atomically(path, [data])


def copy_atomically(source: Path, path: Path) -> None:
    """Replace a file by a copy of another, as :func:`write_atomically` does."""
    write_chunks_atomically(path, _read(source))


def write_chunks_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Replace a file by content that comes in chunks, as :func:`write_atomically` does.

    An exception that the chunks raise is passed on, and the file stays as it was.
    """
    temporary = name_temporary(path)
    with _reporting(f"{path}: could not be written", _BEFORE):
        try:
            _write(temporary, chunks)
            disk.rename(temporary, path)
        except BaseException:
            with suppress(OSError):
                disk.remove(temporary)
            raise
    with _reporting(f"{path}: could not be written", _AFTER):
        disk.sync_folder(path.parent)


def check_disk_space(folder: Path, sizes: Sequence[int]) -> None:
    """Check that the disk takes files of these sizes in bytes, by writing and removing them.

    The free space that the system reports says nothing of quotas, or of a disk that is read-only.

    Raises:
        StorageError: the system refused.
    """
    # Random, and more at a time than a compressing file system looks at together.
    noise = os.urandom(_CHUNK_BYTES)
    refusal = f"{folder}: cannot take the {sum(sizes):,} bytes that saving needs there"
    with ExitStack() as made, _reporting(refusal):
        for number, size in enumerate(sizes):
            path = name_temporary(folder / TRIAL_FILES.replace("*", str(number)))
            made.callback(remove, path)
            whole, rest = divmod(size, _CHUNK_BYTES)
            _write(path, [*repeat(noise, whole), noise[:rest]])


def append_line(path: Path, line: str) -> None:
    """Append a line to a log and flush it to the disk.

    Raises:
        StorageError: the system refused; the lines before it still stand.
    """
    with _reporting(f"{path}: could not be written"):
        is_new = not is_file(path)
        with _closing(disk.extend(path)) as file:
            size = os.fstat(file).st_size
            try:
                _write_whole(file, f"{line}\n".encode())
                disk.sync(file)
            except BaseException:
                with suppress(OSError):
                    disk.truncate(file, size)
                raise
        if is_new:
            disk.sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file if it is there.

    Raises:
        StorageError: the system refused.
    """
    with _reporting(f"{path}: cannot be removed"), suppress(FileNotFoundError):
        disk.remove(path)
        disk.sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        StorageError: the system refused, or a file stands in the way.
    """
    with _reporting(f"{path}: cannot be made a folder"):
        for folder in reversed(path.parents):
            _make_if_missing(folder)
        _make_if_missing(path)
        # A process that made the folder may have been killed before it flushed.
        if os.access(path.parent, os.R_OK):
            disk.sync_folder(path.parent)


def _make_if_missing(folder: Path) -> None:
    if is_folder(folder):
        return
    try:
        disk.make_folder(folder)
    except FileExistsError:
        # Another process may have made it just now.
        if not is_folder(folder):
            raise
    disk.sync_folder(folder.parent)


def is_file(path: Path) -> bool:
    """Tell if there is a file at a path; at an impossible path there is none."""
    return _has(path, stat.S_ISREG)


def is_folder(path: Path) -> bool:
    """Tell if there is a folder at a path; at an impossible path there is none."""
    return _has(path, stat.S_ISDIR)


def _has(path: Path, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def name_temporary(path: Path) -> Path:
    """Return the path at which this process writes the next content of a file."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def clear_leftovers(folder: Path, names: str) -> None:
    """Remove the temporary files that killed processes left behind.

    No other process may be writing such a file.

    Args:
        folder: of the files.
        names: pattern of the names of the files that were to be written.

    Raises:
        StorageError: the system refused.
    """
    for leftover in folder.glob(f".{names}.[0-9]*.tmp"):
        remove(leftover)


def _read(source: Path) -> Iterator[bytes]:
    with source.open("rb") as stream:
        while data := stream.read(_CHUNK_BYTES):
            yield data


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    with _closing(disk.create(path)) as file:
        for chunk in chunks:
            _write_whole(file, chunk)
        disk.sync(file)


def _write_whole(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[disk.write(file, left[:_MOST_AT_ONCE_BYTES]) :]


@contextmanager
def _closing(file: int) -> Iterator[int]:
    try:
        yield file
    finally:
        disk.close(file)


@contextmanager
def _reporting(refusal: str, consequence: str = "") -> Iterator[None]:
    """Turn an OSError into a StorageError with what could not be done, why, and what follows."""
    try:
        yield
    except OSError as problem:
        raise StorageError(f"{refusal}: {problem.strerror or problem}{consequence}") from problem
