"""What a command looks at: a model, and a text that it reads."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.alphabet import Alphabet, Ids
from charrnn.cli import terminal
from charrnn.cli.inputs import STDIN, gather, naming_copies, read_again
from charrnn.cli.serving import torch_network
from charrnn.corpus import Corpus, encode_corpus
from charrnn.errors import CheckpointError, CorpusError, UnknownCharacterError
from charrnn.modelfile import ModelFile, read_model
from charrnn.request import Request, check_unchanged, read_request
from charrnn.run import RunDirectory
from charrnn.runs import MODEL_SUFFIX, find_model, is_run
from charrnn.sources import exists
from charrnn.storage import is_file

if TYPE_CHECKING:
    from charrnn.model import CharModel


def split_arguments(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The model's argument, if the first one is a model's, and the texts'."""
    if not arguments:
        return None, []
    first, *rest = arguments
    is_model = first.endswith(MODEL_SUFFIX) or is_run(first)
    is_text = not is_model and (first == STDIN or exists(Path(first)))
    if is_model or (rest and not is_text):
        return first, rest
    return (None, list(arguments)) if is_text else (first, rest)


def load(name: str | None, stack_round: bool | None) -> tuple[Path, ModelFile]:
    """The file of the model that ``name`` stands for, and what it holds."""
    path = find_model(name)
    return path, read_model(path).rounding(stack_round)


def read_text(
    texts: Sequence[str], path: Path, model: ModelFile, *, encoding: str, unknown: str
) -> tuple[str, Ids]:
    """The texts as one, or, if there are none, what the run of the model at ``path`` held out.

    Returns:
        What to call it, and its ids, shape (N,).

    Raises:
        CorpusError: it cannot be read or is not known.
    """
    if not texts:
        return _read_held_out(path, model)
    return _read_texts(texts, model, encoding, unknown)


def _read_texts(
    texts: Sequence[str], model: ModelFile, encoding: str, unknown: str
) -> tuple[str, Ids]:
    alphabet = model.alphabet
    with tempfile.TemporaryDirectory() as folder, naming_copies(folder, texts):
        paths = gather(texts, Path(folder))
        corpus = encode_corpus(
            paths, alphabet, encoding=encoding, unknown=unknown, records=model.corpus.records
        )
    for message in corpus.notes:
        terminal.note(message)
    if corpus.unknown:
        did = {"skip": "skipped", "replace": f"replaced by {alphabet.replacement!r}"}[unknown]
        terminal.note(f"{corpus.unknown:,} characters the model does not know were {did}")
    return ", ".join(texts), corpus.ids


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


@dataclass(frozen=True)
class Subject:
    """A model that is ready to read a text.

    Attributes:
        path: the model's file.
        network: the model, on the CPU.
        alphabet: the model's.
        text: what to call the text.
        ids: the text, shape (N,).
        end: the id that ends a record of it; None if it is one.
    """

    path: Path
    network: CharModel
    alphabet: Alphabet
    text: str
    ids: Ids
    end: int | None


def load_and_read(
    arguments: Sequence[str],
    *,
    encoding: str,
    unknown: str,
    stack_round: bool | None,
    threads: int | None,
) -> Subject:
    """The model and the text that a command's arguments stand for; see :func:`read_text`."""
    name, texts = split_arguments(arguments)
    path, model = load(name, stack_round)
    network = torch_network(model, device="cpu", threads=threads)
    text, ids = read_text(texts, path, model, encoding=encoding, unknown=unknown)
    return Subject(path, network, model.alphabet, text, ids, model.end)
