"""Runs found by name: the runs below the current folder, and the latest of them.

runs/.latest         the name of the run that was begun or resumed last, where it can be written
runs/.latest.lock    locked while that name is written
runs/NAME            the directory of a run
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from charrnn.checkpoints.base_models import find_base_models
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.data.file_kinds import HEAD_BYTES, looks_like_text
from charrnn.display import did_you_mean
from charrnn.errors import CheckpointError, Remedy, StorageError
from charrnn.files import (
    clear_leftovers,
    is_file,
    is_folder,
    make_folder,
    remove,
    remove_folder,
    write_atomically,
)
from charrnn.locking import Lock

RUNS = Path("runs")
"""The folder, below the current one, of runs for which no directory is named."""

MODEL_SUFFIX = ".safetensors"
"""The end of the names of model files."""

_LATEST = ".latest"
_LONGEST_PATH = 4096
_PATIENCE_SECONDS = 2.0


def mark_latest(run: Path) -> None:
    """Mark a run as the latest, which is meant wherever no run is named.

    The mark is a convenience of the current folder, which may not take it.

    Raises:
        StorageError: the mark cannot be written.
    """
    try:
        place, runs = run.absolute(), RUNS.absolute()
        # A link among the runs is kept as it is named; one that leads there is followed.
        if not place.is_relative_to(runs):
            place, runs = run.resolve(), RUNS.resolve()
        name = place.relative_to(runs) if place.is_relative_to(runs) else run.absolute()
    except (OSError, RuntimeError) as problem:
        # The current folder was removed, or a link leads to itself.
        raise StorageError(f"{RUNS}: cannot be found") from problem
    is_new = not is_folder(RUNS)
    lock = Lock(RUNS / f"{_LATEST}.lock")
    try:
        make_folder(RUNS)
        if not lock.acquire(wait=True, patience=_PATIENCE_SECONDS):
            raise StorageError(f"{lock.path}: another charrnn holds it")
        if lock.lacking is None:
            clear_leftovers(RUNS, _LATEST)
        if (RUNS / _LATEST).is_symlink():
            remove(RUNS / _LATEST)  # The mark replaces the link and not what it leads to.
        write_atomically(RUNS / _LATEST, os.fsencode(f"{name}\n"))
    except BaseException:
        if is_new:
            lock.remove()
            with suppress(StorageError):
                remove_folder(RUNS)
        raise
    finally:
        lock.release()


def find_latest_run() -> Path:
    """Find the run that was begun or resumed last, from the current folder.

    Raises:
        CheckpointError: there is none yet.
    """
    name = ""
    if is_file(RUNS / _LATEST):
        with suppress(OSError), (RUNS / _LATEST).open("rb") as stream:
            name = os.fsdecode(stream.read(_LONGEST_PATH)).removesuffix("\n")
    if not name or not is_folder(RUNS / name):
        where = RUNS
        with suppress(OSError, RuntimeError):
            where = RUNS.resolve()
        raise CheckpointError(
            f"there is no latest run in {where}",
            Remedy("train one", "train", "FILE"),
            Remedy("name a run directory or a model file"),
        )
    return RUNS / name


def list_runs() -> list[str]:
    """List the names of the runs below ``runs``, in order."""
    return sorted(path.name for path in RUNS.glob("*") if RunDirectory(path).begun)


def is_run(named: str) -> bool:
    """Tell if a word is the path or the name of a directory that holds a run's checkpoints."""
    runs = (RunDirectory(Path(named)), RunDirectory(RUNS / named))
    return any(is_file(file) for run in runs for file in (run.last, run.best))


def _places_of(named: str) -> tuple[Path, Path]:
    return Path(named), RUNS / named


def find_run(named: str | None) -> Path:
    """Find a run directory by its path or by its name below ``runs``; None is the latest.

    A directory that holds a run comes before a folder that happens to have the name.

    Raises:
        CheckpointError: there is no such run; the message names the nearest one.
    """
    if named is None:
        return find_latest_run()
    if not named:
        raise CheckpointError(
            "the name of a run is empty", Remedy("name a run directory or a model file")
        )
    for path in _places_of(named):
        if RunDirectory(path).begun:
            return path
    for path in _places_of(named):
        if is_folder(path):
            return path
    if is_file(Path(named)):
        stem = Path(named).stem
        raise CheckpointError(
            f"{named:.200}: is a file, and a run is asked for",
            Remedy(f"name the run: {stem}")
            if RunDirectory(RUNS / stem).begun
            else Remedy("name the directory that holds it"),
        )
    if named in find_base_models():
        raise CheckpointError(
            f"{named:.200}: is a base model, and a run is asked for",
            Remedy("train a run of your own from it", "train", "FILE"),
        )
    if kind := _describe_special(named):
        raise CheckpointError(
            f"{named:.200}: is {kind}, and a model is a file or the directory of a run",
            Remedy("save the model to a file first"),
        )
    known = list_runs()
    hint = did_you_mean(Path(named).name, known)
    listing = f" Runs here: {', '.join(known)[:200]}." if known and not hint else ""
    raise CheckpointError(f"{named:.200}: there is no such run or model file{hint or '.'}{listing}")


def find_model(named: str | None) -> Path:
    """Find a model file by its path, that of a run by the run's path or name, or a base model.

    None is the latest run. The file of a run is its best model or, as long as there is none, its
    last checkpoint, which holds a model too. A base model gives way to a file or a run of its name.

    Raises:
        CheckpointError: there is none.
    """
    is_model = named is not None and (
        named.endswith(MODEL_SUFFIX) or not RunDirectory(RUNS / named).begun
    )
    if named is not None and is_model and is_file(Path(named)):
        _refuse_text_of_run(Path(named))
        return Path(named)
    if named is not None and not any(RunDirectory(path).begun for path in _places_of(named)):
        base = find_base_models().get(named)
        if base is not None:
            return base
    run = RunDirectory(find_run(named))
    for file in (run.best, run.last):
        if is_file(file):
            return file
    if run.begun:
        raise CheckpointError(f"{run.path}: holds no model yet; has training begun there?")
    inside = [str(path) for path in sorted(run.path.glob("*")) if _names_model(path)]
    raise CheckpointError(
        f"{run.path}: is a folder that holds no model",
        Remedy(f"name one in it: {', '.join(inside)[:200]}")
        if inside
        else Remedy("name a run directory or a model file"),
    )


def _names_model(path: Path) -> bool:
    """Tell if a path names a model: a model file or the directory of a run."""
    return RunDirectory(path).begun or (path.suffix == MODEL_SUFFIX and is_file(path))


def _refuse_text_of_run(path: Path) -> None:
    """Raise CheckpointError for a text whose name is that of a run: the run is meant."""
    if not RunDirectory(RUNS / path.stem).begun:
        return
    with suppress(OSError), path.open("rb") as stream:
        if looks_like_text(stream.read(HEAD_BYTES)):
            raise CheckpointError(
                f"{path}: is a text, not a model", Remedy(f"name the run: {path.stem}")
            )


def _describe_special(named: str) -> str | None:
    """Describe what is at a path and is neither a file nor a folder; None if nothing is."""
    if named == "-":
        return "standard input"
    with suppress(OSError, ValueError):
        mode = Path(named).stat().st_mode
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        return kinds.get(stat.S_IFMT(mode), "a device")
    return None
