"""What the user named -> files that can be read, and read again when the run goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from charrnn.catalogue import locate
from charrnn.config import SourceConfig
from charrnn.corpus import Corpus, fit_corpus
from charrnn.errors import CorpusError, StorageError, UsageError
from charrnn.run import RunDirectory
from charrnn.sources import CHUNK_BYTES, exists
from charrnn.storage import is_file, is_folder

STDIN = "-"


def gather(sources: Sequence[str], folder: Path) -> list[Path]:
    """The files and folders that sources stand for; pipes are copied into ``folder`` first.

    Raises:
        CorpusError: a source that is not there, or a pipe that cannot be read.
        UsageError: standard input named twice.
    """
    if list(sources).count(STDIN) > 1:
        raise UsageError("- (standard input) can be given once only")
    return [_copy_if_pipe(source, folder / str(n)) for n, source in enumerate(sources)]


@contextmanager
def naming_pipes(folder: str, sources: Sequence[str]) -> Iterator[None]:
    """Let errors name a source that came through a pipe as the user did, not by its copy."""
    try:
        yield
    except CorpusError as problem:
        message = str(problem)
        for number, source in enumerate(sources):
            name = "standard input" if source == STDIN else source
            message = message.replace(str(Path(folder, str(number))), name)
        raise type(problem)(message) from None


def _copy_if_pipe(source: str, copy: Path) -> Path:
    if source == STDIN:
        _copy(source, sys.stdin.buffer, copy)
        return copy
    path = locate(source)
    if is_file(path) or is_folder(path):
        return path
    try:
        stream = path.open("rb")
    except OSError as problem:
        raise CorpusError(f"{source}: cannot be read: {problem.strerror}") from problem
    with stream:
        _copy(source, stream, copy)
    return copy


def _copy(source: str, stream: BinaryIO, copy: Path) -> None:
    try:
        with copy.open("wb") as target:
            for data in _read(source, stream):
                target.write(data)
    except OSError as problem:
        raise StorageError(f"{copy}: could not be written: {problem.strerror}") from problem


def _read(source: str, stream: BinaryIO) -> Iterator[bytes]:
    try:
        while data := stream.read(CHUNK_BYTES):
            yield data
    except OSError as problem:
        raise CorpusError(f"{source}: cannot be read: {problem.strerror}") from problem


def remember(source: str, path: Path) -> str:
    """How a run remembers a source: the user's own file by its absolute path, others by name."""
    return str(path.resolve()) if exists(Path(source)) else source


def _find_again(run: RunDirectory, name: str) -> Path:
    own, path = run.path / name, Path(name)
    if is_file(own):
        return own
    if path.is_absolute() and not (is_file(path) or is_folder(path)):
        raise CorpusError(
            f"{path}: the text that {run.path} was trained on is no longer there. Put it back, "
            f"or say where it is now: charrnn train --resume {run.path} TEXT"
        )
    return path if path.is_absolute() else locate(name)


def read_again(run: RunDirectory, source: SourceConfig) -> Corpus:
    """Read the corpus of an existing run from where the run read it.

    Raises:
        CorpusError: it is gone or unreadable.
    """
    paths = [_find_again(run, name) for name in source.paths]
    return fit_corpus(paths, source.encoding)
