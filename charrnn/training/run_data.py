"""The texts of a run: read again, checked, split."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from charrnn.checkpoints.model_file import ModelFile
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.config.training import SourceConfig
from charrnn.data.alphabet import RECORD_END, Ids
from charrnn.data.corpus import Corpus, encode_corpus, fit_corpus
from charrnn.data.inputs import _find, gather, naming_copies
from charrnn.errors import CheckpointError, CorpusError, UnknownCharacterError
from charrnn.files import is_file, is_folder
from charrnn.training.run_config import Request, check_unchanged, read_request


def _read_held_out(path: Path, model: ModelFile) -> tuple[str, Ids]:
    """The text that the model's run held out, read again from where the run read it."""
    request = find_request(path, model)
    if request is None:
        raise CorpusError(
            f"{path}: is not beside the run that made it, so what was held out is not known "
            "here.\nName the text after the model."
        )
    if not request.train.valid:
        raise CorpusError(
            f"{path.parent}: held nothing out (--valid 0).\nName the text after the run."
        )
    _, held_out = _read_own(path, model, request).split(request.train.valid)
    return f"{model.corpus.name}, the last {request.train.valid:.0%}, held out", held_out


def find_request(path: Path, model: ModelFile) -> Request | None:
    """What the run that made the model at ``path`` was asked to do; None if it is not beside it."""
    run = RunDirectory(path.parent)
    request, facts = read_request(run.last) if is_file(run.last) else (None, None)
    return request if facts == model.corpus else None


def read_learnt(path: Path, model: ModelFile) -> Ids:
    """The text that the model at ``path`` was trained on, what was held out excepted, shape (N,).

    Raises:
        CorpusError: it is not at hand, or has changed.
    """
    learnt, _ = read_training_text(path, model, ())
    return learnt


def read_training_text(path: Path, model: ModelFile, elsewhere: Sequence[str]) -> tuple[Ids, Ids]:
    """The text that the model at ``path`` was trained on, and what was held out of it.

    Args:
        path: the model's file.
        model: what it holds.
        elsewhere: where the text is now; if empty it is read from where the run read it.

    Raises:
        CorpusError: it is gone, has changed, or is not known. Names the option ``--corpus``.
    """
    request = find_request(path, model)
    try:
        if elsewhere:
            corpus = _read_elsewhere(elsewhere, path, model, request)
        elif request is not None:
            corpus = _read_own(path, model, request)
        else:
            raise CorpusError(
                f"{path}: is not beside the run that made it, so where its training text is is not "
                "known here."
            )
    except CorpusError as problem:
        raise type(problem)(
            f"{problem}\nTo read the training text from elsewhere, name it: --corpus FILE."
        ) from None
    return corpus.split(model.corpus.valid)


def _read_own(path: Path, model: ModelFile, request: Request) -> Corpus:
    corpus = read_again(RunDirectory(path.parent), request.source, model.corpus.records)
    check_unchanged(corpus, model.corpus)
    try:
        return corpus.spelt_by(model.alphabet)
    except UnknownCharacterError:
        raise CheckpointError(
            f"{path}: its alphabet is not that of the text it was trained on"
        ) from None


def _read_elsewhere(
    sources: Sequence[str], path: Path, model: ModelFile, request: Request | None
) -> Corpus:
    encoding = request.source.encoding if request else "utf-8"
    with tempfile.TemporaryDirectory() as folder, naming_copies(folder, sources):
        paths = gather(sources, Path(folder))
        corpus = encode_corpus(
            paths,
            model.alphabet,
            encoding=encoding,
            unknown="replace",
            records=model.corpus.records,
        )
    if corpus.digest != model.corpus.digest:
        raise CorpusError(
            f"{', '.join(sources)}: is not the text that {path} was trained on: SHA-256 "
            f"{corpus.digest[:12]}, and not {model.corpus.digest[:12]}."
        )
    return corpus


def _find_again(run: RunDirectory, name: str, folder: Path, number: int) -> Path:
    own, path = run.path / name, Path(name)
    if is_file(own):
        return own
    if path.is_absolute() and not (is_file(path) or is_folder(path)):
        raise CorpusError(
            f"{path}: the text that {run.path} was trained on is no longer there. Put it back, "
            f"or say where it is now: charrnn train --resume {run.path} TEXT"
        )
    return path if path.is_absolute() else _find(name, folder, number)


def read_again(run: RunDirectory, source: SourceConfig, records: str | None) -> Corpus:
    """Read the corpus of an existing run, as records if it was, from where the run read it.

    Raises:
        CorpusError: it is gone or unreadable.
    """
    with tempfile.TemporaryDirectory() as folder, naming_copies(folder, source.paths):
        paths = [
            _find_again(run, name, Path(folder), number) for number, name in enumerate(source.paths)
        ]
        return fit_corpus(paths, source.encoding, records)


def _read_records(path: Path, model: ModelFile, elsewhere: Sequence[str]) -> frozenset[str]:
    """The records of the corpus, held out or not."""
    texts = read_training_text(path, model, elsewhere)
    joined = RECORD_END.join(map(model.alphabet.decode, texts))
    return frozenset(joined.split(RECORD_END)) - {""}
