"""The catalogue of named corpora, which a user can train on by name.

A corpus is bundled with the package, generated from a formal language, built from files on the
machine (the source code of Python's standard library, about twelve megabytes) or downloaded.
"""

from __future__ import annotations

import hashlib
import os
import sysconfig
import tokenize
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from charrnn.config.settings import Plain
from charrnn.data.formal_languages import find_language, generate_text
from charrnn.data.text_reader import path_exists
from charrnn.display import did_you_mean
from charrnn.errors import CorpusError, Remedy, StorageError
from charrnn.files import is_file
from charrnn.folders import find_cache_folder


def bundled_folder() -> Path:
    """Return the folder of the bundled texts; in an editable install it is beside the package."""
    package = Path(__file__).parents[1]
    installed = package / "corpora"
    return installed if installed.is_dir() else package.with_name("corpora")


@dataclass(frozen=True)
class Named(Plain):
    """The common attributes of all corpora of the catalogue.

    Attributes:
        name: its name.
        licence: the licence of the text.
        description: one sentence.
    """

    name: str
    licence: str
    description: str


class Stored(ABC):
    """A text in a file of its own, whose size and digest the catalogue has.

    Attributes:
        bytes: size of what is distributed.
        sha256: SHA-256 of it, in hexadecimal.
    """

    bytes: int
    sha256: str

    @property
    @abstractmethod
    def path(self) -> Path:
        """The path of its file."""

    @property
    def size(self) -> int:
        """The size of the text in bytes."""
        return self.bytes

    @property
    def text_digest(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return self.sha256

    @property
    def is_fetched(self) -> bool:
        """True if there is a file at its path; a user without a home has none."""
        try:
            return is_file(self.path)
        except StorageError:
            return False


@dataclass(frozen=True)
class Bundled(Stored, Named):
    """A text that is distributed with the package.

    Attributes:
        file: the name of its file, in the catalogue's folder.
        bytes: its size.
        sha256: SHA-256 of it, in hexadecimal.
    """

    kind: ClassVar[str] = "bundled"
    file: str
    bytes: int
    sha256: str

    @property
    def path(self) -> Path:
        """The path of its file."""
        return bundled_folder() / self.file


@dataclass(frozen=True)
class Generated(Named):
    """A text that is generated on demand, the same every time.

    Attributes:
        language: the name of its formal language.
        characters: its least length; the last sequence is complete.
    """

    kind: ClassVar[str] = "generated"
    language: str
    characters: int

    @property
    def size(self) -> int:
        """Its least size in bytes."""
        return self.characters

    def text(self) -> str:
        """Generate the whole text, in ASCII."""
        return generate_text(find_language(self.language), self.characters)

    def chunks(self) -> Iterator[bytes]:
        """Generate the bytes of the text."""
        yield self.text().encode("ascii")


@dataclass(frozen=True)
class Built(Named):
    """A text that is built from files on the machine.

    Attributes:
        origin: the files it is built from; only ``stdlib`` is supported.
    """

    kind: ClassVar[str] = "built here"
    origin: str

    @property
    def size(self) -> int:
        """Its size in bytes, apart from changes by decoding."""
        return sum(path.stat().st_size for path in find_library_files())

    def chunks(self) -> Iterator[bytes]:
        """Read the text and yield it in UTF-8."""
        for text in read_library():
            yield text.encode()


@dataclass(frozen=True)
class Download(Stored, Named):
    """A text that is downloaded once and cached.

    Attributes:
        url: its address.
        bytes: size of the download.
        sha256: SHA-256 of the download, in hexadecimal.
    """

    kind: ClassVar[str] = "download"
    url: str
    bytes: int
    sha256: str

    @property
    def path(self) -> Path:
        """The path of the cached text."""
        return find_download_folder() / f"{self.name}.txt"


@dataclass(frozen=True)
class Zipped(Download):
    """A download whose text is a member of a zip archive.

    Attributes:
        member: the member's name in the archive.
        text_bytes: the member's size when unpacked.
        text_sha256: SHA-256 of the unpacked member, in hexadecimal.
    """

    member: str
    text_bytes: int
    text_sha256: str

    @property
    def size(self) -> int:
        """The size of the text in bytes."""
        return self.text_bytes

    @property
    def text_digest(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return self.text_sha256


Entry = Bundled | Generated | Built | Download
"""A corpus of the catalogue."""


def is_intact(entry: Stored) -> bool:
    """Tell if the text of an entry is there with its size and digest.

    The whole file is read: a file's date and size are easily kept when its content is changed.
    """
    try:
        path = entry.path
        if not is_file(path) or path.stat().st_size != entry.size:
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == entry.text_digest
    except (OSError, StorageError):  # The latter where the user has no home.
        return False


def find_download_folder() -> Path:
    """Return the folder of downloads, in the platform's cache folder of the user.

    Raises:
        StorageError: the user has no home.
    """
    return find_cache_folder() / "corpora"


_LISTING = "catalogue.toml"
_KIND_OF_FIELD: dict[str, Any] = {
    "file": Bundled,
    "language": Generated,
    "origin": Built,
    "member": Zipped,
    "url": Download,
}


def read_catalogue() -> dict[str, Entry]:
    """Read all named corpora, by name."""
    text = (bundled_folder() / _LISTING).read_text(encoding="utf-8")
    return {name: _entry({"name": name, **table}) for name, table in tomllib.loads(text).items()}


def _entry(table: dict[str, Any]) -> Entry:
    kind = next(kind for field, kind in _KIND_OF_FIELD.items() if field in table)
    entry: Entry = kind.from_dict(table)
    return entry


def find_entry(name: str) -> Entry:
    """Find a corpus by name.

    Raises:
        CorpusError: there is none; suggests the nearest name.
    """
    known = read_catalogue()
    if name not in known:
        hint = did_you_mean(name, known) or "."
        raise CorpusError(f"{name}: is not a corpus{hint}\n{_list(known)}")
    return known[name]


def identify_source(source: str) -> Path | Entry:
    """Identify the path or the corpus that a source names, without reading its text.

    Raises:
        CorpusError: there is no such path or name (suggests the nearest).
    """
    if not source:
        raise CorpusError("the name of a text is empty; name a file, a folder or a corpus")
    path = Path(source)
    if path_exists(path):
        return path
    known = read_catalogue()
    if source in known:
        return known[source]
    names = {*known, *(str(path.parent / name) for name in _names_in(path.parent))} - {source}
    raise CorpusError(
        f"{source}: there is no such file or folder, nor a corpus of that name"
        f"{did_you_mean(source, names) or '.'}\n{_list(known)}"
    )


def locate_source(source: str) -> Path | Generated | Built:
    """Locate the text that a path or the name of a corpus stands for.

    Returns:
        The path of the text; for a corpus that is generated or built on demand, its entry.

    Raises:
        CorpusError: there is no such path or name (suggests the nearest), or the text has not been
            fetched, or is not that of the catalogue any more.
    """
    found = identify_source(source)
    return found if isinstance(found, Path) else locate_entry(found)


def _names_in(folder: Path) -> list[str]:
    """Return the names in a folder; none if it cannot be read."""
    try:
        return [file.name for file in folder.iterdir()]
    except (OSError, ValueError):
        return []


def locate_entry(entry: Entry) -> Path | Generated | Built:
    """Return the path of a named corpus, or the entry itself if it is made on demand.

    The digest of a text is verified each time.

    Raises:
        CorpusError: the text has not been fetched, or is not that of the catalogue any more.
    """
    if isinstance(entry, Generated | Built):
        return entry
    if is_intact(entry):
        return entry.path
    if isinstance(entry, Download) and not entry.is_fetched:
        raise CorpusError(
            f"{entry.name}: has not been fetched yet ({entry.bytes:,} bytes)",
            Remedy("fetch it first", "fetch", entry.name),
        )
    way_out = Remedy("fetch it again", "fetch", entry.name)
    raise CorpusError(
        f"{entry.name}: {entry.path} is not the text of the catalogue, or cannot be read: "
        f"{entry.size:,} bytes with SHA-256 {entry.text_digest} are expected",
        way_out if isinstance(entry, Download) else Remedy("install charrnn again"),
    )


def _list(known: Iterable[str]) -> str:
    return f"Corpora by name: {', '.join(known)}."


# Tests make up most of the library and repeat it; installed packages differ between machines.
_LEFT_OUT = frozenset({"test", "tests", "idle_test", "site-packages", "dist-packages"})
_WRITTEN_BY_A_BUILD = "_sysconfigdata"


def find_library_files() -> list[Path]:
    """Find the source files of Python's standard library without tests, sorted by path.

    Raises:
        CorpusError: this Python has no such files, for example because they are in an archive.
    """
    library = Path(sysconfig.get_path("stdlib"))
    files: list[Path] = []
    for folder, folders, names in os.walk(library):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        files += [
            Path(folder, name)
            for name in names
            if name.endswith(".py") and not name.startswith(_WRITTEN_BY_A_BUILD)
        ]
    if not files:
        raise CorpusError(f"{library}: holds no source of Python's standard library")
    return sorted(files)


def read_library() -> Iterator[str]:
    """Read the text of each library file in its declared encoding, with newlines as line ends.

    Raises:
        CorpusError: a file cannot be read.
    """
    for path in find_library_files():
        try:
            with tokenize.open(path) as stream:
                yield stream.read()
        except (OSError, SyntaxError, UnicodeError) as problem:
            raise CorpusError(f"{path}: cannot be read: {problem}") from problem
