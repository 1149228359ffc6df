"""A run that was trained, or still is, as its directory tells of it: settings, figures, cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.checkpoint import read_header
from charrnn.errors import CheckpointError, StorageError
from charrnn.modelfile import CorpusFacts, read_description
from charrnn.progress import Progress
from charrnn.request import Request, parse_request
from charrnn.run import RunDirectory
from charrnn.shapes import count_parameters
from charrnn.storage import is_file
from charrnn.transfer import Origin

_MAKERS = ("charrnn", "torch", "kernels")


@dataclass(frozen=True)
class Measurement:
    """What the log says of one evaluation.

    Attributes:
        valid_nats_per_char: None if nothing is held out.
        sample: some text that was drawn then; None in logs of before that was kept.
    """

    step: int
    epoch: float
    train_seconds: float
    train_nats_per_char: float | None
    valid_nats_per_char: float | None
    chars_per_second: float
    sample: str | None


@dataclass(frozen=True)
class Summary:
    """A run.

    Attributes:
        path: its directory.
        request: what it was asked to do.
        corpus: what it remembers of its text.
        origin: the model that it went on from; None if its weights were drawn.
        progress: where it stands.
        measurements: its evaluations, in order.
        rollbacks: the steps from which it went on at half the learning rate.
        parameters: numbers that training moves.
        bytes: the size of the file of its best model.
        made_with: versions of charrnn and torch, and the build of the native library.
    """

    path: Path
    request: Request
    corpus: CorpusFacts
    origin: Origin | None
    progress: Progress
    measurements: tuple[Measurement, ...]
    rollbacks: tuple[int, ...]
    parameters: int
    bytes: int
    made_with: dict[str, str]

    @property
    def characters(self) -> int:
        """Characters trained on so far, each as often as it was read."""
        return self.characters_at(self.progress.step)

    @property
    def chars_per_second(self) -> float:
        """The mean over the whole training; 0 before it began."""
        return self.characters / self.progress.seconds if self.progress.seconds else 0.0

    @property
    def last(self) -> Measurement | None:
        """The last evaluation, if there was one."""
        return self.measurements[-1] if self.measurements else None

    def characters_at(self, step: int) -> int:
        """Characters trained on in so many steps; of records about, as their windows differ."""
        last = self.last
        if self.corpus.records is not None and last is not None and last.step:
            learnt = self.corpus.characters * (1 - self.corpus.valid)
            return round(step / last.step * last.epoch * learnt)
        return step * self.request.train.batch * self.request.train.window


def read_summary(path: Path) -> Summary:
    """Read what a run's directory tells of it, without its weights.

    Raises:
        CheckpointError: there is no sound run.
    """
    run = RunDirectory(path)
    if not is_file(run.last):
        raise CheckpointError(
            f"{path}: holds no run that was trained here: there is no {run.last.name}"
        )
    kind, header = read_header(run.last)
    request, facts = parse_request(run.last, kind, header)
    model, alphabet, _ = read_description(run.last, header)
    try:
        progress, origin = Progress.from_dict(header.get("progress")), Origin.in_header(header)
    except ValueError as problem:
        raise CheckpointError(f"{run.last}: its progress is not sound: {problem}") from problem
    records = [record for record in run.records() if record["step"] <= progress.step]
    return Summary(
        path=path,
        request=request,
        corpus=facts,
        origin=origin,
        progress=progress,
        measurements=tuple(filter(None, map(_measurement, records))),
        rollbacks=tuple(one["step"] for one in records if one.get("event") == "rollback"),
        parameters=sum(count_parameters(model, len(alphabet)).values()),
        bytes=_size(run.best if is_file(run.best) else run.last),
        made_with={name: str(header[name]) for name in _MAKERS if name in header},
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as problem:
        raise StorageError(f"{path}: cannot be read: {problem.strerror}") from problem


def _measurement(record: Mapping[str, Any]) -> Measurement | None:
    """An object of the log as an evaluation; None if it is another, or is not sound."""
    numbers = ("epoch", "train_seconds", "chars_per_second")
    train = record.get("train_nats_per_char")
    valid, sample = record.get("valid_nats_per_char"), record.get("sample")
    if record.get("event") != "evaluation" or not all(_finite(record.get(n)) for n in numbers):
        return None
    return Measurement(
        step=record["step"],
        train_nats_per_char=train if _finite(train) else None,
        valid_nats_per_char=valid if _finite(valid) else None,
        sample=sample if isinstance(sample, str) else None,
        **{name: record[name] for name in numbers},
    )


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
