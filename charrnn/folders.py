"""Folders that the system provides: the current one, the user's own, one for temporary files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from platformdirs import user_cache_path, user_state_path

from charrnn.errors import Remedy, StorageError, UsageError

_NAME = "charrnn"


def check_current_folder() -> None:
    """Raise StorageError if the current folder has been removed.

    A library under torch ends the process then, so this is called before torch is imported.
    """
    try:
        Path.cwd()
    except OSError as problem:
        raise StorageError(
            f"the current folder cannot be found: {problem.strerror}",
            Remedy("change to a folder that exists"),
        ) from problem


def find_cache_folder() -> Path:
    """Return the folder of what can be fetched again, in the user's home.

    Raises:
        StorageError: the user has no home.
    """
    return _find_in_home(lambda: user_cache_path(_NAME, appauthor=False), "XDG_CACHE_HOME")


def find_state_folder() -> Path:
    """Return the folder of what a program remembers, in the user's home.

    Raises:
        StorageError: the user has no home.
    """
    return _find_in_home(lambda: user_state_path(_NAME, appauthor=False), "XDG_STATE_HOME")


def find_home() -> Path:
    """Return the user's home.

    Raises:
        StorageError: there is none.
    """
    return _find_in_home(Path.home)


def _find_in_home(find: Callable[[], Path], variable: str = "") -> Path:
    try:
        return find()
    except RuntimeError as problem:  # Neither a variable nor the system's list of users names it.
        variables = f"HOME or {variable}" if variable else "HOME"
        raise StorageError(
            "this user has no home folder",
            Remedy(f"set {variables} to the path of a folder that may be written"),
        ) from problem


def expand_user(named: str) -> Path:
    """Return the path that a person means, with ``~`` at its beginning replaced by a home.

    Raises:
        UsageError: there is no such user, or no file can have the name.
    """
    if "\0" in named:
        raise UsageError(f"{named!r:.60} holds a NUL, which the name of a file cannot have")
    try:
        return Path(named).expanduser()
    except RuntimeError as problem:
        user = Path(named).parts[0]
        raise UsageError(
            f"{named:.200}: no home folder is known for {user:.60}",
            Remedy("give the whole path"),
            Remedy(f"a file of that very name is ./{named:.200}"),
        ) from problem


class TemporaryFolder:
    """A context manager: a temporary folder, made when it is first asked for, removed at the end.

    What needs no temporary file works where none can be written.
    """

    def __init__(self) -> None:
        self._made: TemporaryDirectory[str] | None = None

    def __enter__(self) -> TemporaryFolder:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._made is not None:
            _open.discard(self._made)
            self._made.cleanup()

    @property
    def path(self) -> Path:
        """The path of the folder.

        Raises:
            StorageError: it cannot be made.
        """
        if self._made is None:
            with writing_temporary_files():
                self._made = TemporaryDirectory()
            _open.add(self._made)
        return Path(self._made.name)

    def holds(self, path: Path) -> bool:
        """Return whether a path is that of a file in the folder."""
        return self._made is not None and path.parent == self.path


_open: set[TemporaryDirectory[str]] = set()


def remove_temporary_folders() -> None:
    """Remove all temporary folders, for a process that ends at once and leaves no context."""
    for folder in tuple(_open):
        with suppress(OSError):
            folder.cleanup()


def check_temporary_folder() -> None:
    """Raise StorageError if there is no folder for temporary files; torch may want one."""
    with writing_temporary_files():
        gettempdir()


@contextmanager
def writing_temporary_files() -> Iterator[None]:
    """Turn an OSError of a temporary file into a StorageError."""
    try:
        yield
    except OSError as problem:
        raise StorageError(
            f"no temporary file can be written: {problem.strerror or problem}",
            Remedy("set TMPDIR to a folder with room that may be written"),
        ) from problem
