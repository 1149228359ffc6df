"""The kinds of texts that have a name, and where the text of each is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import ClassVar

from platformdirs import user_cache_path

from charrnn.languages import find_language, generate
from charrnn.plain import Plain
from charrnn.stdlib import read_source, source_files
from charrnn.storage import is_file

PACKAGE = "charrnn.corpora"
"""The package that holds the bundled texts."""


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
        return Path(str(resources.files(PACKAGE).joinpath(self.file)))

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
