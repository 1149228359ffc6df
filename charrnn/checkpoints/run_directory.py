"""Run directories: lock, last and best checkpoint, log, copies of texts.

last.safetensors    everything that resuming the run takes
best.safetensors    the best model so far, to be used and shared
log.jsonl           one JSON object in each line
corpus-*.txt        the text from a pipe, or a generated one, as it was read; the user's alone
report.html         the report, if one was written
.lock               locked while a process trains here; the system unlocks it when that ends

New files get the permissions of the last checkpoint. Disk space is checked before the first step: a
run that cannot be saved is not begun.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import (
    Arrays,
    Checkpoint,
    open_checkpoint,
    write_checkpoint,
)
from charrnn.errors import CheckpointError, Remedy, RunDirectoryError, StorageError
from charrnn.files import (
    TRIAL_FILES,
    append_line,
    check_disk_space,
    check_regular,
    clear_leftovers,
    copy_atomically,
    flush_folder,
    is_file,
    is_folder,
    make_folder,
    remove,
    remove_folder,
    write_atomically,
)
from charrnn.locking import Lock

_USE_ANOTHER = Remedy("name another directory", "run")

REPORT_MARK = b'<meta name="generator" content="charrnn report'
"""A mark near the beginning of every report, by which reports are recognized."""

_MARK_WITHIN_BYTES = 400
_DIGITS_OF_DIGEST = 12
COPIES = f"corpus-{'[0-9a-f]' * _DIGITS_OF_DIGEST}-*.txt"
"""Pattern of the names of the copies of texts that came from a pipe or were generated."""


def _ignore(note: str) -> None:
    pass


class RunDirectory:
    """The directory of one training run.

    Args:
        path: of the directory; :meth:`locked` makes it if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = path / "last.safetensors"
        self.best = path / "best.safetensors"
        self.log = path / "log.jsonl"
        self.report = path / "report.html"
        self._lock = Lock(path / ".lock")
        self._saved: object = None

    @property
    def begun(self) -> bool:
        """True if the directory holds files that a new run would replace."""
        return any(is_file(file) for file in (self.last, self.best, self.log))

    @contextmanager
    def locked(self, on_note: Callable[[str], object] = _ignore) -> Iterator[None]:
        """Lock the directory; one process at a time writes to it.

        If this fails before a run has begun there, nothing is left of it.

        Args:
            on_note: called with messages about abilities that the file system lacks.

        Raises:
            RunDirectoryError: another process has locked it.
            StorageError: it cannot be made or locked.
        """
        missing = [folder for folder in (self.path, *self.path.parents) if not is_folder(folder)]
        try:
            make_folder(self.path)
            self._acquire(on_note)
            yield
        except BaseException:
            if not self.begun:
                self._lock.remove()
                for folder in missing:
                    with suppress(StorageError):
                        remove_folder(folder)
            raise
        finally:
            self._lock.release()

    def _acquire(self, on_note: Callable[[str], object]) -> None:
        """Take the lock, and clear what a process that held it may have left half written."""
        if not self._lock.acquire(
            on_slow=lambda: on_note(
                f"{self._lock.path}: the file system does not answer the request to lock it; "
                "waiting for it"
            )
        ):
            raise RunDirectoryError(
                f"{self.path} is in use: another charrnn is training there",
                Remedy("wait for it"),
                _USE_ANOTHER,
            )
        if not flush_folder(self.path):
            on_note(
                f"{self.path}: the file system cannot flush the names in this folder, so a power "
                "cut may take back what was saved last"
            )
        if self._lock.lacking is None:
            files = (self.last, self.best, self.log, self.report)
            for names in (*(file.name for file in files), COPIES, TRIAL_FILES):
                clear_leftovers(self.path, names)
            return
        self._saved = self._find_saved()
        on_note(
            f"{self.path}: the file system has no locks ({self._lock.lacking}), so nothing keeps "
            "two charrnn from training there at once; one of them will notice and stop"
        )

    def check_place(self) -> None:
        """Raise StorageError if the directory cannot exist, without a try to make it."""
        for folder in (self.path, *self.path.parents):
            if is_folder(folder):
                return
            try:
                folder.lstat()
                reason = f"{folder} is no folder"
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as problem:
                reason = getattr(problem, "strerror", None) or str(problem)
            raise StorageError(f"{self.path}: there can be no run: {reason}", _USE_ANOTHER)

    def refuse_if_begun(self) -> None:
        """Raise RunDirectoryError if the directory already holds a run."""
        if self.begun:
            raise RunDirectoryError(
                f"{self.path} already holds a run",
                Remedy("go on with it", "resume", str(self.path)),
                Remedy("replace it", "overwrite"),
                _USE_ANOTHER,
            )

    def copy_of(self, text: Path, digest: str) -> Path:
        """Return the path at which a text that cannot be read twice is kept.

        Args:
            text: the path that it is read from now.
            digest: SHA-256 of the corpus, in hexadecimal.
        """
        return self.path / f"corpus-{digest[:_DIGITS_OF_DIGEST]}-{text.name}.txt"

    def begin(
        self, checkpoint: Checkpoint, copies: Mapping[Path, Path], sources: Iterable[Path] = ()
    ) -> None:
        """Save a new run in the directory; then remove the files of the run that was here.

        Args:
            checkpoint: of the new run, before its first step.
            copies: the texts to copy, each with its :meth:`copy_of`.
            sources: the other texts, which are not removed if they are in the directory.

        Raises:
            StorageError: the disk refused, or has no room for the files of the run. The run that
                was here before still stands.
        """
        before = _identify(self.last)
        made = [copy for copy in copies.values() if not is_file(copy)]
        try:
            for text, copy in copies.items():
                copy_atomically(text, copy, private=True)
            self.check_disk_space(checkpoint)
            self.save_last(checkpoint)
        except BaseException:
            if _identify(self.last) == before:
                for copy in made:
                    with suppress(StorageError):
                        remove(copy)
            raise
        self.forget_others(kept=(*copies.values(), *sources))

    def forget_others(self, kept: Iterable[Path]) -> None:
        """Remove the files of an earlier run; the last checkpoint is replaced already.

        Reports are recognized by their content, whatever they are called here.
        """
        kept = {path.resolve() for path in kept}
        reports = (file for file in self.path.glob("*") if is_report(file))
        for file in (*reports, self.log, self.best, *self.path.glob(COPIES)):
            if file.resolve() not in kept:
                remove(file)

    def discard(self, kept: Iterable[Path] = ()) -> None:
        """Remove the files of the run that is in the directory.

        Args:
            kept: files in the directory that are none of the run's own.

        Raises:
            StorageError: the system refused, or the files are those of another process.
        """
        self._check_lock()
        remove(self.last)
        self.forget_others(kept)

    def check_disk_space(self, checkpoint: Checkpoint) -> None:
        """Check that the disk has room for all that a run will save from a checkpoint on.

        Raises:
            StorageError: it has not, or something else is in the place of a file.
        """
        self._check_lock()
        self._check_places()
        sizes = estimate_sizes(checkpoint)
        growth = (sizes.last - _size(self.last), sizes.best - _size(self.best), sizes.log)
        # While a file is replaced, the new one stands beside the old one.
        check_disk_space(self.path, [sizes.last, *(max(size, 0) for size in growth)])

    def _check_places(self) -> None:
        """Raise StorageError for a pipe or the like in a file's place, or a link to a foreign one.

        A directory that comes from somebody else is to replace no file of the user's.
        """
        for file in (self.last, self.best, self.log):
            check_regular(file)
            if file.is_symlink() and _size(file) and not self._is_own(file):
                raise StorageError(
                    f"{file}: is a link to a file that is not of a run, so it is not replaced",
                    Remedy("remove the link"),
                    _USE_ANOTHER,
                )

    def _is_own(self, file: Path) -> bool:
        if file == self.log:
            return bool(self.records())
        try:
            with open_checkpoint(file):
                return True
        except CheckpointError:
            return False

    def save_last(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint that the run resumes from."""
        self._check_lock()
        write_checkpoint(self.last, checkpoint)
        self._saved = self._find_saved()

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Replace the best model."""
        self._check_lock()
        write_checkpoint(self.best, checkpoint, like=self.last)

    def append(self, record: Mapping[str, Any]) -> None:
        """Append an object to the log."""
        self._check_lock()
        append_line(self.log, json.dumps(record, allow_nan=False), like=self.last)

    def _check_lock(self) -> None:
        """Raise StorageError if the path no longer leads to the directory that was locked."""
        if self._lock.is_lost:
            raise StorageError(
                f"{self.path}: it, or its .lock, was removed, moved or replaced during training, "
                "so nothing more is saved",
                Remedy("if it is elsewhere now, go on with it there", "resume", "PATH"),
            )
        if self._lock.lacking is not None and self._find_saved() != self._saved:
            raise StorageError(
                f"{self.last}: another process has replaced it during training, so nothing more is "
                "saved",
                Remedy("let only one process train there"),
            )

    def _find_saved(self) -> object:
        """Return the digest of the last checkpoint, or None; None too where a lock protects it."""
        if self._lock.lacking is None:
            return None
        try:
            with open_checkpoint(self.last) as file:
                return file.digest
        except CheckpointError:
            return None

    def records(self) -> list[dict[str, Any]]:
        """Read the objects of the log that have a step, in order.

        A line that a crash has cut short is left out.

        Raises:
            StorageError: the log cannot be read.
        """
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
        """Drop from the log what came after a checkpoint: the resumed run repeats it.

        Args:
            step: the last evaluated step of the checkpoint.
            halvings: how often the learning rate was halved by then.
        """
        kept = [
            record
            for record in self.records()
            if record["step"] <= step and not _exceeds(record.get("halvings"), halvings)
        ]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_atomically(self.log, text.encode(), like=self.last)


def is_report(path: Path) -> bool:
    """Tell if a file is a report that charrnn wrote; one that cannot be read is none."""
    if not is_file(path):
        return False
    try:
        with path.open("rb") as stream:
            return REPORT_MARK in stream.read(_MARK_WITHIN_BYTES)
    except OSError:
        return False


def _is_flat(record: Mapping[str, Any]) -> bool:
    """Tell if an object holds no others; those that are written here hold none."""
    return not any(isinstance(value, list | dict) for value in record.values())


def _exceeds(count: object, limit: int) -> bool:
    return isinstance(count, int) and count > limit


def _identify(path: Path) -> tuple[int, int] | None:
    """Identify a file, as distinct from one that replaces it; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _size(path: Path) -> int:
    """Return the bytes of a file; 0 if it is missing."""
    return path.stat().st_size if is_file(path) else 0


# An optimizer keeps up to two numbers for each weight, and most keep none before the first step.
_NUMBERS_PER_WEIGHT = 2
# For the entries in a file's table: a tensor's, and those of its numbers in the optimizer.
_BYTES_PER_NAME = 512
_LOG_BYTES = 1 << 16


@dataclass(frozen=True)
class Sizes:
    """Upper bounds on the bytes of a run's files."""

    last: int
    best: int
    log: int = _LOG_BYTES


def estimate_sizes(checkpoint: Checkpoint) -> Sizes:
    """Estimate the sizes of the files that a run will write, from any checkpoint of it."""
    arrays = checkpoint.arrays
    header = len(json.dumps(json.dumps(checkpoint.header))) + _BYTES_PER_NAME * len(arrays)
    last = header + _bytes_of(arrays, "")
    if not _bytes_of(arrays, "optimizer."):
        last += _NUMBERS_PER_WEIGHT * _bytes_of(arrays, "model.")
    return Sizes(last, header + _bytes_of(arrays, "average."))


def _bytes_of(arrays: Arrays, part: str) -> int:
    return sum(array.nbytes for name, array in arrays.items() if name.startswith(part))
