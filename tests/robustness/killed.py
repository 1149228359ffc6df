"""Killed at any instant, a run goes on and ends, bit for bit, like one that never was killed.

Real processes, killed by SIGKILL several times in the life of one run.
"""

import itertools
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from charrnn.errors import CheckpointError
from tests.robustness.life import AIMS, VARIANTS, Life
from tests.robustness.promise import Promise, Trials
from tests.support.forked import Forked
from tests.support.program import explain

KILLS_IN_A_LIFE = 6


class WentWrongError(Exception):
    """A process did not go on with its run."""


def kill_and_resume(aim: str | None = None) -> Trials:
    """Return trials, one for each kill: at any moment, or in the activity that the aim names."""

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
    """Yield a result for each kill of one run; the last one covers the run's end as well."""
    # Aims begin with different variants, so that few lives see them all.
    offset = (None, *AIMS).index(aim) * len(VARIANTS) // 4
    variant = VARIANTS[(number + offset) % len(VARIANTS)]
    with TemporaryDirectory() as folder:
        life = Life(Path(folder), variant, random.Random(how))
        kills = 0
        while kills < most and not life.is_over:
            try:
                killed = _kill_in(aim, life) if aim else _kill_anywhere(life)
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


def _kill_anywhere(life: Life) -> bool:
    """Begin, or go on, and kill at a random moment; return whether the process died of that.

    One kill in four comes while the program begins, the others after a step was saved.
    """
    process = life.start("--save-every", life.chance.choice(("0", "0.02", "1000")))
    if life.chance.random() < 0.25:
        time.sleep(life.chance.uniform(0, 0.2))
    else:
        life.wait_for_step(process)
    return _kill(process)


def _kill_in(aim: str, life: Life) -> bool:
    """Begin, or go on, and kill in the activity ``aim``; return whether the process died in it."""
    process = life.start("--save-every", "0")
    life.wait_for(aim, process)
    return _kill(process) and AIMS[aim](life.watched)


def _kill(process: Forked) -> bool:
    process.signal(signal.SIGKILL)
    result = process.result()
    if result.returncode not in (0, -signal.SIGKILL):
        raise WentWrongError(explain(result))
    return result.returncode == -signal.SIGKILL


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
