"""What the user named -> files that can be read, and read again when the run goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import cast

from charrnn.data.catalogue import Built, Generated, locate
from charrnn.data.encoded_text import EncodedText
from charrnn.data.text_reader import TextReader, exists, read_text
from charrnn.errors import CorpusError, StorageError, UsageError
from charrnn.files import is_file, is_folder

STDIN = "-"

_STANDARD_INPUT = Path("standard input")


@dataclass(frozen=True)
class NamedText:
    """A text in the alphabet of a model.

    Attributes:
        name: a name for people.
        text: its ids.
    """

    name: str
    text: EncodedText


def corpus_name(source: str) -> str:
    """What a corpus, and its run, are called: the first source's name without its extension."""
    if source == STDIN:
        return "stdin"
    path = Path(source).resolve() if exists(Path(source)) else Path(source)
    name = path.stem if is_file(path) else path.name
    # A run that begins with a dot would be hidden, hide runs/.latest or lie outside of runs.
    return "".join(c if c.isprintable() else "_" for c in name).lstrip(".") or "corpus"


def gather(sources: Sequence[str], folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """Find the files and folders that sources stand for; copy what no file holds into ``folder``.

    That is text from a pipe, which cannot be read twice, and text that is made when it is wanted.

    Returns:
        The path of each source, and the names of the copies among them, for errors and notes.

    Raises:
        CorpusError: a source that is not there, or a pipe that cannot be read.
        UsageError: standard input named twice.
    """
    _check_standard_input(sources)
    paths = [_take(source, folder, number) for number, source in enumerate(sources)]
    return paths, name_copies(sources, paths, folder)


def name_copies(sources: Sequence[str], paths: Sequence[Path], folder: Path) -> dict[Path, str]:
    """Return what errors and notes call each path that is a copy in ``folder``."""
    return {
        path: "standard input" if source == STDIN else source
        for source, path in zip(sources, paths, strict=True)
        if path.parent == folder
    }


def _check_standard_input(sources: Sequence[str]) -> None:
    if list(sources).count(STDIN) > 1:
        raise UsageError("- (standard input) can be given once only")


def _take(source: str, folder: Path, number: int) -> Path:
    if source != STDIN:
        return find_source(source, folder, number)
    copy = folder / str(number)
    _write(read_text(_STANDARD_INPUT, cast("BufferedReader", sys.stdin.buffer)), copy)
    return copy


def is_generated(source: str) -> bool:
    """Whether a source is one of the catalogue's generated languages."""
    return source != STDIN and isinstance(locate(source), Generated)


def find_source(source: str, folder: Path, number: int) -> Path:
    """Where a source can be read: as it is, or in a copy whose name begins with its number."""
    found = locate(source)
    if isinstance(found, Generated | Built):
        copy = folder / f"{number}-{found.name}"
        _write(found.chunks(), copy)
        return copy
    if is_file(found) or is_folder(found):
        return found
    copy = folder / str(number)
    with _open(found) as stream:
        _write(read_text(source, stream), copy)
    return copy


def _open(place: Path | None) -> BufferedReader:
    """A file to be read, or standard input, which stays open afterwards."""
    if place is None:
        return os.fdopen(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return place.open("rb")
    except OSError as problem:
        raise CorpusError(f"{place}: cannot be read: {problem.strerror}") from problem


def _write(chunks: Iterable[bytes], copy: Path) -> None:
    try:
        with copy.open("wb") as target:
            for data in chunks:
                target.write(data)
    except OSError as problem:
        raise StorageError(f"{copy}: could not be written: {problem.strerror}") from problem


def follow(
    sources: Sequence[str], encoding: str | None, on_note: Callable[[str], None]
) -> Iterator[str]:
    """Read the sources one after another, each as it comes: nothing waits for its end.

    Args:
        sources: files, folders, ``-`` or names of corpora.
        encoding: how bytes spell characters; None takes every byte as a symbol.
        on_note: is called with what reading left out or changed.

    Yields:
        The text, in chunks.

    Raises:
        CorpusError: a source that is not there, or cannot be read.
        UsageError: standard input named twice, or an encoding that Python does not know.
    """
    _check_standard_input(sources)
    found = [None if source == STDIN else locate(source) for source in sources]
    for place in found:
        if isinstance(place, Generated | Built):
            yield from (data.decode() for data in place.chunks())
            continue
        if place is not None and (is_file(place) or is_folder(place)):
            reader = TextReader([place], encoding)
            yield from reader
        else:
            reader = TextReader([], encoding)
            with _open(place) as stream:
                yield from reader.follow(place or _STANDARD_INPUT, stream)
        for message in reader.notes:
            on_note(message)


def remember(source: str) -> str:
    """How a run remembers a source: the user's own file by its absolute path, others by name.

    Raises:
        CorpusError: a source that is not there.
    """
    locate(source)
    return str(Path(source).resolve()) if exists(Path(source)) else source
