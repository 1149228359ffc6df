"""The arguments of commands that read a text with a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from charrnn.api import Model, load
from charrnn.checkpoints.run_index import MODEL_SUFFIX, is_run
from charrnn.cli import terminal
from charrnn.data.inputs import STDIN, NamedText
from charrnn.data.text_reader import path_exists
from charrnn.errors import CorpusError, Remedy


def split_arguments(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Split arguments into the model's, if the first one is a model's, and the texts'."""
    if not arguments:
        return None, []
    first, *rest = arguments
    is_model = first.endswith(MODEL_SUFFIX) or is_run(first)
    is_text = not is_model and (first == STDIN or path_exists(Path(first)))
    if is_model or (rest and not is_text):
        return first, rest
    return (None, list(arguments)) if is_text else (first, rest)


@contextmanager
def naming_corpus_option() -> Iterator[None]:
    """Advise, where a training text cannot be read, to name another place of it."""
    try:
        yield
    except CorpusError as problem:
        problem.remedies += (Remedy("read the training text from elsewhere", "corpus", "FILE"),)
        raise


def load_and_read(
    arguments: Sequence[str],
    *,
    encoding: str,
    unknown: str,
    stack_round: bool | None,
    threads: int | None,
) -> tuple[Model, NamedText]:
    """Load the model and read the text that a command's arguments name.

    Raises:
        CheckpointError: there is no such model, or its file is not sound.
        CorpusError: the text cannot be read or is not known.
    """
    run, texts = split_arguments(arguments)
    model = load(run, threads=threads, stack_round=stack_round)
    read = model.read(texts or None, encoding=encoding, unknown=unknown, on_note=terminal.note)
    return model, read
