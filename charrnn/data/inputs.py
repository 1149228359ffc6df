"""Sources: resolve the files, folders, corpora and standard input that a user names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import cast

from charrnn.data.catalogue import Built, Generated, identify_source, locate_source
from charrnn.data.encoded_text import EncodedText
from charrnn.data.file_kinds import HEAD_BYTES, identify_file
from charrnn.data.text_reader import Decoder, TextReader, check_encoding, path_exists, read_text
from charrnn.data.text_signs import TextSigns
from charrnn.display import decode_typed
from charrnn.errors import CorpusError, UsageError
from charrnn.files import is_file, is_folder
from charrnn.folders import TemporaryFolder, writing_temporary_files

STDIN = "-"

_STANDARD_INPUT = Path("standard input")


@dataclass(frozen=True)
class NamedText:
    """A text in the alphabet of a model, with a name to show.

    Attributes:
        name: its name in messages.
        text: its ids.
        learnt: the share of it that the model was trained on, if it is held-out text that a base
            model has read; else 0.
    """

    name: str
    text: EncodedText
    learnt: float = 0.0


def derive_corpus_name(source: str) -> str:
    """Derive the name of a corpus and its run from its first source, as the user typed it.

    It is the last part of the path, without the extension unless it is a folder's. No link is
    followed: where it leads may be a blob named by its digest, or a pipe.
    """
    if source == STDIN:
        return "stdin"
    path = Path(source)
    if not path_exists(path):
        name = path.name
    elif is_folder(path):
        name = _name_folder(path) if path.name in ("", "..") else path.name
    else:
        name = path.stem
    # A run that begins with a dot would be hidden, hide runs/.latest or lie outside of runs.
    typed = decode_typed(name)
    return "".join(c if c.isprintable() else "_" for c in typed).lstrip(".") or "corpus"


def _name_folder(path: Path) -> str:
    """Name a folder whose path ends in dots as the shell does, or else by its place."""
    shown = Path(os.path.normpath(Path(os.environ.get("PWD", ""), path)))
    with suppress(OSError):
        if shown.is_absolute() and shown.samefile(path):
            return shown.name
    with suppress(OSError):
        return path.resolve().name
    return ""


def name_source(source: str) -> str:
    """Name a source in errors and notes."""
    return "standard input" if source == STDIN else source


def gather_sources(
    sources: Sequence[str], folder: TemporaryFolder, encoding: str | None = None
) -> tuple[list[Path], dict[Path, str]]:
    """Find the files and folders that sources stand for.

    Text from a pipe, which cannot be read twice, and generated text are copied into ``folder``.

    Args:
        sources: see the head of this file.
        folder: for the copies.
        encoding: in which the sources will be read: a copy ends at the first bytes that are not
            valid in it, of which the reader of the copy tells. None takes every byte.

    Returns:
        The path of each source, and the names of the copies among them, for errors and notes.

    Raises:
        CorpusError: a source does not exist, or a pipe cannot be read.
        UsageError: standard input is named twice.
    """
    _check_standard_input(sources)
    for source in sources:
        if source != STDIN:
            identify_source(source)  # Told before a text is read that has no end.
    paths = [_take(source, folder, number, encoding) for number, source in enumerate(sources)]
    return paths, name_copies(sources, paths, folder)


def name_copies(
    sources: Sequence[str], paths: Sequence[Path], folder: TemporaryFolder
) -> dict[Path, str]:
    """Return the names, in errors and notes, of the paths that are copies in ``folder``."""
    return {
        path: name_source(source)
        for source, path in zip(sources, paths, strict=True)
        if folder.holds(path)
    }


def _check_standard_input(sources: Sequence[str]) -> None:
    if list(sources).count(STDIN) > 1:
        raise UsageError("- (standard input) can be given only once")


def _take(source: str, folder: TemporaryFolder, number: int, encoding: str | None) -> Path:
    if source != STDIN:
        return find_source(source, folder, number, encoding)
    copy = folder.path / str(number)
    chunks = read_text(_STANDARD_INPUT, cast("BufferedReader", sys.stdin.buffer))
    _write(_end_at_invalid(chunks, encoding), copy)
    return copy


def is_generated(source: str) -> bool:
    """Return whether a source is a generated corpus of the catalogue."""
    return source != STDIN and isinstance(identify_source(source), Generated)


def find_source(
    source: str, folder: TemporaryFolder, number: int, encoding: str | None = None
) -> Path:
    """Find the path of a source, or of a copy in ``folder`` whose name starts with ``number``.

    The encoding is that of :func:`gather_sources`.
    """
    found = locate_source(source)
    if isinstance(found, Generated | Built):
        copy = folder.path / f"{number}-{found.name}"
        _write(found.chunks(), copy)
        return copy
    if is_folder(found) or (is_file(found) and _can_be_read_again(found)):
        return found
    copy = folder.path / str(number)
    with _open(found) as stream:
        _write(_end_at_invalid(read_text(source, stream), encoding), copy)
    return copy


def _end_at_invalid(chunks: Iterable[bytes], encoding: str | None) -> Iterator[bytes]:
    """Pass on the bytes of a text up to those, included, that make it no text in its encoding."""
    if encoding is None:
        yield from chunks
        return
    check_encoding(encoding)
    decoder, is_first = Decoder(_STANDARD_INPUT, encoding), True
    for data in chunks:
        yield data
        try:
            decoder.decode(data)
        except CorpusError:
            return
        if is_first and identify_file(data[:HEAD_BYTES]):
            return
        is_first = False


def _can_be_read_again(file: Path) -> bool:
    """Tell if a file has a lasting place; a descriptor may lead to one that was removed."""
    try:
        return file.resolve().samefile(file)
    except OSError:
        return False


def _open(place: Path | None) -> BufferedReader:
    """Open a file or, for None, standard input, which stays open afterwards."""
    if place is None:
        return os.fdopen(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return place.open("rb")
    except OSError as problem:
        raise CorpusError(f"{place}: cannot be read: {problem.strerror}") from problem


def _write(chunks: Iterable[bytes], copy: Path) -> None:
    with writing_temporary_files(), copy.open("wb") as target:
        for data in chunks:
            target.write(data)


def stream_sources(
    sources: Sequence[str],
    encoding: str | None,
    separator: str | None,
    on_note: Callable[[str], None],
) -> Iterator[Iterator[str]]:
    """Stream the texts of the sources one after another, without waiting for their ends.

    A byte that is not valid in the encoding ends nothing: see
    :func:`charrnn.data.alphabet.keep_invalid_bytes`. A file may be of any length, and may grow.

    Args:
        sources: files, folders, ``-`` or names of corpora.
        encoding: encoding of the text; None makes every byte a symbol.
        separator: the string between two records; None for continuous texts.
        on_note: called with a message about skipped, changed or odd input.

    Returns:
        An iterator of the chunks of each text, to be read before the next text's. It raises
        CorpusError where a source cannot be read.

    Raises:
        CorpusError: a source does not exist.
        UsageError: standard input is named twice, or Python does not know the encoding.
    """
    _check_standard_input(sources)
    found = [None if source == STDIN else locate_source(source) for source in sources]
    return _stream(found, encoding, TextSigns(encoding, separator), on_note)


def _stream(
    found: Sequence[Path | Generated | Built | None],
    encoding: str | None,
    signs: TextSigns,
    on_note: Callable[[str], None],
) -> Iterator[Iterator[str]]:
    """Stream the texts of places that were found; None is standard input."""
    for place in found:
        if isinstance(place, Generated | Built):
            yield (data.decode("utf-8" if encoding else "latin-1") for data in place.chunks())
            continue
        if place is not None and is_folder(place):
            reader = TextReader([place], encoding, keeps_bytes=True, signs=signs)
            yield from (_watch(text, signs, on_note) for text in reader.texts())
        else:
            reader = TextReader([], encoding, keeps_bytes=True, signs=signs)
            with _open(place) as stream:
                text = reader.read_stream(place or _STANDARD_INPUT, stream)
                yield _watch(text, signs, on_note)
        for message in reader.skipped:
            on_note(message)
    for message in signs.notices:
        on_note(message)


def _watch(text: Iterator[str], signs: TextSigns, on_note: Callable[[str], None]) -> Iterator[str]:
    """Tell what is wrong with a whole text as soon as it is seen: the text may have no end."""
    for chunk in text:
        for message in signs.take_urgent():
            on_note(message)
        yield chunk


def resolve_source(source: str) -> str:
    """Convert a source to the form that a run stores: an absolute path, or a corpus's name.

    Raises:
        CorpusError: the source does not exist.
    """
    identify_source(source)
    return str(Path(source).resolve()) if path_exists(Path(source)) else source
