"""The command that repeats a run."""

from __future__ import annotations

from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.checkpoints.run_directory import COPIES, RunDirectory
from charrnn.cli.messages import option_name, quote
from charrnn.config.settings import Config
from charrnn.config.training import NONE, SourceConfig

if TYPE_CHECKING:
    from charrnn.training.run_summary import Summary


def training_command(run: Summary) -> list[str]:
    """Make the command that trains with the same settings, including those chosen automatically.

    Texts and models are named without their folders, because a report may be read elsewhere. A
    limit in minutes is replaced by the number of steps that were taken.

    Returns:
        The words of the command.
    """
    request, total = run.request, run.progress.total
    train = request.train.to_dict()
    if train["minutes"] is not None and total is not None:
        train = {**train, "minutes": None, "steps": total}
    options = [
        *_list_options(request.model, request.model.to_dict()),
        *_list_options(request.train, train),
        *_list_options(request.compute, request.compute.to_dict()),
    ]
    texts = [_name_text(path) for path in request.source.paths]
    reading = [*_list_encoding(request.source), *_list_records(run), *_list_base(run)]
    return ["charrnn", "train", *texts, *reading, *options]


def shell(words: list[str]) -> str:
    """Quote a command for a shell, with one option per line."""
    lines = [""]
    for word in words:
        if word.startswith("--"):
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + quote(word)
    return " \\\n    ".join(lines)


def _list_options(config: Config, values: dict[str, Any]) -> list[str]:
    """List options for all values that differ from the defaults or may be chosen otherwise."""
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


def _list_encoding(source: SourceConfig) -> list[str]:
    if source.encoding is None:
        return ["--bytes"]
    return [] if source.encoding == SourceConfig.encoding else ["--encoding", source.encoding]


def _list_records(run: Summary) -> list[str]:
    return [] if run.corpus.records is None else ["--records", run.corpus.records]


def _list_base(run: Summary) -> list[str]:
    """Name the base model: the best model of a run by the name of the run."""
    if run.origin is None:
        return ["--from", NONE]
    path = Path(run.origin.model)
    is_best = path == RunDirectory(path.parent).best
    return ["--from", (is_best and path.parent.name) or path.name]


def _name_text(path: str) -> str:
    """Name a text; one that came through a pipe is kept in the run directory."""
    return f"RUN/{path}" if fnmatch(path, COPIES) else Path(path).name
