"""Ctrl-C, SIGTERM and SIGHUP at any moment: the program saves and leaves without a traceback.

Real processes. What a signal comes in is seen from outside, as for kills.
"""

import itertools
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from charrnn.checkpoints.checkpoint import read_checkpoint
from charrnn.cli import main as program
from charrnn.cli import signals
from charrnn.errors import CheckpointError
from charrnn.training import validation
from charrnn.training.trainer import Trainer
from tests.robustness.beginnings import interrupt_imports
from tests.robustness.life import AIMS, VARIANTS, Life
from tests.robustness.pipes import close_pipes
from tests.robustness.promise import Promise, Trials
from tests.support.forked import Forked
from tests.support.program import explain

SIGNALS_IN_A_LIFE = 4
_SAVED = re.compile(rb"stopped at step ([\d,]+) and saved")
_FINISHED = re.compile(rb"^trained ", re.MULTILINE)
"""A finished run prints this; the signal then came while the program was exiting."""

Interruption = Callable[[Life], tuple[str | None, bool]]
"""Interrupts a run once and returns the problem, if any, and whether it was still running."""


def interrupting(interruption: Interruption) -> Trials:
    """Return trials, one for each time that a run is interrupted and goes on."""

    def trials(count: int, seed: int) -> Iterator[str | None]:
        left = count
        for number in itertools.count():
            how = f"{interruption.__name__}, seed {seed}, life {number}"
            outcomes = list(_live(number, how, min(left, SIGNALS_IN_A_LIFE), interruption))
            yield from outcomes
            left -= len(outcomes)
            if not left:
                return

    return trials


def _live(number: int, how: str, most: int, interruption: Interruption) -> Iterator[str | None]:
    """Yield a result for each signal to one run; the last one covers the run's end as well."""
    variant = VARIANTS[number % len(VARIANTS)]
    signals = 0
    with TemporaryDirectory() as folder:
        life = Life(Path(folder), variant, random.Random(how))
        while signals < most and not life.is_over:
            try:
                problem, signalled = interruption(life)
            except CheckpointError as error:
                problem, signalled = str(error), True
            if problem:
                yield f"{how}: {' '.join(variant)}: {problem}"
                return
            if signalled and signals:
                yield None
            signals += signalled
        problem = life.end()
        if problem or signals:
            yield f"{how}: {' '.join(variant)}: {problem}" if problem else None


def signal_once(life: Life) -> tuple[str | None, bool]:
    """Begin, or go on, until a signal at any moment."""
    number = life.chance.choice(signals.SIGNALS)
    last = life.run / "last.safetensors"
    before = last.read_bytes() if last.exists() else None
    marker = _new_marker(life)
    process = life.start(
        "--save-every", life.chance.choice(("0", "1000")), first=partial(_mark_beginning, marker)
    )
    _wait_for(marker, process)
    _wait(life, process)
    process.signal(number)
    result = process.result()
    finished = _FINISHED.search(result.stdout)
    # By then Python has given signals back, and a shell makes 128 + number of dying by one.
    ends = (0, 128 + number, -number) if finished else (0, 128 + number)
    if b"Traceback" in result.stderr or result.returncode not in ends:
        return explain(result), True
    if result.returncode == 0:
        return None, False
    if finished:
        return None, True
    saved = _SAVED.search(result.stderr)
    if saved:
        progress = read_checkpoint(last).header["progress"]
        step = int(saved[1].replace(b",", b""))
        return (None if progress["step"] == step else f"saved {progress}, said {saved[0]!r}"), True
    after = last.read_bytes() if last.exists() else None
    return (f"it saved without a word: {explain(result)}" if after != before else None), True


def signal_twice(life: Life) -> tuple[str | None, bool]:
    """Begin, or go on, until it is stuck in something that never ends, and send two signals."""
    numbers = life.chance.sample(signals.SIGNALS, 2)
    marker = _new_marker(life)
    stick = partial(_stick, life.chance.choice(sorted(_STICKING)), life.chance.randint(1, 8))
    process = life.start("--save-every", "0", first=partial(stick, marker))
    _wait_for(marker, process)
    for number in numbers:
        process.signal(number)
    result = process.result()
    if b"Traceback" in result.stderr or result.returncode not in (0, *(128 + n for n in numbers)):
        return explain(result), True
    return None, result.returncode != 0


_STICKING: dict[str, tuple[object, str]] = {
    "a step": (Trainer, "_step"),
    "a save": (os, "fsync"),
    "an evaluation": (validation, "score"),
}


def _stick(where: str, calls: int, marker: Path) -> None:
    """Make the n-th call of a function, counted from 1, never return."""
    owner, name = _STICKING[where]
    call = getattr(owner, name)
    made = itertools.count(1)

    def stuck(*given: object, **named: object) -> object:
        if next(made) == calls:
            marker.touch()
            while True:
                time.sleep(1)
        return call(*given, **named)

    setattr(owner, name, stuck)


def _new_marker(life: Life) -> Path:
    marker = life.folder / "marker"
    marker.unlink(missing_ok=True)
    return marker


def _wait_for(marker: Path, process: Forked) -> None:
    while process.running and not marker.exists():
        time.sleep(0.001)


def _wait(life: Life, process: Forked) -> None:
    """Wait for a moment: once in four times, while the program begins."""
    aim = life.chance.choice((None, "a step", *AIMS))
    if aim is None:
        time.sleep(life.chance.uniform(0, 0.3))
    elif aim == "a step":
        life.wait_for_step(process)
    else:
        life.wait_for(aim, process)


def _mark_beginning(marker: Path) -> None:
    """Leave a mark once the program has signals in hand."""
    run = program.run

    def marking_run() -> int:
        marker.touch()
        return run()

    program.run = marking_run


PROMISES = (
    Promise(
        "Ctrl-C, SIGTERM or SIGHUP: the step, save or evaluation is finished, the run saved, the "
        "exit code 130, 143 or 129, and it goes on as if nothing had happened",
        interrupting(signal_once),
        200,
    ),
    Promise(
        "A second signal leaves at once with the last save intact",
        interrupting(signal_twice),
        200,
    ),
    Promise(
        "A signal while modules are imported ends the program without a traceback",
        interrupt_imports,
        100,
    ),
    Promise(
        "A pipe that is closed, at whatever byte, ends the program with 0 and without a word",
        close_pipes,
        100,
    ),
)
