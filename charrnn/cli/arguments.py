"""The arguments of commands that read a text with a model."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from charrnn.api import Model, load
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.checkpoints.run_index import MODEL_SUFFIX, is_run
from charrnn.cli import terminal
from charrnn.cli.messages import command
from charrnn.data.catalogue import read_catalogue
from charrnn.data.inputs import STDIN, NamedText
from charrnn.data.text_reader import path_exists
from charrnn.errors import UsageError


def split_arguments(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Split arguments into the model's, if the first one is a model's, and the texts'.

    Raises:
        UsageError: a model follows a text.
    """
    if not arguments:
        return None, []
    first, *rest = arguments
    if _is_model(first) or not _is_text(first):
        return first, rest
    if models := [one for one in rest if _is_model(one)]:
        texts = [one for one in arguments if one not in models]
        raise UsageError(
            f"{models[0]} is a model and comes first, before the texts: "
            f"{shlex.join([models[0], *texts])}"
        )
    return None, list(arguments)


def _is_model(argument: str) -> bool:
    return argument.endswith(MODEL_SUFFIX) or is_run(argument)


def _is_text(argument: str) -> bool:
    return argument == STDIN or path_exists(Path(argument))


def refuse_models(sources: Sequence[str]) -> None:
    """Raise UsageError if a model is named where a text is to be trained on."""
    for source in sources:
        is_path = _is_text(source)
        by_path = source.endswith(MODEL_SUFFIX) or RunDirectory(Path(source)).begun
        if by_path or (not is_path and is_run(source) and source not in read_catalogue()):
            learn = f"train on a text from it: {command('train', 'TEXT', base=source)}"
            go_on = f"go on with its training: {command('resume', source)}, or "
            advice = (go_on if is_run(source) else "") + learn
            raise UsageError(
                f"{source} is a model, and a text is asked for.\n{advice[0].upper()}{advice[1:]}"
            )


def refuse_unused_corpus(corpus: Sequence[str] | None, texts: Sequence[str]) -> None:
    """Raise UsageError if the training text is named beside texts to read instead of it."""
    if corpus and texts:
        raise UsageError(
            f"--corpus names the training text, whose held-out part is read if no text is given; "
            f"leave it out, or leave out {', '.join(texts)}"
        )


def load_and_read(
    arguments: Sequence[str],
    *,
    encoding: str,
    unknown: str,
    stack_round: bool | None,
    threads: int | None,
    corpus: Sequence[str] | None,
) -> tuple[Model, NamedText]:
    """Load the model and read the text that a command's arguments name.

    Raises:
        CheckpointError: there is no such model, or its file is not sound.
        CorpusError: the text cannot be read or is not known.
        UsageError: a model follows a text, or both a text and the training text are named.
    """
    run, texts = split_arguments(arguments)
    refuse_unused_corpus(corpus, texts)
    model = load(run, threads=threads, stack_round=stack_round, corpus=corpus or ())
    read = model.read(texts or None, encoding=encoding, unknown=unknown, on_note=terminal.note)
    return model, read
