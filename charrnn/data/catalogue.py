"""Named corpora: what ``charrnn train NAME`` finds where no file of that name exists.

The kinds of texts that have a name, and where the text of each is.

Python's standard library as a text: some twelve megabytes of source code on every machine.
"""

from __future__ import annotations

import os
import sysconfig
import tokenize
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from platformdirs import user_cache_path

from charrnn.config.settings import Plain
from charrnn.data.formal_languages import find_language, generate
from charrnn.data.text_reader import path_exists
from charrnn.display import did_you_mean
from charrnn.errors import CorpusError, Remedy
from charrnn.files import is_file


def bundled_folder() -> Path:
    """Return the folder of the bundled texts: beside the package in an editable install."""
    package = Path(__file__).parents[1]
    installed = package / "corpora"
    return installed if installed.is_dir() else package.with_name("corpora")


@dataclass(frozen=True)
class Named(Plain):
    """What every corpus of the catalogue has.

    Attributes:
        name: what the user calls it.
        licence: under which it may be used.
        description: one sentence.
    """

    name: str
    licence: str
    description: str


@dataclass(frozen=True)
class Bundled(Named):
    """A text that comes with charrnn.

    Attributes:
        file: its file, beside the catalogue.
    """

    kind: ClassVar[str] = "bundled"
    file: str

    @property
    def path(self) -> Path:
        """Where it can be read."""
        return bundled_folder() / self.file

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Generated(Named):
    """A text that is made when it is wanted, the same every time.

    Attributes:
        language: the formal language it is written in.
        characters: its least length; the last sequence is whole.
    """

    kind: ClassVar[str] = "generated"
    language: str
    characters: int

    @property
    def size(self) -> int:
        """Its least length in bytes."""
        return self.characters

    def text(self) -> str:
        """The whole text, in ASCII."""
        return generate(find_language(self.language), self.characters)

    def chunks(self) -> Iterator[bytes]:
        """What its file would hold."""
        yield self.text().encode("ascii")


@dataclass(frozen=True)
class Built(Named):
    """A text that is put together from what is on the machine.

    Attributes:
        origin: from what; ``stdlib`` is all there is.
    """

    kind: ClassVar[str] = "built here"
    origin: str

    @property
    def size(self) -> int:
        """Its length in bytes, up to what decoding changes."""
        return sum(path.stat().st_size for path in source_files())

    def chunks(self) -> Iterator[bytes]:
        """What its file would hold, in UTF-8."""
        for text in read_source():
            yield text.encode()


@dataclass(frozen=True)
class Download(Named):
    """A text that is fetched once and kept.

    Attributes:
        url: where it comes from.
        bytes: how many come.
        sha256: their digest, in hexadecimal.
    """

    kind: ClassVar[str] = "download"
    url: str
    bytes: int
    sha256: str

    @property
    def path(self) -> Path:
        """Where it is kept once it has been fetched."""
        return download_folder() / f"{self.name}.txt"

    @property
    def size(self) -> int:
        """The length of the text in bytes."""
        return self.bytes

    @property
    def is_here(self) -> bool:
        """Whether it has been fetched: it was verified then, so its length is enough now."""
        return is_file(self.path) and self.path.stat().st_size == self.size


@dataclass(frozen=True)
class Zipped(Download):
    """A download whose text is one member of a zip archive.

    Attributes:
        member: its name there.
        text_bytes: its length, unpacked.
    """

    member: str
    text_bytes: int

    @property
    def size(self) -> int:
        """The length of the text in bytes."""
        return self.text_bytes


Entry = Bundled | Generated | Built | Download
"""A corpus of the catalogue."""


def download_folder() -> Path:
    """Where downloads are kept: in the user's own cache, as the platform would have it."""
    return user_cache_path("charrnn", appauthor=False) / "corpora"


_LISTING = "catalogue.toml"
_KIND_OF_FIELD: dict[str, Any] = {
    "file": Bundled,
    "language": Generated,
    "origin": Built,
    "member": Zipped,
    "url": Download,
}


def entries() -> dict[str, Entry]:
    """All named corpora, by name."""
    text = (bundled_folder() / _LISTING).read_text(encoding="utf-8")
    return {name: _entry({"name": name, **table}) for name, table in tomllib.loads(text).items()}


def _entry(table: dict[str, Any]) -> Entry:
    kind = next(kind for field, kind in _KIND_OF_FIELD.items() if field in table)
    entry: Entry = kind.from_dict(table)
    return entry


def find_entry(name: str) -> Entry:
    """The corpus of a name.

    Raises:
        CorpusError: there is none; names the nearest.
    """
    known = entries()
    if name not in known:
        hint = did_you_mean(name, known) or "."
        raise CorpusError(f"{name}: is not a corpus{hint}\n{_list(known)}")
    return known[name]


def locate(source: str) -> Path | Generated | Built:
    """What a user's word for a corpus stands for.

    Returns:
        Where the text is: a path as it is, or that of a bundled or fetched text by its name. A text
        that is nowhere until it is made is returned as its entry.

    Raises:
        CorpusError: there is no such path or name, with the nearest of either kind; or the text has
            to be fetched first.
    """
    if not source:
        raise CorpusError("the name of a text is empty; name a file, a folder or a corpus")
    path = Path(source)
    if path_exists(path):
        return path
    known = entries()
    if source in known:
        return place(known[source])
    names = {*known, *(str(path.parent / name) for name in _names_in(path.parent))} - {source}
    raise CorpusError(
        f"{source}: there is no such file or folder, nor a corpus of that name"
        f"{did_you_mean(source, names) or '.'}\n{_list(known)}"
    )


def _names_in(folder: Path) -> list[str]:
    """What is in a folder; nothing where that is not to be known."""
    try:
        return [file.name for file in folder.iterdir()]
    except (OSError, ValueError):
        return []


def place(entry: Entry) -> Path | Generated | Built:
    """Where the text of a named corpus is, or the entry itself if it is nowhere until it is made.

    Raises:
        CorpusError: the text has to be fetched first.
    """
    if isinstance(entry, Generated | Built):
        return entry
    if isinstance(entry, Download) and not entry.is_here:
        raise CorpusError(
            f"{entry.name}: has not been fetched yet ({entry.bytes:,} bytes)",
            Remedy("fetch it first", "fetch", entry.name),
        )
    return entry.path


def _list(known: Iterable[str]) -> str:
    return f"Corpora by name: {', '.join(known)}."


# Tests are most of the library and repeat it; packages are whatever somebody has installed.
_LEFT_OUT = frozenset({"test", "tests", "idle_test", "site-packages", "dist-packages"})
_WRITTEN_BY_A_BUILD = "_sysconfigdata"


def source_files() -> list[Path]:
    """The library's own files, tests left out, in the order of their paths.

    Raises:
        CorpusError: this Python has no library in files, as when it comes in an archive.
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


def read_source() -> Iterator[str]:
    """The text of each file, in the encoding that it declares, its line ends as newlines.

    Raises:
        CorpusError: a file that cannot be read.
    """
    for path in source_files():
        try:
            with tokenize.open(path) as stream:
                yield stream.read()
        except (OSError, SyntaxError, UnicodeError) as problem:
            raise CorpusError(f"{path}: cannot be read: {problem}") from problem
