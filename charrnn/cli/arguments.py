"""What a command looks at: a model, and a text that it reads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.checkpoints.model_file import ModelFile, read_model
from charrnn.checkpoints.run_index import MODEL_SUFFIX, find_model, is_run
from charrnn.cli import terminal
from charrnn.data.alphabet import Alphabet
from charrnn.data.corpus import encode_corpus
from charrnn.data.encoded_text import EncodedText
from charrnn.data.inputs import STDIN, gather
from charrnn.data.text_reader import exists
from charrnn.errors import CorpusError, Remedy
from charrnn.inference.select_backend import torch_network
from charrnn.training.run_data import RunData

if TYPE_CHECKING:
    from charrnn.models.char_model import CharModel


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


@contextmanager
def naming_corpus_option() -> Iterator[None]:
    """Say of a training text that cannot be read how to name another place of it."""
    try:
        yield
    except CorpusError as problem:
        problem.remedies += (Remedy("read the training text from elsewhere", "corpus", "FILE"),)
        raise


def read_text(
    texts: Sequence[str],
    path: Path,
    model: ModelFile,
    *,
    encoding: str,
    unknown: str,
    data: RunData | None = None,
) -> tuple[str, EncodedText]:
    """Read the texts as one, or, if there are none, what the run of the model at ``path`` held out.

    Returns:
        A name for the text, and the text.

    Raises:
        CorpusError: it cannot be read or is not known.
    """
    if not texts:
        return _read_held_out(data or RunData(path, model), path, model)
    return _read_texts(texts, model, encoding, unknown)


def _read_held_out(data: RunData, path: Path, model: ModelFile) -> tuple[str, EncodedText]:
    """Name the text that the model's run held out, read again from where the run read it."""
    if data.request is None:
        raise CorpusError(
            f"{path}: is not beside the run that made it, so what was held out is not known here",
            Remedy("name the text after the model"),
        )
    valid = data.request.train.valid
    if not valid:
        raise CorpusError(f"{path.parent}: held nothing out", Remedy("name the text after the run"))
    return f"{model.corpus.name}, the last {valid:.0%}, held out", data.split.held_out


def _read_texts(
    texts: Sequence[str], model: ModelFile, encoding: str, unknown: str
) -> tuple[str, EncodedText]:
    alphabet = model.alphabet
    with tempfile.TemporaryDirectory() as folder:
        paths, names = gather(texts, Path(folder))
        corpus = encode_corpus(
            paths,
            alphabet,
            encoding=encoding,
            unknown=unknown,
            records=model.corpus.records,
            names=names,
        )
    for message in corpus.notes:
        terminal.note(message)
    if corpus.unknown:
        did = {"skip": "skipped", "replace": f"replaced by {alphabet.replacement!r}"}[unknown]
        terminal.note(f"{corpus.unknown:,} characters the model does not know were {did}")
    return ", ".join(texts), corpus.text


@dataclass(frozen=True)
class Subject:
    """A model that is ready to read a text.

    Attributes:
        path: the model's file.
        network: the model, on the CPU.
        alphabet: the model's.
        name: a name for the text.
        text: the text.
    """

    path: Path
    network: CharModel
    alphabet: Alphabet
    name: str
    text: EncodedText


def load_and_read(
    arguments: Sequence[str],
    *,
    encoding: str,
    unknown: str,
    stack_round: bool | None,
    threads: int | None,
) -> Subject:
    """The model and the text that a command's arguments stand for; see :func:`read_text`."""
    run, texts = split_arguments(arguments)
    path, model = load(run, stack_round)
    network = torch_network(model, device="cpu", threads=threads)
    name, text = read_text(texts, path, model, encoding=encoding, unknown=unknown)
    return Subject(path, network, model.alphabet, name, text)
