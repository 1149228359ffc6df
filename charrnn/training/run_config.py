"""What a training run is asked to do, and how its checkpoint tells of it."""

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
from charrnn.data.corpus import Corpus
from charrnn.errors import CheckpointError, CorpusError, Remedy, UsageError
from charrnn.training.progress import Progress


@dataclass(frozen=True)
class Request:
    """Everything a run was asked to do; with the corpus it determines the result."""

    source: SourceConfig
    model: ModelConfig
    train: TrainConfig
    compute: ComputeConfig


@dataclass(frozen=True)
class SavedRun:
    """A run as it was put down.

    Attributes:
        path: where it was read.
        checkpoint: what its file holds.
        request: what it was asked to do.
        corpus: what it remembers of its text.
    """

    path: Path
    checkpoint: Checkpoint
    request: Request
    corpus: CorpusFacts


def read_run(path: Path) -> SavedRun:
    """Read the run saved at ``path``, its tensors included.

    Raises:
        CheckpointError: not a sound training checkpoint.
    """
    checkpoint = read_checkpoint(path)
    return SavedRun(path, checkpoint, *parse_request(path, checkpoint.kind, checkpoint.header))


def read_request(path: Path) -> tuple[Request, CorpusFacts]:
    """What the run saved at ``path`` was asked to do, without reading its tensors.

    Raises:
        CheckpointError: not a sound training checkpoint.
    """
    kind, header = read_header(path)
    return parse_request(path, kind, header)


def parse_request(path: Path, kind: str, header: dict[str, Any]) -> tuple[Request, CorpusFacts]:
    """What the run with that kind of checkpoint and that header was asked to do.

    Raises:
        CheckpointError: not a sound training checkpoint; names ``path``.
    """
    if kind != TRAINING:
        raise CheckpointError(
            f"{path}: holds a model to use, not a run to go on with; "
            "resume from the run directory's last.safetensors"
        )
    model, _, facts = parse_description(path, header)
    try:
        request = Request(
            source=SourceConfig.from_dict(header.get("source")),
            model=model,
            train=TrainConfig.from_dict(header.get("train")),
            compute=ComputeConfig.from_dict(header.get("compute")),
        )
        _refuse_wandering(request.source)
    except UsageError as problem:
        raise CheckpointError(
            f"{path}: its settings are not sound: {problem.headline}"
        ) from problem
    except ValueError as problem:
        raise CheckpointError(f"{path}: its settings are not sound: {problem}") from problem
    return request, facts


def check_run(file: CheckpointFile) -> Progress:
    """Hold what an open training checkpoint says of its run, and of its weights, against itself.

    Returns:
        Where the run stands.

    Raises:
        CheckpointError: it is not sound.
    """
    request, _ = parse_request(file.path, file.kind, file.header)
    _, alphabet, _ = parse_description(file.path, file.header)
    weights = select_arrays("model.", file.specs)
    check_weights(file.path, request.model, len(alphabet), weights)
    try:
        return Progress.from_dict(file.header.get("progress"))
    except ValueError as problem:
        raise CheckpointError(f"{file.path}: its progress is not sound: {problem}") from problem


def _refuse_wandering(source: SourceConfig) -> None:
    """Raise ValueError for a path that is neither absolute nor a bare name.

    A run remembers the user's files by the one and its own copies by the other; what else is read
    when it goes on is not for its file to say.
    """
    for name in source.paths:
        if not Path(name).is_absolute() and (name in ("", "..") or Path(name).name != name):
            raise ValueError(f"{name!r:.80} is neither an absolute path nor a name")


def check_unchanged(corpus: Corpus, facts: CorpusFacts) -> None:
    """Raise CorpusError unless the corpus is, byte for byte, the one that the facts describe."""
    if corpus.digest != facts.digest:
        raise CorpusError(
            f"{facts.name}: the text has changed since the run began (then {facts.characters:,} "
            f"characters, SHA-256 {facts.digest[:12]}; now {len(corpus):,} and "
            f"{corpus.digest[:12]})",
            Remedy("bring the old text back"),
            Remedy("begin a new run in another directory", "run"),
        )
