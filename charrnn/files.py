"""Writing to disk so that a reader finds the old file or the new one, whole, and never a part.

What keeping a file asks of the operating system: one method for each kind of request.

Nothing else in charrnn writes, flushes, renames or removes a file that matters, so that a test can
put another disk in the place of :data:`charrnn.files.disk`: one that records, one that refuses.
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


disk = Disk()
"""Takes every write, flush, rename and removal of a file that matters."""

REHEARSALS = "rehearsal-*"
"""Pattern of the names of the files that :func:`rehearse` writes."""

_CHUNK_BYTES = 1 << 20
# Some systems refuse to write 2 GB at once.
_MOST_AT_ONCE_BYTES = 1 << 30
_BEFORE = ". What was there before still stands."
_AFTER = ". It is in place, but a power cut may take it back."


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at ``path``: temporary file beside it, fsync, rename, fsync of the folder.

    Raises:
        StorageError: the system refused. What was there before still stands, unless the message
            says that the new content is in place already.
    """
    fill_atomically(path, [data])


def copy_atomically(source: Path, path: Path) -> None:
    """Replace the file at ``path`` by a copy of another, as :func:`write_atomically` does."""
    fill_atomically(path, _read(source))


def fill_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Replace a file by what comes in chunks, as :func:`write_atomically` does.

    What else is raised while they come is passed on, and the file stays as it was.
    """
    temporary = temporary_for(path)
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


def rehearse(folder: Path, sizes: Sequence[int]) -> None:
    """Write files of these sizes in bytes to a folder, all at once, and remove them again.

    A disk that is too full for them, or takes nothing, is found out before it matters.

    Raises:
        StorageError: the system refused.
    """
    # Chance, and more of it than a file system that compresses looks at together.
    noise = os.urandom(_CHUNK_BYTES)
    refusal = f"{folder}: cannot take the {sum(sizes):,} bytes that saving needs there"
    with ExitStack() as made, _reporting(refusal):
        for number, size in enumerate(sizes):
            path = temporary_for(folder / REHEARSALS.replace("*", str(number)))
            made.callback(remove, path)
            whole, rest = divmod(size, _CHUNK_BYTES)
            _write(path, [*repeat(noise, whole), noise[:rest]])


def append_line(path: Path, line: str) -> None:
    """Add a line to a log and flush it to the disk.

    Raises:
        StorageError: the system refused; the lines before still stand.
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
        # One that was there may be the work of a process that was killed before this.
        if os.access(path.parent, os.R_OK):
            disk.sync_folder(path.parent)


def _make_if_missing(folder: Path) -> None:
    if is_folder(folder):
        return
    try:
        disk.make_folder(folder)
    except FileExistsError:
        # Unless another process has just made it.
        if not is_folder(folder):
            raise
    disk.sync_folder(folder.parent)


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


def temporary_for(path: Path) -> Path:
    """Where this process gathers the next content of a file."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def clear_leftovers(folder: Path, names: str) -> None:
    """Remove the temporary files that killed processes left of files whose names fit a pattern.

    To be called where no other process is at work on such a file.

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
    """Turn what the system refuses into an error that says what could not be done, and why."""
    try:
        yield
    except OSError as problem:
        raise StorageError(f"{refusal}: {problem.strerror or problem}{consequence}") from problem
