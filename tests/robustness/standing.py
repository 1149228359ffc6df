"""The files in a run's directory after a mishap, and a check that the run can go on from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from charrnn.checkpoints.checkpoint import Checkpoint, read_checkpoint
from charrnn.errors import CharrnnError
from tests.robustness.here import PLANS, RESUME, RUN, Plan, charrnn, end_of, made

Ends = Mapping[int, tuple[object, ...]]
"""Results of the undisturbed runs of the plans, by their seeds."""


@dataclass(frozen=True)
class Kept:
    """A checkpoint that is kept.

    Attributes:
        digest: of the text it has learned: tells one plan's from another's.
        step: it was taken at.
        nats: its held-out loss, if it is a best one.
    """

    digest: str
    step: int
    nats: float | None = None

    def is_below(self, other: Kept) -> bool:
        """Return whether it cannot replace the other: its text differs or its loss is higher."""
        assert self.nats is not None
        assert other.nats is not None
        return self.digest != other.digest or self.nats > other.nats


@dataclass(frozen=True)
class Standing:
    """The files that are kept of a run.

    Attributes:
        last: the checkpoint to go on from.
        best: the best model.
    """

    last: Kept | None
    best: Kept | None

    def falls_short_of(self, promised: Standing) -> str | None:
        """Return a sentence on the file that is missing or worse than promised; None if none is."""
        last, best = promised.last, promised.best
        if last is None:
            return None
        if self.last is None:
            return "no last checkpoint is left"
        if self.last.digest != last.digest:
            # Another run has taken the place of the one that the promise was given to.
            return None
        if self.last.step < last.step:
            return f"the last checkpoint is of step {self.last.step}, not {last.step}"
        if best and best.digest == last.digest and (self.best is None or self.best.is_below(best)):
            return f"the best model was {best} and is {self.best}"
        return None


def last_of(checkpoint: Checkpoint) -> Kept:
    """Return the facts of a last checkpoint."""
    return Kept(checkpoint.header["corpus"]["digest"], checkpoint.header["progress"]["step"])


def best_of(checkpoint: Checkpoint) -> Kept:
    """Return the facts of a best model."""
    scores = checkpoint.header["scores"]
    digest = checkpoint.header["corpus"]["digest"]
    return Kept(digest, scores["step"], scores["valid_nats_per_char"])


def standing_in(folder: Path) -> Standing:
    """Return the files that are kept in a folder.

    Raises:
        CheckpointError: a file that stands there does not load.
    """
    last, best = folder / RUN.last, folder / RUN.best
    return Standing(
        last_of(read_checkpoint(last)) if last.exists() else None,
        best_of(read_checkpoint(best)) if best.exists() else None,
    )


def uninterrupted(folder: Path, plans: Iterable[Plan] = PLANS) -> Ends:
    """Run each plan undisturbed in its own subfolder and return the results."""
    ends = {}
    for plan in plans:
        alone = folder / f"uninterrupted-{plan.seed}"
        alone.mkdir()
        made(plan, alone)
        ends[plan.seed] = end_of(alone)
    return ends


def go_on(folder: Path, ends: Ends, plan: Plan = PLANS[0]) -> str | None:
    """Resume the run that stands in a folder, or begin a plan if none does.

    Returns:
        What went wrong, or differs from a run that was not interrupted; None if nothing does.
    """
    seed = plan.seed
    try:
        if (folder / RUN.last).exists():
            seed = read_checkpoint(folder / RUN.last).header["train"]["seed"]
            ended = charrnn(*RESUME, folder=folder)
        else:
            ended = charrnn(*plan.train(), folder=folder, stdin=plan.text)
        if ended.code:
            return f"going on ended with {ended.code}: {ended.said}"
        if end_of(folder) != ends[seed]:
            return "going on did not end like a run that was not interrupted"
    except CharrnnError as problem:
        return str(problem)
    if litter := litter_in(folder):
        return f"going on left {', '.join(litter)}"
    return None


def litter_in(folder: Path) -> list[str]:
    """Temporary files that were left behind."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.tmp"))
