"""What the user named -> files that can be read, and read again when the run goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
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


def read_again(run: RunDirectory, source: SourceConfig) -> Corpus:
    """Read the corpus of an existing run from where the run read it.

    Raises:
        CorpusError: it is gone or unreadable.
    """
    own = {name: run.path / name for name in source.paths if is_file(run.path / name)}
    paths = [own[name] if name in own else locate(name) for name in source.paths]
    for path in paths:
        if not (is_file(path) or is_folder(path)):
            raise CorpusError(f"{path}: is neither a file nor a folder, and cannot be read again")
    return fit_corpus(paths, source.encoding)
