"""Named corpora: what ``charrnn train NAME`` finds where no file of that name exists."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from charrnn.errors import CorpusError
from charrnn.named import PACKAGE, Built, Bundled, Download, Entry, Generated, Zipped
from charrnn.nearest import did_you_mean
from charrnn.sources import exists

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
    text = resources.files(PACKAGE).joinpath(_LISTING).read_text(encoding="utf-8")
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
    if exists(path):
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
            f"{entry.name}: has not been fetched yet ({entry.bytes:,} bytes).\n"
            f"Fetch it first: charrnn corpus get {entry.name}"
        )
    return entry.path


def _list(known: Iterable[str]) -> str:
    return f"Corpora by name: {', '.join(known)}."
