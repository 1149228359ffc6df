"""Many processes want to train in one directory at once; one may, and its death makes room."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from charrnn.checkpoints.checkpoint import read_checkpoint
from charrnn.errors import RunDirectoryError
from tests.robustness.here import PLANS, RUN, scratch
from tests.support.forked import Forked

_PROCESSES = 20
_ENDLESS_STEPS = "100000000"
_PATIENCE_SECONDS = 100.0


def many_at_once(count: int, seed: int) -> Iterator[str | None]:
    """Start twenty processes on one directory, kill the one that trains, start another."""
    fates = random.Random(seed)
    for number in range(count):
        with scratch() as folder:
            (folder / "corpus.txt").write_bytes(PLANS[0].text)
            begun = [_start(folder, fates) for _ in range(_PROCESSES)]
            try:
                problem = _contend(begun, folder)
            finally:
                for process in begun:
                    _kill(process)
        yield problem and f"seed {seed}, try {number}: {problem}"


def _start(folder: Path, fates: random.Random, *, steps: str = _ENDLESS_STEPS) -> Forked:
    """Start a new training run, with or without leave to overwrite."""
    command = (*PLANS[0].train("--steps", steps), *fates.choice([(), ("--overwrite",)]))
    return Forked(*("corpus.txt" if word == "-" else word for word in command), cwd=folder)


def _contend(begun: list[Forked], folder: Path) -> str | None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while sum(process.running for process in begun) > 1:
        if time.monotonic() > deadline:
            return "more than one trained"
        time.sleep(0.01)
    codes = sorted(process.result().returncode for process in begun if not process.running)
    if codes != [RunDirectoryError.exit_code] * (_PROCESSES - 1):
        return f"one was to train and the others to be refused, but they ended with {codes}"
    owner = next(process for process in begun if process.running)
    _kill(owner)
    before = _step(folder)
    successor = Forked("train", "--resume", "--run", str(RUN.path), "--save-every", "0", cwd=folder)
    begun.append(successor)
    while _step(folder) <= before:
        if not successor.running or time.monotonic() > deadline:
            return "after the owner was killed the next did not train"
        time.sleep(0.01)
    return None


def _kill(process: Forked) -> None:
    process.signal(signal.SIGKILL)
    process.result()


def _step(folder: Path) -> int:
    """Return the run's step; the checkpoint loads, so no two processes have written it."""
    return int(read_checkpoint(folder / RUN.last).header["progress"]["step"])
