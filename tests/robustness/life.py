"""One run from its beginning to its end, interrupted on the way, and how it is seen from outside.

What it is interrupted in is told by the file that a save is gathered in, and by where the newest
checkpoint stands.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from charrnn.checkpoints.checkpoint import read_header
from tests.conftest import SENTENCES
from tests.robustness.state import State, find_differences, state_of
from tests.support.forked import Forked, forked
from tests.support.program import explain

CORPUS = "\n".join(SENTENCES * 10)
STEPS = 40
STEPS_PER_EVALUATION = 4
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
    (*_DIVERGING, "--lr", "7", "--seed", "8"),
    (*_DIVERGING, "--lr", "5", "--seed", "3"),
)

_MOMENT_SECONDS = 0.0005


@dataclass(frozen=True)
class Watched:
    """A run seen from outside its process."""

    run: Path

    @property
    def progress(self) -> dict[str, Any] | None:
        """The progress of its newest checkpoint; None before there is one."""
        last = self.run / "last.safetensors"
        if not last.exists():
            return None
        _, header = read_header(last)
        progress: dict[str, Any] = header["progress"]
        return progress

    def stands_at(self, step: int) -> bool:
        """Return whether it has been saved at that step or a later one."""
        progress = self.progress
        return progress is not None and progress["step"] >= step

    def is_saving(self) -> bool:
        """Return whether the temporary file of the next checkpoint exists."""
        return any(self.run.glob(".last.safetensors.*.tmp"))

    def is_evaluating(self) -> bool:
        """Return whether it was saved at a due evaluation, and not yet after it."""
        p = self.progress
        return p is not None and p["step"] % STEPS_PER_EVALUATION == 0 and _is_unevaluated(p)

    def is_at_an_epochs_edge(self) -> bool:
        """Return whether it was last saved after the last window of an epoch."""
        p = self.progress
        return p is not None and p["step"] > 0 and p["window"] == 0


def _is_unevaluated(progress: dict[str, Any]) -> bool:
    return bool(progress["evaluated_step"] < progress["step"])


AIMS: dict[str, Callable[[Watched], bool]] = {
    "a save": Watched.is_saving,
    "an evaluation": Watched.is_evaluating,
    "an epoch's edge": Watched.is_at_an_epochs_edge,
}


def train_in(folder: Path, variant: tuple[str, ...] = VARIANTS[0]) -> None:
    """Train a variant in folder/run, to its end.

    Raises:
        ValueError: it did not come to it.
    """
    (folder / "corpus.txt").write_text(CORPUS)
    result = forked("train", "corpus.txt", "--run", "run", *SETTINGS, *variant, cwd=folder)
    if result.returncode:
        raise ValueError(f"{' '.join(variant)}: {explain(result)}")


@cache
def expected_of(variant: tuple[str, ...]) -> State:
    """The state in which a variant ends if nothing happens to it."""
    with TemporaryDirectory() as name:
        train_in(Path(name), variant)
        state = state_of(Path(name, "run"))
    went_back = any(record["event"] == "rollback" for record in state["log"])
    if went_back != ("rollback" in variant):
        raise ValueError(f"{' '.join(variant)}: it was not to go back, or it was and did not")
    return state


class Life:
    """One run, from its beginning to its end.

    Args:
        folder: where it takes place.
        variant: options of the run.
        chance: decides when it is interrupted.
    """

    def __init__(self, folder: Path, variant: tuple[str, ...], chance: random.Random) -> None:
        self.folder = folder
        self.variant = variant
        self.chance = chance
        self.run = folder / "run"
        self.watched = Watched(self.run)
        (folder / "corpus.txt").write_text(CORPUS)

    @property
    def is_over(self) -> bool:
        """True once the run has taken its last step, so that no moment is left to kill it in."""
        return self.watched.stands_at(STEPS)

    def end(self) -> str | None:
        """Go on to the end undisturbed; return the differences from a run that was never killed."""
        result = self.start().result()
        if result.returncode:
            return explain(result)
        different = find_differences(state_of(self.run), expected_of(self.variant))
        litter = [path.name for path in self.run.glob(".*.tmp")]
        return f"differs in {', '.join(different + litter)[:300]}" if different or litter else None

    def start(self, *more: str, first: Callable[[], object] | None = None) -> Forked:
        """Begin, or go on, with some more options."""
        resumed = ("train", "--resume", "--run", "run", *more)
        new = ("train", "corpus.txt", "--run", "run", *SETTINGS, *self.variant, *more)
        begun = (self.run / "last.safetensors").exists()
        return Forked(*(resumed if begun else new), cwd=self.folder, first=first)

    def wait_for_step(self, process: Forked) -> None:
        """Wait until a step that is still to be taken is saved, and some moments more."""
        after = self._later_step()
        self._wait(process, lambda: self.watched.stands_at(after))
        time.sleep(self.chance.uniform(0, 0.03))

    def wait_for(self, aim: str, process: Forked) -> None:
        """Wait until, after a step that is still to be taken, it is seen in something."""
        after = self._later_step()
        self._wait(process, lambda: self.watched.stands_at(after) and AIMS[aim](self.watched))

    def _later_step(self) -> int:
        progress = self.watched.progress
        return self.chance.randint(progress["step"] if progress else 0, STEPS)

    def _wait(self, process: Forked, seen: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while process.running and not seen() and time.monotonic() < deadline:
            time.sleep(_MOMENT_SECONDS)
