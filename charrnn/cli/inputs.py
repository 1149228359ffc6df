"""What the user named -> files that can be read, and read again when the run goes on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from charrnn.catalogue import locate
from charrnn.config import SourceConfig
from charrnn.corpus import Corpus, fit_corpus
from charrnn.errors import CorpusError, UsageError
from charrnn.run import RunDirectory

STDIN = "-"


def gather(sources: Sequence[str], folder: Path) -> list[Path]:
    """The files and folders that sources stand for; pipes are copied into ``folder`` first.

    Raises:
        CorpusError: a source that is not there, or a pipe that cannot be read.
        UsageError: standard input named twice.
    """
    if list(sources).count(STDIN) > 1:
        raise UsageError("- (standard input) can be given once only")
    return [_copy_if_pipe(source, folder / copy_name(n)) for n, source in enumerate(sources)]


def copy_name(number: int) -> str:
    """Name of the copy of the source of that number, counted from 0."""
    return f"corpus-{number + 1}.txt" if number else "corpus.txt"


def _copy_if_pipe(source: str, copy: Path) -> Path:
    try:
        if source == STDIN:
            with copy.open("wb") as target:
                shutil.copyfileobj(sys.stdin.buffer, target)
            return copy
        path = locate(source)
        if path.is_file() or path.is_dir():
            return path
        with path.open("rb") as stream, copy.open("wb") as target:
            shutil.copyfileobj(stream, target)
        return copy
    except OSError as problem:
        raise CorpusError(f"{source}: cannot be read: {problem.strerror}") from problem


def remember(source: str, path: Path, run: RunDirectory) -> str:
    """How a run remembers a source.

    A copy in the run's own folder and a corpus of the catalogue go by their name, the user's own
    file by its absolute path.
    """
    if source == STDIN or path.parent == run.path:
        return path.name
    return str(path.resolve()) if Path(source).exists() else source


def read_again(run: RunDirectory, source: SourceConfig) -> Corpus:
    """Read the corpus of an existing run from where the run read it.

    Raises:
        CorpusError: it is gone or unreadable.
    """
    own = {name: run.path / name for name in source.paths if (run.path / name).is_file()}
    paths = [own[name] if name in own else locate(name) for name in source.paths]
    return fit_corpus(paths, source.encoding)
