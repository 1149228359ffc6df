"""A run that was trained, or still is, as its directory tells of it: settings, figures, cost.

What sets runs apart: the settings in which they differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import read_header
from charrnn.checkpoints.model_file import CorpusFacts, parse_description
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.errors import CheckpointError, StorageError
from charrnn.files import is_file
from charrnn.models.parameter_shapes import count_parameters_by_part
from charrnn.training.fine_tuning import Origin
from charrnn.training.progress import Progress
from charrnn.training.run_config import Request, parse_request

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
    model, alphabet, _ = parse_description(run.last, header)
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
        parameters=sum(count_parameters_by_part(model, len(alphabet)).values()),
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


_DIGITS_OF_DIGEST = 12


def differing(runs: Sequence[Summary]) -> dict[str, list[Any]]:
    """The settings in which the runs are not all alike: their names, and each run's value.

    What their cells or lengths have no use for is None.
    """
    settings = [_settings(run) for run in runs]
    values = {name: [one[name] for one in settings] for name in settings[0]}
    return {name: each for name, each in values.items() if any(one != each[0] for one in each)}


def hold_out_the_same(runs: Sequence[Summary]) -> bool:
    """Whether the runs are scored on the same text, so that their losses compare.

    The same bytes are not, if they were read as another number of characters or of records.
    """
    return len({replace(run.corpus, name="-") for run in runs}) == 1


def _settings(run: Summary) -> dict[str, Any]:
    request = run.request
    settings = {
        name: value
        for config in (request.model, request.train, request.compute)
        for name, value in config.to_dict().items()
    }
    return {
        "text": run.corpus.name,
        "SHA-256": run.corpus.digest[:_DIGITS_OF_DIGEST],
        "encoding": request.source.encoding or "bytes",
        "records": run.corpus.records,
        "base": run.origin and run.origin.model,
        **settings,
    }
