"""Killed at any instant, a run goes on and ends, bit for bit, like one that never was killed.

Real processes, killed by SIGKILL several times in the life of one run. What they are killed in is
seen from outside: the file that a save is gathered in, or where the newest checkpoint stands.
"""

import itertools
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from charrnn.checkpoint import read_header
from charrnn.errors import CheckpointError
from tests.cli.forked import Forked, forked
from tests.cli.program import explain
from tests.conftest import SENTENCES
from tests.torture.promise import Promise, Trials
from tests.torture.state import State, differing, state_of

CORPUS = "\n".join(SENTENCES * 10)
STEPS = 40
STEPS_PER_EVALUATION = 4
KILLS_IN_A_LIFE = 6
LONGEST_WAIT_SECONDS = 60.0

# Epochs of eight windows, so that their edges come often, as do evaluations of a held-out half.
SETTINGS = (
    *("--layers", "1", "--hidden", "8", "--embedding", "4", "--window", "16", "--batch", "8"),
    *("--valid", "0.5", "--steps", str(STEPS), "--threads", "1"),
    *("--evaluations", str(STEPS // STEPS_PER_EVALUATION)),
)
_DROPPING = tuple(
    ("--dropout", dropout, "--weight-drop", weight_drop)
    for dropout in ("0", "0.3")
    for weight_drop in ("0", "0.3")
)
# Each grows without bound until its learning rate has been halved.
_DIVERGING = (
    *("--cell", "rnn", "--activation", "relu", "--init-gain", "1.8", "--norm", "none"),
    *("--optimizer", "sgd", "--clip", "0", "--warmup", "0", *_DROPPING[2]),
    *("--on-divergence", "rollback"),
)
VARIANTS = (
    *(("--cell", cell, *drops) for cell in ("lstm", "gru", "rnn", "stack") for drops in _DROPPING),
    (*_DIVERGING, "--lr", "7", "--seed", "7"),
    (*_DIVERGING, "--lr", "6", "--seed", "8"),
)

_MOMENT_SECONDS = 0.0005


@dataclass(frozen=True)
class Watched:
    """What can be seen of a run from outside its process."""

    run: Path

    @property
    def progress(self) -> dict[str, Any] | None:
        """Where its newest checkpoint stands; None before there is one."""
        last = self.run / "last.safetensors"
        if not last.exists():
            return None
        _, header = read_header(last)
        progress: dict[str, Any] = header["progress"]
        return progress

    def stands_at(self, step: int) -> bool:
        """Whether it has been saved at that step or a later one."""
        progress = self.progress
        return progress is not None and progress["step"] >= step

    def is_saving(self) -> bool:
        """Whether the file is there that the next checkpoint is gathered in."""
        return any(self.run.glob(".last.safetensors.*.tmp"))

    def is_evaluating(self) -> bool:
        """Whether it was saved where an evaluation is due, and not yet after it."""
        p = self.progress
        return p is not None and p["step"] % STEPS_PER_EVALUATION == 0 and _is_unevaluated(p)

    def is_at_an_epochs_edge(self) -> bool:
        """Whether it was saved after the last window of an epoch, and not yet after the next."""
        p = self.progress
        return p is not None and p["step"] > 0 and p["window"] == 0


def _is_unevaluated(progress: dict[str, Any]) -> bool:
    return bool(progress["evaluated_step"] < progress["step"])


AIMS: dict[str, Callable[[Watched], bool]] = {
    "a save": Watched.is_saving,
    "an evaluation": Watched.is_evaluating,
    "an epoch's edge": Watched.is_at_an_epochs_edge,
}


@cache
def expected_of(variant: tuple[str, ...]) -> State:
    """The state in which a variant ends if nothing happens to it."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "corpus.txt").write_text(CORPUS)
        result = forked("train", "corpus.txt", "--run", "run", *SETTINGS, *variant, cwd=folder)
        state = state_of(folder / "run")
    went_back = any(record["event"] == "rollback" for record in state["log"])
    if result.returncode or went_back != ("rollback" in variant):
        raise ValueError(f"{' '.join(variant)}: is of no use here: {explain(result)}")
    return state


class WentWrongError(Exception):
    """A process did not go on with its run."""


class Life:
    """One run, from its beginning to its end, killed on the way.

    Args:
        folder: where it takes place.
        variant: options of the run.
        chance: decides when it is killed.
    """

    def __init__(self, folder: Path, variant: tuple[str, ...], chance: random.Random) -> None:
        self.folder = folder
        self.variant = variant
        self.chance = chance
        self.run = folder / "run"
        self.watched = Watched(self.run)
        (folder / "corpus.txt").write_text(CORPUS)

    def kill_anywhere(self) -> bool:
        """Begin, or go on, and kill at a moment that nothing was seen to happen at.

        Once in four times that is while the program begins, else after a step was saved. Whether
        there was still something to kill.
        """
        begins = self.chance.random() < 0.25
        after = 0 if begins else self._later_step()
        process = self._start("--save-every", self.chance.choice(("0", "0.02", "1000")))
        if not begins:
            self._wait(process, lambda: self.watched.stands_at(after))
        time.sleep(self.chance.uniform(0, 0.2 if begins else 0.03))
        return self._kill(process)

    def kill_in(self, aim: str) -> bool:
        """Begin, or go on, and kill as soon as it is seen in something; whether it died in that."""
        after = self._later_step()
        process = self._start("--save-every", "0")
        self._wait(process, lambda: self.watched.stands_at(after) and AIMS[aim](self.watched))
        return self._kill(process) and AIMS[aim](self.watched)

    @property
    def is_over(self) -> bool:
        """Whether the run has taken its last step, so that nothing is left to be killed in."""
        return self.watched.stands_at(STEPS)

    def end(self) -> str | None:
        """Go on to the end undisturbed; how that differs from a run that was never killed."""
        result = self._start().result()
        if result.returncode:
            return explain(result)
        different = differing(state_of(self.run), expected_of(self.variant))
        litter = [path.name for path in self.run.glob(".*.tmp")]
        return f"differs in {', '.join(different + litter)[:300]}" if different or litter else None

    def _start(self, *more: str) -> Forked:
        resumed = ("train", "--resume", "--run", "run", *more)
        new = ("train", "corpus.txt", "--run", "run", *SETTINGS, *self.variant, *more)
        begun = (self.run / "last.safetensors").exists()
        return Forked(*(resumed if begun else new), cwd=self.folder)

    def _later_step(self) -> int:
        progress = self.watched.progress
        return self.chance.randint(progress["step"] if progress else 0, STEPS)

    def _wait(self, process: Forked, seen: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while process.running and not seen() and time.monotonic() < deadline:
            time.sleep(_MOMENT_SECONDS)

    def _kill(self, process: Forked) -> bool:
        process.signal(signal.SIGKILL)
        result = process.result()
        if result.returncode not in (0, -signal.SIGKILL):
            raise WentWrongError(explain(result))
        return result.returncode == -signal.SIGKILL


def kill_and_resume(aim: str | None = None) -> Trials:
    """Trials, one for each kill: at any moment or, if there is an aim, in what it says."""

    def trials(count: int, seed: int) -> Iterator[str | None]:
        left = count
        for number in itertools.count():
            how = f"{aim or 'any moment'}, seed {seed}, life {number}"
            outcomes = list(_live(number, how, aim, min(left, KILLS_IN_A_LIFE)))
            yield from outcomes
            left -= len(outcomes)
            if not left:
                return

    return trials


def _live(number: int, how: str, aim: str | None, most: int) -> Iterator[str | None]:
    """One life; for each kill in it what went wrong, for the last one what came of the run."""
    # Aims begin with different variants, so that few lives see them all.
    offset = (None, *AIMS).index(aim) * len(VARIANTS) // 4
    variant = VARIANTS[(number + offset) % len(VARIANTS)]
    with TemporaryDirectory() as folder:
        life = Life(Path(folder), variant, random.Random(how))
        kills = 0
        while kills < most and not life.is_over:
            try:
                killed = life.kill_in(aim) if aim else life.kill_anywhere()
            except (CheckpointError, WentWrongError) as error:
                yield f"{how}: {' '.join(variant)}: {error}"
                return
            if killed and kills:
                yield None
            kills += killed
        problem = life.end()
        if problem:
            yield f"{how}: {' '.join(variant)}: {problem}"
        elif kills:
            yield None


PROMISES = (
    Promise(
        "Killed at any moment, a run goes on and ends like one that was not",
        kill_and_resume(),
        400,
    ),
    *(
        Promise(
            f"Killed in {aim}, a run goes on and ends like one that was not",
            kill_and_resume(aim),
            200,
        )
        for aim in AIMS
    ),
)
