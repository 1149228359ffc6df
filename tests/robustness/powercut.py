"""The power fails at any moment of a run, and the disk keeps what it was told to, and no more."""

from __future__ import annotations

import functools
import hashlib
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.errors import CharrnnError
from tests.robustness.here import PLANS, RESUME, RUN, charrnn, scratch
from tests.robustness.standing import (
    Ends,
    Kept,
    Standing,
    best_of,
    go_on,
    last_of,
    standing_in,
    uninterrupted,
)
from tests.robustness.volume import (
    Committed,
    Event,
    Files,
    PowerCut,
    Volume,
    outcomes,
    write_out,
)

_DEATHS = range(5, 120)
"""Numbers of events after which the first process dies; a full run has more."""


@dataclass(frozen=True)
class Aftermath:
    """The state that a power cut left, and the problem with it, if any."""

    standing: Standing
    problem: str | None


def after_power_cuts(count: int, seed: int) -> Iterator[str | None]:
    """Cut the power of a run that is killed, resumed, and replaced by another."""
    with scratch() as folder:
        examine = Examiner(uninterrupted(folder))
    return itertools.islice(_after_power_cuts(count, seed, examine), count)


def _after_power_cuts(count: int, seed: int, examine: Examiner) -> Iterator[str | None]:
    for draw in itertools.count():
        fates = random.Random(f"{seed} {draw}")
        with scratch() as folder:
            events = record(folder, fates.choice(_DEATHS))
        for cut, files in _cuts(events, count, fates):
            left = examine(files)
            problem = left.problem or left.standing.falls_short_of(_promised(events[:cut]))
            yield problem and f"seed {seed}, {draw}: power cut after event {cut}: {problem}"


def record(folder: Path, dies_at: int) -> Sequence[Event]:
    """Return all requests to a disk by a run that is killed, resumed, and replaced by another."""
    volume = Volume()
    first, second = PLANS
    with _noting_what_is_kept(volume):
        volume.dies_at = dies_at
        try:
            charrnn(*first.train(), folder=folder, disk=volume, stdin=first.text)
        except PowerCut:
            volume.dies_at = None
        again = RESUME if (folder / RUN.last).exists() else first.train()
        for command, text in ((again, first.text), (second.train("--overwrite"), second.text)):
            ended = charrnn(*command, folder=folder, disk=volume, stdin=text)
            assert not ended.code, ended.said
    return volume.events


@contextmanager
def _noting_what_is_kept(volume: Volume) -> Iterator[None]:
    def noting(
        save: Callable[[RunDirectory, Checkpoint], None], describe: Callable[[Checkpoint], Kept]
    ) -> Callable[[RunDirectory, Checkpoint], None]:
        @functools.wraps(save)
        def noted(run: RunDirectory, checkpoint: Checkpoint) -> None:
            save(run, checkpoint)
            volume.events.append(Committed(describe(checkpoint)))

        return noted

    with (
        mock.patch.object(RunDirectory, "save_last", noting(RunDirectory.save_last, last_of)),
        mock.patch.object(RunDirectory, "save_best", noting(RunDirectory.save_best, best_of)),
    ):
        yield


def _promised(events: Sequence[Event]) -> Standing:
    """Return the files that the program was told are safely stored."""
    kept = [event.what for event in events if isinstance(event, Committed)]
    last = [one for one in kept if one.nats is None]
    best = [one for one in kept if one.nats is not None]
    return Standing(last[-1] if last else None, best[-1] if best else None)


def _cuts(events: Sequence[Event], count: int, fates: random.Random) -> Iterator[tuple[int, Files]]:
    """Yield moments with contents that the disk may have then: all, or one at each of ``count``."""
    moments = range(len(events) + 1)
    for cut in moments if count > len(moments) else sorted(fates.sample(moments, count)):
        possible = list(outcomes(events[:cut], fates))
        for files in possible if count > len(moments) else [fates.choice(possible)]:
            yield cut, files


class Examiner:
    """Checks the files that a power cut left and resumes from them, from equal files only once."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._seen: dict[bytes, Aftermath] = {}

    def __call__(self, files: Files) -> Aftermath:
        key = hashlib.sha256(repr(sorted(files.items())).encode()).digest()
        if key not in self._seen:
            self._seen[key] = self._examine(files)
        return self._seen[key]

    def _examine(self, files: Files) -> Aftermath:
        with scratch() as folder:
            write_out(files, folder)
            try:
                standing = standing_in(folder)
            except CharrnnError as problem:
                return Aftermath(Standing(None, None), str(problem))
            if standing.last is None and RunDirectory(folder / RUN.path).begun:
                return Aftermath(standing, "a run has begun and cannot go on")
            return Aftermath(standing, go_on(folder, self._ends))
