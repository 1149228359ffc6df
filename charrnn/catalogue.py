"""Named corpora: what ``charrnn train NAME`` finds where no file of that name exists."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from charrnn.errors import CorpusError
from charrnn.plain import Plain
from charrnn.sources import exists

_PACKAGE = "charrnn.corpora"
_LISTING = "catalogue.toml"


@dataclass(frozen=True)
class Entry(Plain):
    """A corpus of the catalogue.

    Attributes:
        file: the text's file, beside the catalogue.
        licence: under which it may be used.
        description: one sentence.
    """

    file: str
    licence: str
    description: str


def entries() -> dict[str, Entry]:
    """All named corpora, by name."""
    text = resources.files(_PACKAGE).joinpath(_LISTING).read_text(encoding="utf-8")
    return {name: Entry.from_dict(table) for name, table in tomllib.loads(text).items()}


def locate(source: str) -> Path:
    """The path that a user's word for a corpus stands for: a path as it is, or a corpus by name.

    Raises:
        CorpusError: neither; names the nearest of either kind.
    """
    if not source:
        raise CorpusError("the name of a text is empty; name a file, a folder or a corpus")
    path = Path(source)
    if exists(path):
        return path
    known = entries()
    if source in known:
        return Path(str(resources.files(_PACKAGE).joinpath(known[source].file)))
    near = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    names = {*known, *(str(path.parent / name) for name in near)} - {source}
    close = difflib.get_close_matches(source, names, n=1)
    hint = f"; did you mean {close[0]}?" if close else "."
    raise CorpusError(
        f"{source}: there is no such file or folder, nor a corpus of that name{hint}\n"
        f"Corpora by name: {', '.join(known)}."
    )
