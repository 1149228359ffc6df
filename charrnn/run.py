"""A run directory: lock, last and best checkpoint, log; and which run is the latest.

runs/.latest                  name of the run that was begun or resumed last
runs/NAME/last.safetensors    everything needed to go on
runs/NAME/best.safetensors    the best model so far: what is used and shared
runs/NAME/log.jsonl           one JSON object for each line
runs/NAME/corpus-*.txt        text from a pipe, or a generated one, as it was read
runs/NAME/.lock               held while a process trains here; dies with it
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from charrnn.checkpoint import Checkpoint, write_checkpoint
from charrnn.errors import CheckpointError, RunDirectoryError, StorageError
from charrnn.nearest import did_you_mean
from charrnn.storage import (
    TEMPORARIES,
    append_line,
    is_file,
    is_folder,
    make_folder,
    remove,
    write_atomically,
)

RUNS = Path("runs")
"""Where runs without a directory of their own go, below the current folder."""

MODEL_SUFFIX = ".safetensors"
"""What the names of model files end with."""

COPIES = "corpus-*.txt"
"""Pattern of the names of texts that came from a pipe or were generated."""

_LATEST = ".latest"


class RunDirectory:
    """One training run's directory.

    Args:
        path: made by :meth:`locked` if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = path / "last.safetensors"
        self.best = path / "best.safetensors"
        self.log = path / "log.jsonl"

    @property
    def begun(self) -> bool:
        """Whether the directory holds anything of a run that a new one would destroy."""
        return any(is_file(file) for file in (self.last, self.best, self.log))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory as its only writer.

        Raises:
            RunDirectoryError: another process holds it.
            StorageError: it cannot be made or locked.
        """
        make_folder(self.path)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunDirectoryError(
                f"{self.path} is in use: another charrnn is training there.\n"
                "Wait for it, or name another directory with --run."
            ) from None
        except OSError as problem:
            raise StorageError(f"{self.path}: cannot be locked: {problem.strerror}") from problem
        try:
            for leftover in self.path.glob(TEMPORARIES):
                remove(leftover)
            yield
        finally:
            lock.release()

    def refuse_if_begun(self) -> None:
        """Raise RunDirectoryError, with the ways out, if the directory already holds a run."""
        if self.begun:
            raise RunDirectoryError(
                f"{self.path} already holds a run. Go on with it: --resume; "
                "replace it: --overwrite; or name another directory with --run."
            )

    def forget_others(self, kept: Collection[Path]) -> None:
        """Remove what an earlier run left here; the last checkpoint is this run's already."""
        for file in (self.log, self.best, *self.path.glob(COPIES)):
            if file not in kept:
                remove(file)

    def save_last(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint to go on from."""
        write_checkpoint(self.last, checkpoint)

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Replace the best model."""
        write_checkpoint(self.best, checkpoint)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add an object to the log."""
        append_line(self.log, json.dumps(record, allow_nan=False))

    def records(self) -> list[dict[str, Any]]:
        """The log's objects that name a step, in order; a line cut by a crash is left out."""
        if not is_file(self.log):
            return []
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError as problem:
            raise StorageError(f"{self.log}: cannot be read: {problem.strerror}") from problem
        found = []
        for line in text.splitlines():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict) and type(record.get("step")) is int:
                found.append(record)
        return found

    def forget_after(self, step: int) -> None:
        """Drop what the log says of steps beyond the checkpoint: they will be taken again."""
        kept = [record for record in self.records() if record["step"] <= step]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_atomically(self.log, text.encode())


def mark_latest(run: Path) -> None:
    """Make a run the one that commands without a path mean."""
    make_folder(RUNS)
    below = run.resolve().is_relative_to(RUNS.resolve())
    name = run.resolve().relative_to(RUNS.resolve()) if below else run.resolve()
    write_atomically(RUNS / _LATEST, f"{name}\n".encode("utf-8", "surrogateescape"))


def latest_run() -> Path:
    """The run that was begun or resumed last, from the current folder.

    Raises:
        CheckpointError: there is none yet.
    """
    try:
        name = os.fsdecode((RUNS / _LATEST).read_bytes()).removesuffix("\n")
    except OSError:
        name = ""
    if not name or not is_folder(RUNS / name):
        raise CheckpointError(
            f"there is no latest run in {RUNS.resolve()}: train one with `charrnn train FILE`, "
            "or name a run directory or a model file"
        )
    return RUNS / name


def known_runs() -> list[str]:
    """The names of the runs below ``runs``, in order."""
    return sorted(path.name for path in RUNS.glob("*") if RunDirectory(path).begun)


def is_run(named: str) -> bool:
    """Whether a word is the path or the name of a directory that holds a run's files."""
    runs = (RunDirectory(Path(named)), RunDirectory(RUNS / named))
    return any(is_file(file) for run in runs for file in (run.last, run.best))


def find_run(named: str | None) -> Path:
    """A run directory by its path or by its name below ``runs``; None is the latest.

    What holds a run comes before a folder that happens to have the name.

    Raises:
        CheckpointError: there is no such run; names the nearest one there is.
    """
    if named is None:
        return latest_run()
    places = (Path(named), RUNS / named)
    for path in places:
        if RunDirectory(path).begun:
            return path
    for path in places:
        if is_folder(path):
            return path
    known = known_runs()
    hint = did_you_mean(Path(named).name, known)
    listing = f" Runs here: {', '.join(known)[:200]}." if known and not hint else ""
    raise CheckpointError(f"{named:.200}: there is no such run or model file{hint or '.'}{listing}")


def find_model(named: str | None) -> Path:
    """The model file that a path, a run's name or (None) the latest run stands for.

    A run that has no best model yet gives its last checkpoint, which holds one too.

    Raises:
        CheckpointError: there is none.
    """
    is_model = named is not None and (
        named.endswith(MODEL_SUFFIX) or not RunDirectory(RUNS / named).begun
    )
    if named is not None and is_model and is_file(Path(named)):
        return Path(named)
    run = RunDirectory(find_run(named))
    for file in (run.best, run.last):
        if is_file(file):
            return file
    raise CheckpointError(f"{run.path}: holds no model yet; has training begun there?")
