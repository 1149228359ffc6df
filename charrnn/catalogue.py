"""Named corpora: what ``charrnn train NAME`` finds where no file of that name exists."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from charrnn.errors import CorpusError
from charrnn.languages import find_language, generate
from charrnn.plain import Plain
from charrnn.sources import exists

_PACKAGE = "charrnn.corpora"
_LISTING = "catalogue.toml"


@dataclass(frozen=True)
class Bundled(Plain):
    """A text that comes with charrnn.

    Attributes:
        file: its file, beside the catalogue.
        licence: under which it may be used.
        description: one sentence.
    """

    file: str
    licence: str
    description: str

    @property
    def path(self) -> Path:
        """Where it can be read."""
        return Path(str(resources.files(_PACKAGE).joinpath(self.file)))


@dataclass(frozen=True)
class Generated(Plain):
    """A text that is made when it is wanted, the same every time.

    Attributes:
        language: the formal language it is written in.
        characters: its least length; the last sequence is whole.
        licence: under which it may be used.
        description: one sentence.
    """

    language: str
    characters: int
    licence: str
    description: str

    def text(self) -> str:
        """The whole text, in ASCII."""
        return generate(find_language(self.language), self.characters)


Entry = Bundled | Generated
"""A corpus of the catalogue."""


def entries() -> dict[str, Entry]:
    """All named corpora, by name."""
    text = resources.files(_PACKAGE).joinpath(_LISTING).read_text(encoding="utf-8")
    return {name: _entry(table) for name, table in tomllib.loads(text).items()}


def _entry(table: dict[str, object]) -> Entry:
    return Generated.from_dict(table) if "language" in table else Bundled.from_dict(table)


def locate(source: str) -> Path | Generated:
    """What a user's word for a corpus stands for.

    Returns:
        Where the text is: a path as it is, or that of a bundled text by its name. A text that is
        nowhere until it is made is returned as its entry.

    Raises:
        CorpusError: there is no such path or name; names the nearest of either kind.
    """
    if not source:
        raise CorpusError("the name of a text is empty; name a file, a folder or a corpus")
    path = Path(source)
    if exists(path):
        return path
    known = entries()
    if source in known:
        entry = known[source]
        return entry.path if isinstance(entry, Bundled) else entry
    names = {*known, *(str(path.parent / name) for name in _names_in(path.parent))} - {source}
    close = difflib.get_close_matches(source, names, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    raise CorpusError(
        f"{source}: there is no such file or folder, nor a corpus of that name{hint}\n"
        f"Corpora by name: {', '.join(known)}."
    )


def _names_in(folder: Path) -> list[str]:
    """What is in a folder; nothing where that is not to be known."""
    try:
        return [file.name for file in folder.iterdir()]
    except (OSError, ValueError):
        return []
