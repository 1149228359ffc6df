"""The summary of a run from its directory: settings, evaluations and cost; comparison of runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import read_header
from charrnn.checkpoints.model_file import CorpusFacts, parse_description, parse_learnt
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
    """One evaluation, as the run's log records it.

    Attributes:
        step: steps taken before it.
        total: steps of the whole run, as planned then; None in the log of an older version.
        epoch: epochs completed before it.
        train_seconds: training time before it.
        train_nats_per_char: training loss since the previous evaluation; None if it is unknown.
        valid_nats_per_char: validation loss; None without a validation split.
        chars_per_second: training speed.
        sample: the text drawn after it; None in the log of an older version.
    """

    step: int
    total: int | None
    epoch: float
    train_seconds: float
    train_nats_per_char: float | None
    valid_nats_per_char: float | None
    chars_per_second: float
    sample: str | None


@dataclass(frozen=True)
class Summary:
    """The facts and figures of a run.

    Attributes:
        path: the run directory.
        request: the run's configuration.
        corpus: facts of its text.
        origin: the base model of fine-tuning; None if it was trained from scratch.
        progress: its progress.
        measurements: its evaluations, in order.
        rollbacks: the steps that it rolled back to, halving the learning rate.
        parameters: number of trainable parameters.
        bytes: size of the file of its best model.
        made_with: versions of charrnn and torch, and the build of the native library.
        held_out_learnt: the share of the held-out text that the base model was trained on.
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
    held_out_learnt: float = 0.0

    @property
    def characters(self) -> int:
        """Characters trained on so far, repeated epochs included."""
        return self.characters_at(self.progress.step)

    @property
    def chars_per_second(self) -> float:
        """Mean training speed over the run; 0 before its first step."""
        return self.characters / self.progress.seconds if self.progress.seconds else 0.0

    @property
    def last(self) -> Measurement | None:
        """The last evaluation; None if there is none."""
        return self.measurements[-1] if self.measurements else None

    def total_at(self, step: int) -> int | None:
        """Return the steps of the whole run as planned at the next evaluation after a step."""
        planned = (one.total for one in self.measurements if one.step > step)
        return next((total for total in planned if total), self.progress.total)

    def characters_at(self, step: int) -> int:
        """Count the characters trained on in that many steps; an estimate for records."""
        last = self.last
        if self.corpus.records is not None and last is not None and last.step:
            trained_on = self.corpus.characters * (1 - self.corpus.valid)
            return round(step / last.step * last.epoch * trained_on)
        return step * self.request.train.batch * self.request.train.window


def read_summary(path: Path) -> Summary:
    """Read the summary of a run from its directory, without its weights.

    Raises:
        CheckpointError: there is no valid run.
    """
    run = RunDirectory(path)
    if not is_file(run.last):
        raise CheckpointError(f"{path}: is not the directory of a run: it has no {run.last.name}")
    kind, header = read_header(run.last)
    request, facts = parse_request(run.last, kind, header)
    model, alphabet, _ = parse_description(run.last, header)
    try:
        progress, origin = Progress.from_dict(header.get("progress")), Origin.from_header(header)
    except ValueError as problem:
        raise CheckpointError(f"{run.last}: its progress is not valid: {problem}") from problem
    learnt = parse_learnt(run.last, header)
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
        held_out_learnt=learnt.held_out if learnt else 0.0,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as problem:
        raise StorageError(f"{path}: cannot be read: {problem.strerror}") from problem


def _measurement(record: Mapping[str, Any]) -> Measurement | None:
    """Parse an entry of the log as an evaluation; None if it is another event or not valid."""
    numbers = ("epoch", "train_seconds", "chars_per_second")
    train = record.get("train_nats_per_char")
    valid, sample = record.get("valid_nats_per_char"), record.get("sample")
    total = record.get("total")
    if record.get("event") != "evaluation" or not all(_finite(record.get(n)) for n in numbers):
        return None
    return Measurement(
        step=record["step"],
        total=total if type(total) is int and total >= record["step"] else None,
        train_nats_per_char=train if _finite(train) else None,
        valid_nats_per_char=valid if _finite(valid) else None,
        sample=sample if isinstance(sample, str) else None,
        **{name: record[name] for name in numbers},
    )


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def find_differences(runs: Sequence[Summary]) -> dict[str, list[Any]]:
    """Find the settings in which runs differ, and return each run's value by the setting's name.

    A setting that does not apply to a run's cell or length is None.
    """
    settings = [_settings(run) for run in runs]
    values = {name: [one[name] for one in settings] for name in settings[0]}
    return {name: each for name, each in values.items() if any(one != each[0] for one in each)}


def share_validation_split(runs: Sequence[Summary]) -> bool:
    """Return whether the runs have the same validation split, so that their losses are comparable.

    The same bytes read as other characters, or as other records, are another split.
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
        "SHA-256": run.corpus.digest,
        "encoding": request.source.encoding or "bytes",
        "records": run.corpus.records,
        "base": run.origin and run.origin.model,
        **settings,
    }
