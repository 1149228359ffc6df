"""The request of a training run, and reading it from the run's checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import (
    TRAINING,
    Checkpoint,
    CheckpointFile,
    read_checkpoint,
    read_header,
)
from charrnn.checkpoints.model_file import (
    CorpusFacts,
    check_weights,
    parse_description,
    select_arrays,
)
from charrnn.config.model import ModelConfig
from charrnn.config.training import ComputeConfig, SourceConfig, TrainConfig
from charrnn.data.text_reader import FileFacts
from charrnn.errors import CheckpointError, UsageError
from charrnn.training.progress import Progress


@dataclass(frozen=True)
class Request:
    """The configuration of a run; together with the corpus it determines the result.

    Attributes:
        source: the sources of the text and their encoding.
        model: the network.
        train: the settings of training.
        compute: device, precision and threads.
        files: facts of each source when it was last named by the user; None for one that is no file
            or folder of the user's, and none at all in older checkpoints.
    """

    source: SourceConfig
    model: ModelConfig
    train: TrainConfig
    compute: ComputeConfig
    files: tuple[FileFacts | None, ...] = ()


@dataclass(frozen=True)
class SavedRun:
    """A run as its training checkpoint holds it.

    Attributes:
        path: the checkpoint's file.
        checkpoint: its contents.
        request: the run's configuration.
        corpus: facts of the run's text.
    """

    path: Path
    checkpoint: Checkpoint
    request: Request
    corpus: CorpusFacts


def read_run(path: Path) -> SavedRun:
    """Read the run saved at ``path``, its tensors included.

    Raises:
        CheckpointError: not a valid training checkpoint.
    """
    checkpoint = read_checkpoint(path)
    return SavedRun(path, checkpoint, *parse_request(path, checkpoint.kind, checkpoint.header))


def read_request(path: Path) -> tuple[Request, CorpusFacts]:
    """Read the request of the run saved at ``path`` without its tensors.

    Raises:
        CheckpointError: not a valid training checkpoint.
    """
    kind, header = read_header(path)
    return parse_request(path, kind, header)


def parse_request(path: Path, kind: str, header: dict[str, Any]) -> tuple[Request, CorpusFacts]:
    """Parse the request of a run from its checkpoint's kind and header.

    Raises:
        CheckpointError: not a valid training checkpoint; names ``path``.
    """
    if kind != TRAINING:
        raise CheckpointError(
            f"{path}: holds a trained model, not a run to resume; "
            "resume from the run directory's last.safetensors"
        )
    model, _, facts = parse_description(path, header)
    try:
        request = Request(
            source=SourceConfig.from_dict(header.get("source")),
            model=model,
            train=TrainConfig.from_dict(header.get("train")),
            compute=ComputeConfig.from_dict(header.get("compute")),
            files=_parse_files(header.get("files", [])),
        )
        _check_source_paths(request.source)
        if request.files and len(request.files) != len(request.source.paths):
            raise ValueError("it has facts of more or fewer files than it names")
    except UsageError as problem:
        raise CheckpointError(
            f"{path}: its settings are not valid: {problem.headline}"
        ) from problem
    except ValueError as problem:
        raise CheckpointError(f"{path}: its settings are not valid: {problem}") from problem
    return request, facts


def check_run(file: CheckpointFile) -> Progress:
    """Check that the header and the weights of an open training checkpoint agree.

    Returns:
        The progress of the run.

    Raises:
        CheckpointError: it is not valid.
    """
    request, _ = parse_request(file.path, file.kind, file.header)
    _, alphabet, _ = parse_description(file.path, file.header)
    weights = select_arrays("model.", file.specs)
    check_weights(file.path, request.model, len(alphabet), weights)
    try:
        return Progress.from_dict(file.header.get("progress"))
    except ValueError as problem:
        raise CheckpointError(f"{file.path}: its progress is not valid: {problem}") from problem


def _parse_files(entries: object) -> tuple[FileFacts | None, ...]:
    if not isinstance(entries, list):
        raise ValueError("the facts of its files are no list")
    return tuple(None if entry is None else FileFacts.from_dict(entry) for entry in entries)


def _check_source_paths(source: SourceConfig) -> None:
    """Raise ValueError for a path that is neither absolute nor a bare name.

    A run stores the user's files by absolute path and its own copies by name. A relative path in a
    checkpoint must not make a resumed run read other files.
    """
    for name in source.paths:
        if not Path(name).is_absolute() and (name in ("", "..") or Path(name).name != name):
            raise ValueError(f"{name!r:.80} is neither an absolute path nor a name")
