"""The command that trains a run again."""

from __future__ import annotations

import shlex
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.checkpoints.run_directory import COPIES, RunDirectory
from charrnn.cli.messages import option_name
from charrnn.config.settings import Config
from charrnn.config.training import SourceConfig

if TYPE_CHECKING:
    from charrnn.training.run_summary import Summary


def training_command(run: Summary) -> list[str]:
    """The words of a command that asks for the same again, whatever would be chosen by itself.

    Texts and models are named without their folders: a report is read elsewhere. A run that was
    given minutes is asked for as many steps as they were enough for.
    """
    request, total = run.request, run.progress.total
    train = request.train.to_dict()
    if train["minutes"] is not None and total is not None:
        train = {**train, "minutes": None, "steps": total}
    options = [
        *_options(request.model, request.model.to_dict()),
        *_options(request.train, train),
        *_options(request.compute, request.compute.to_dict()),
    ]
    texts = [_name(path) for path in request.source.paths]
    reading = [*_reading(request.source), *_records(run), *_origin(run)]
    return ["charrnn", "train", *texts, *reading, *options]


def shell(words: list[str]) -> str:
    """A command as it is typed, over several lines: an option on each."""
    lines = [""]
    for word in words:
        if word.startswith("--"):
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + shlex.quote(word)
    return " \\\n    ".join(lines)


def _options(config: Config, values: dict[str, Any]) -> list[str]:
    """Options for all that a command would not set so by itself."""
    words = []
    for declared in fields(config):
        value = values[declared.name]
        left_out = value == declared.default and not declared.metadata["automatic"]
        if value is None or value is False or left_out:
            continue
        words.append(option_name(declared.name))
        if value is not True:
            words.append(str(value))
    return words


def _reading(source: SourceConfig) -> list[str]:
    if source.encoding is None:
        return ["--bytes"]
    return [] if source.encoding == SourceConfig.encoding else ["--encoding", source.encoding]


def _records(run: Summary) -> list[str]:
    return [] if run.corpus.records is None else ["--records", run.corpus.records]


def _origin(run: Summary) -> list[str]:
    """A run's best model by the run's name, which ``--from`` takes as well."""
    if run.origin is None:
        return []
    path = Path(run.origin.model)
    is_best = path == RunDirectory(path.parent).best
    return ["--from", (is_best and path.parent.name) or path.name]


def _name(path: str) -> str:
    """A text's name; a text that came through a pipe lies in the run's directory."""
    return f"RUN/{path}" if fnmatch(path, COPIES) else Path(path).name
