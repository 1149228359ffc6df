"""A run directory: lock, last and best checkpoint, log.

last.safetensors    everything needed to go on
best.safetensors    the best model so far: what is used and shared
log.jsonl           one JSON object for each line
corpus-*.txt        text from a pipe, or a generated one, as it was read
.lock               held while a process trains here; dies with it

How much a run is going to save, foreseen before its first step.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import Arrays, Checkpoint, write_checkpoint
from charrnn.errors import Remedy, RunDirectoryError, StorageError
from charrnn.files import (
    REHEARSALS,
    append_line,
    clear_leftovers,
    copy_atomically,
    is_file,
    make_folder,
    rehearse,
    remove,
    write_atomically,
)
from charrnn.locking import Lock

_NAME_ANOTHER = Remedy("name another directory", "run")

_DIGITS_OF_DIGEST = 12
COPIES = f"corpus-{'[0-9a-f]' * _DIGITS_OF_DIGEST}-*.txt"
"""Pattern of the names of texts that came from a pipe or were generated."""


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
        self._lock = Lock(path / ".lock")

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
        if not self._lock.acquire():
            raise RunDirectoryError(
                f"{self.path} is in use: another charrnn is training there",
                Remedy("wait for it"),
                _NAME_ANOTHER,
            )
        try:
            for names in (self.last.name, self.best.name, self.log.name, COPIES, REHEARSALS):
                clear_leftovers(self.path, names)
            yield
        finally:
            self._lock.release()

    def refuse_if_begun(self) -> None:
        """Raise RunDirectoryError, with the ways out, if the directory already holds a run."""
        if self.begun:
            raise RunDirectoryError(
                f"{self.path} already holds a run",
                Remedy("go on with it", "resume", str(self.path)),
                Remedy("replace it", "overwrite"),
                _NAME_ANOTHER,
            )

    def copy_of(self, text: Path, digest: str) -> Path:
        """Where a text that cannot be read twice is kept, of a corpus with that digest."""
        return self.path / f"corpus-{digest[:_DIGITS_OF_DIGEST]}-{text.name}.txt"

    def begin(
        self, checkpoint: Checkpoint, copies: Mapping[Path, Path], sources: Iterable[Path] = ()
    ) -> None:
        """Make the directory a new run's; then forget the run that was here.

        Args:
            checkpoint: of the new run, before its first step.
            copies: the texts to copy, each with its :meth:`copy_of`.
            sources: texts that are read where they are, be it here.

        Raises:
            StorageError: the disk refused, or will not take what the run is going to save. The
                run that was here before still stands.
        """
        before = _identify(self.last)
        made = [copy for copy in copies.values() if not is_file(copy)]
        try:
            for text, copy in copies.items():
                copy_atomically(text, copy)
            self.rehearse(checkpoint)
            self.save_last(checkpoint)
        except BaseException:
            if _identify(self.last) == before:
                for copy in made:
                    with suppress(StorageError):
                        remove(copy)
            raise
        self.forget_others(kept=(*copies.values(), *sources))

    def forget_others(self, kept: Iterable[Path]) -> None:
        """Remove what an earlier run left here; the last checkpoint is this run's already."""
        kept = {path.resolve() for path in kept}
        for file in (self.log, self.best, *self.path.glob(COPIES)):
            if file.resolve() not in kept:
                remove(file)

    def rehearse(self, checkpoint: Checkpoint) -> None:
        """Find out whether the disk takes what a run that stands at a checkpoint is going to save.

        Raises:
            StorageError: it does not.
        """
        self._check_hold()
        sizes = foresee(checkpoint)
        growth = (sizes.last - _size(self.last), sizes.best - _size(self.best), sizes.log)
        # A save needs room for the new file beside the old one.
        rehearse(self.path, [sizes.last, *(max(size, 0) for size in growth)])

    def save_last(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint to go on from."""
        self._check_hold()
        write_checkpoint(self.last, checkpoint)

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Replace the best model."""
        self._check_hold()
        write_checkpoint(self.best, checkpoint)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add an object to the log."""
        self._check_hold()
        append_line(self.log, json.dumps(record, allow_nan=False))

    def _check_hold(self) -> None:
        """Raise StorageError if the path no longer names the directory that was locked."""
        if self._lock.is_lost:
            raise StorageError(
                f"{self.path}: it, or its .lock, was removed, moved or replaced during training, "
                "so nothing more is saved",
                Remedy("if it is elsewhere now, go on with it there", "resume", "PATH"),
            )

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
            if isinstance(record, dict) and type(record.get("step")) is int and _is_flat(record):
                found.append(record)
        return found

    def forget_after(self, step: int, halvings: int) -> None:
        """Drop what the log says of beyond the checkpoint: it will come to pass again.

        Args:
            step: the last one that was evaluated.
            halvings: of the learning rate so far.
        """
        kept = [
            record
            for record in self.records()
            if record["step"] <= step and not _exceeds(record.get("halvings"), halvings)
        ]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_atomically(self.log, text.encode())


def _is_flat(record: Mapping[str, Any]) -> bool:
    """Whether an object holds no others: what is written here does not."""
    return not any(isinstance(value, list | dict) for value in record.values())


def _exceeds(count: object, limit: int) -> bool:
    return isinstance(count, int) and count > limit


def _identify(path: Path) -> tuple[int, int] | None:
    """Tells a file from the one that replaces it; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _size(path: Path) -> int:
    """Bytes of a file, none if it is missing."""
    return path.stat().st_size if is_file(path) else 0


# An optimiser keeps up to two numbers for each weight, and most have none before the first step.
_NUMBERS_PER_WEIGHT = 2
# What a file says of a tensor, and of those that the optimiser will make of it.
_BYTES_PER_NAME = 512
_LOG_BYTES = 1 << 16


@dataclass(frozen=True)
class Sizes:
    """Bytes of a run's files when they are largest, or a little more."""

    last: int
    best: int
    log: int = _LOG_BYTES


def foresee(checkpoint: Checkpoint) -> Sizes:
    """The sizes of the files that a run will write, from any checkpoint to go on from."""
    arrays = checkpoint.arrays
    header = len(json.dumps(json.dumps(checkpoint.header))) + _BYTES_PER_NAME * len(arrays)
    last = header + _bytes_of(arrays, "")
    if not _bytes_of(arrays, "optimizer."):
        last += _NUMBERS_PER_WEIGHT * _bytes_of(arrays, "model.")
    return Sizes(last, header + _bytes_of(arrays, "average."))


def _bytes_of(arrays: Arrays, part: str) -> int:
    return sum(array.nbytes for name, array in arrays.items() if name.startswith(part))
