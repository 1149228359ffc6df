"""Files written atomically and flushed to the disk, and the check that the disk has room.

A reader finds the old file or the new one, whole, and never a part. A file keeps its mode, and a
link its place: the file at its end is replaced. All writes, flushes, renames and removals of files
that matter go through :data:`charrnn.files.disk`, so that a test can put another disk in its place:
one that records, one that refuses.

A device, a pipe or an open file cannot be replaced. What a user names for output may be one, and is
then written into; a file that charrnn keeps may not.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from charrnn.errors import StorageError

# Windows alone distinguishes text from bytes here, and lacks the others.
_BYTES = getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_NO_TERMINAL = getattr(os, "O_NOCTTY", 0)

_NEW_MODE = 0o666
"""Permissions of a new file, of which the user's umask takes some away."""

_PRIVATE_MODE = 0o600
_ACCESS_LIST = "system.posix_acl_access"

_NO_SUCH_REQUEST = (
    *(errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS),
    # A folder is opened for reading only, and some systems flush nothing that was.
    *(errno.EBADF, errno.EACCES, errno.EPERM),
)


class Disk:
    """The requests to the operating system; every method raises OSError where it refuses."""

    def create(self, path: Path, mode: int = _NEW_MODE) -> int:
        """Open a new file for writing and return its descriptor; nothing may have its name."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BYTES, mode)

    def extend(self, path: Path, mode: int = _NEW_MODE) -> int:
        """Open a file for appending, made if it is missing, and return its descriptor.

        A pipe that nobody reads is refused, where it would otherwise be waited for.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NO_LINK | _NO_WAIT | _BYTES
        return os.open(path, flags, mode)

    def imitate(self, file: int, model: Path) -> None:
        """Give an open file the owner, the group and the permissions of another one.

        That is done as far as the system allows it. Where the group cannot be given, the group that
        the file has is allowed no more than everybody is.
        """
        if os.name == "nt":
            return
        status = model.stat()
        mode = stat.S_IMODE(status.st_mode) & 0o777
        with suppress(OSError):
            os.fchown(file, status.st_uid, -1)
        try:
            os.fchown(file, -1, status.st_gid)
        except OSError:
            mode &= 0o707 | (mode & 0o007) << 3
        if hasattr(os, "getxattr"):
            _copy_access_list(file, model)
        with suppress(OSError):
            os.fchmod(file, mode)

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

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        path.rmdir()

    def sync_folder(self, path: Path) -> bool:
        """Wait until the names in a folder have reached the disk, and return whether that works.

        Windows and some network drives have no such request, and a folder whose names may not be
        listed cannot be opened for it; there nothing is done.
        """
        if os.name == "nt":
            return False
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except PermissionError:
            return False
        try:
            os.fsync(descriptor)
        except OSError as problem:
            if problem.errno not in _NO_SUCH_REQUEST:
                raise
            return False
        finally:
            os.close(descriptor)
        return True


def _copy_access_list(file: int, model: Path) -> None:
    with suppress(OSError):
        os.removexattr(file, _ACCESS_LIST)  # The one that the folder gave it.
    with suppress(OSError):
        os.setxattr(file, _ACCESS_LIST, os.getxattr(model, _ACCESS_LIST))


disk = Disk()
"""The disk that all functions here write to."""

TRIAL_FILES = "space-test-*"
"""Pattern of the names of the files that :func:`check_disk_space` writes."""

_NO_FILE = "it is not a file but a device, a pipe or a socket"
_CHUNK_BYTES = 1 << 20
_LONGEST_NAME = 255
_MOST_LINKS = 40
# Some systems refuse to write 2 GB at once.
_MOST_AT_ONCE_BYTES = 1 << 30
_BEFORE = "; the old content still stands"
_AFTER = "; the new content is in place, but a power cut may take it back"


def write_atomically(path: Path, data: bytes, like: Path | None = None) -> None:
    """Replace a file: write a temporary one beside it, fsync, rename, fsync the folder.

    The new content has the owner, the group and the permissions of the old one. Links are followed
    to their end; another name of the old file, a hard link, keeps the old content.

    Args:
        path: of the file.
        data: its new content.
        like: the file that a new one gets its permissions from; None for the user's umask.

    Raises:
        StorageError: the system refused, or something other than a file has the name. The old file
            still stands, unless the message says that the new one is in place already.
    """
    write_chunks_atomically(path, [data], like)


def copy_atomically(source: Path, path: Path, *, private: bool = False) -> None:
    """Replace a file by a copy of another, as :func:`write_atomically` does.

    Args:
        source: the file to copy.
        path: of the copy.
        private: only the user may read a copy that was not there before.
    """
    write_chunks_atomically(path, _read(source), mode=_PRIVATE_MODE if private else _NEW_MODE)


def write_chunks_atomically(
    path: Path, chunks: Iterable[bytes], like: Path | None = None, *, mode: int = _NEW_MODE
) -> None:
    """Replace a file by content that comes in chunks, as :func:`write_atomically` does.

    An exception that the chunks raise is passed on, and the file stays as it was.
    """
    with _reporting(f"{path}: could not be written", _BEFORE if is_file(path) else ""):
        file = _find_file(path)
        temporary = name_temporary(file)
        try:
            _write(temporary, chunks, mode, _first_file(file, like))
            disk.rename(temporary, file)
        except BaseException:
            with suppress(OSError):
                disk.remove(temporary)
            raise
    with _reporting(f"{path}: could not be written", _AFTER):
        disk.sync_folder(file.parent)


def check_regular(path: Path) -> None:
    """Raise StorageError if something other than a file is at a path, links followed."""
    with _reporting(f"{path}: could not be written"):
        _find_file(path)


def find_replaced(path: Path) -> Path | None:
    """Find the file that :func:`write_output` would replace, all links followed; None if none.

    Raises:
        StorageError: nothing can be written there.
    """
    with _reporting(f"{path}: could not be written"):
        place = _find_place(path)
        if isinstance(place, _Stream):
            return None
        place.parent.stat()  # Raises OSError for a folder that is missing.
        return place if is_file(place) else None


def write_output(path: Path, chunks: Iterable[bytes], like: Path | None = None) -> None:
    """Write output to what a user named: a file is replaced, anything else is written into.

    Args:
        path: of a file, a device, a pipe, or an open file of this process: ``/dev/fd/3``.
        chunks: the output.
        like: as for :func:`write_atomically`.

    Raises:
        StorageError: the system refused, or it is a folder, a socket or a disk. Its cause is a
            BrokenPipeError if nobody reads the pipe any more.
    """
    with _reporting(f"{path}: could not be written"):
        place = _find_place(path)
        if not isinstance(place, _Stream):
            write_chunks_atomically(path, chunks, like)
            return
        with _closing(place.open()) as file:
            for chunk in chunks:
                _write_whole(file, chunk)


def append_output(path: Path, data: bytes) -> None:
    """Append to a file that a user named, or write into a device, a pipe or an open file.

    Raises:
        StorageError: as :func:`write_output` does; a file is as it was.
    """
    with _reporting(f"{path}: could not be written"):
        place = _find_place(path)
        if isinstance(place, _Stream):
            with _closing(place.open()) as file:
                _write_whole(file, data)
            return
        with _closing(_extend(place)) as file, _cutting_back(file):
            _write_whole(file, data)


def find_descriptor(path: Path) -> int | None:
    """Find the number of the open file of this process that a path leads to; None if to none.

    ``/dev/stdout`` leads to 1, ``/dev/fd/3`` to 3.
    """
    try:
        end = _follow_links(path)
    except (OSError, ValueError):
        return None
    return end if isinstance(end, int) else None


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
            _write(path, [*repeat(noise, whole), noise[:rest]], _PRIVATE_MODE)


def append_line(path: Path, line: str, like: Path | None = None) -> None:
    """Append a line to a log and flush it to the disk.

    Args:
        path: of the log.
        line: to append.
        like: the file that a new log gets its permissions from; None for the user's umask.

    Raises:
        StorageError: the system refused; the lines before it still stand.
    """
    with _reporting(f"{path}: could not be written"):
        log = _find_file(path)
        is_new = not is_file(log)
        extended = _extend(log, _first_file(like) if is_new else None)
        with _closing(extended) as file, _cutting_back(file):
            _write_whole(file, f"{line}\n".encode())
            disk.sync(file)
        if is_new:
            disk.sync_folder(log.parent)


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
    for folder in (*reversed(path.parents), path):
        _make_if_missing(folder)
    # A process that made the folder may have been killed before it flushed.
    flush_folder(path.parent)


def flush_folder(path: Path) -> bool:
    """Flush the names in a folder to the disk, and return whether the file system can do that.

    Raises:
        StorageError: the system refused.
    """
    with _reporting(f"{path}: its names cannot be flushed to the disk"):
        return disk.sync_folder(path)


def remove_folder(path: Path) -> None:
    """Remove a folder if it is there and empty.

    Raises:
        StorageError: the system refused.
    """
    with _reporting(f"{path}: cannot be removed"), suppress(FileNotFoundError):
        disk.remove_folder(path)
        disk.sync_folder(path.parent)


def _make_if_missing(folder: Path) -> None:
    if is_folder(folder):
        return
    with _reporting(f"{folder}: cannot be made a folder"):
        try:
            disk.make_folder(folder)
        except FileExistsError:
            # Another process may have made it just now.
            if not is_folder(folder):
                raise
    flush_folder(folder.parent)


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
    """Return a path, which nobody can foresee, for the next content of a file."""
    name = path.name
    while len(os.fsencode(temporary := f".{name}.{secrets.randbits(64)}.tmp")) > _LONGEST_NAME:
        name = name[:-1]
    return path.with_name(temporary)


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


def _follow_links(path: Path) -> Path | int:
    """Follow the links that a path ends in, to a path that is none or to an open file's number.

    A link of another process to one of its open files leads nowhere else and is returned.

    Raises:
        OSError: the links never end, or are not to be trusted.
    """
    if "\0" in str(path):
        raise _refusal(errno.EINVAL)
    for _ in range(_MOST_LINKS):
        folder = os.path.realpath(path.parent)
        if path.name.isdecimal() and _OPEN_FILES.fullmatch(folder):
            is_ours = f"{folder}/".startswith(("/dev/fd/", os.path.realpath("/proc/self") + "/"))
            return int(path.name) if is_ours else path
        try:
            status = path.lstat()
        except FileNotFoundError:
            return path
        _check_owner(path, status)
        if not stat.S_ISLNK(status.st_mode):
            return path
        path = path.parent / path.readlink()
    raise _refusal(errno.ELOOP)


_OPEN_FILES = re.compile(r"/dev/fd|/proc/\d+(/task/\d+)?/fd")
"""Folders of the links to the open files of processes."""


def _check_owner(path: Path, status: os.stat_result) -> None:
    """Raise PermissionError for what others may have laid where everybody may write.

    Linux can refuse the same itself (fs.protected_symlinks and its like), and often does not.
    """
    if os.name == "nt":
        return
    folder = path.parent.stat()
    is_shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
    if is_shared and status.st_uid not in (os.geteuid(), folder.st_uid):
        raise PermissionError(
            errno.EACCES, f"{path} belongs to another user, in a folder where everybody may write"
        )


class _Stream(NamedTuple):
    """Something that is written into: the path of a device or a pipe, or an open file's number."""

    place: Path | int

    def open(self) -> int:
        """Return a descriptor for writing; raises OSError for a disk or a socket."""
        if isinstance(self.place, int):
            return os.dup(self.place)
        mode = self.place.stat().st_mode
        if stat.S_ISBLK(mode):
            raise OSError(errno.EINVAL, "it is a disk, whose content would be lost")
        if stat.S_ISSOCK(mode):
            raise OSError(errno.EINVAL, "it is a socket")
        return os.open(self.place, os.O_WRONLY | os.O_APPEND | _NO_TERMINAL | _BYTES)


def _find_place(path: Path) -> Path | _Stream:
    """Find the file to replace or to make at a path, or what is written into; links are followed.

    Raises:
        OSError: a folder is there, or links that are not to be trusted.
    """
    end = _follow_links(path)
    if isinstance(end, int):
        return _Stream(end)
    try:
        mode = end.stat().st_mode
    except FileNotFoundError:
        return end
    if stat.S_ISDIR(mode):
        raise _refusal(errno.EISDIR)
    return end if stat.S_ISREG(mode) and not end.is_symlink() else _Stream(end)


def _find_file(path: Path) -> Path:
    """Find the file to replace or to make at a path; raises OSError for anything else."""
    place = _find_place(path)
    if isinstance(place, _Stream):
        raise OSError(errno.EINVAL, _NO_FILE)
    return place


def _extend(path: Path, like: Path | None = None) -> int:
    file = disk.extend(path, _NEW_MODE if like is None else _PRIVATE_MODE)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        disk.close(file)
        raise OSError(errno.EINVAL, _NO_FILE)
    if like is not None:
        disk.imitate(file, like)
    return file


def _first_file(*paths: Path | None) -> Path | None:
    return next((path for path in paths if path is not None and is_file(path)), None)


def _refusal(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _write(path: Path, chunks: Iterable[bytes], mode: int, model: Path | None = None) -> None:
    # Nobody may read what the model's permissions will hide.
    with _closing(disk.create(path, mode if model is None else _PRIVATE_MODE)) as file:
        if model is not None:
            disk.imitate(file, model)
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
def _cutting_back(file: int) -> Iterator[None]:
    """Cut an open file back to its present size if what is appended cannot be written whole."""
    size = os.fstat(file).st_size
    try:
        yield
    except BaseException:
        with suppress(OSError):
            disk.truncate(file, size)
        raise


@contextmanager
def _reporting(refusal: str, consequence: str = "") -> Iterator[None]:
    """Turn an OSError into a StorageError with what could not be done, why, and what follows."""
    try:
        yield
    except OSError as problem:
        raise StorageError(f"{refusal}: {problem.strerror or problem}{consequence}") from problem
