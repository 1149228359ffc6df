"""A disk refuses what a run asks of it, at the first request, the second, the third, and so on."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charrnn.errors import CharrnnError
from tests.robustness.here import PLANS, RESUME, RUN, Ended, Plan, charrnn, scratch
from tests.robustness.standing import Ends, go_on, litter_in, standing_in, uninterrupted
from tests.robustness.volume import Files, PowerCut, Volume, read_in
from tests.support.disks import FAULTS, NEVER, Fault, FaultyDisk

_DIES_AT = 90
"""Events that the run which is resumed has lived to see, several saves among them."""


@dataclass(frozen=True)
class Situation:
    """A situation in which a disk may begin to refuse.

    Attributes:
        name: what happens.
        folder: what is there before; not to be changed.
        plan: what is to be made.
        command: what is done about it then.
    """

    name: str
    folder: Path
    plan: Plan
    command: tuple[str, ...]

    def end(self, folder: Path, disk: FaultyDisk) -> Ended:
        """Run the situation's command in an empty folder, on a disk."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return charrnn(*self.command, folder=folder, disk=disk, stdin=self.plan.text)


def when_a_disk_refuses(count: int, seed: int) -> Iterator[str | None]:
    """Begin, resume and replace a run while a disk refuses something."""
    with scratch() as folder:
        ends = uninterrupted(folder)
        tries = [
            (situation, name, nth)
            for situation in _situations(folder)
            for name in FAULTS
            for nth in range(1, _requests(situation) + 1)
        ]
        random.Random(seed).shuffle(tries)
        for situation, name, nth in itertools.islice(tries, count):
            problem = _try(situation, FAULTS[name], nth, ends)
            yield problem and f"{situation.name}, disk {name} at request {nth}: {problem}"


def _situations(folder: Path) -> Iterator[Situation]:
    first, second = PLANS
    for name in ("nothing", "whole", "cut short"):
        (folder / name).mkdir()
    charrnn(*first.train(), folder=folder / "whole", stdin=first.text)
    volume = Volume()
    volume.dies_at = _DIES_AT
    try:
        charrnn(*first.train(), folder=folder / "cut short", disk=volume, stdin=first.text)
    except PowerCut:
        yield Situation("resumed", folder / "cut short", first, RESUME)
    yield Situation("begun", folder / "nothing", first, first.train())
    yield Situation("replaced", folder / "whole", second, second.train("--overwrite"))


def _requests(situation: Situation) -> int:
    """Return the number of requests if none is refused."""
    disk = FaultyDisk(FAULTS["failed"], NEVER)
    with scratch() as folder:
        ended = situation.end(folder, disk)
    assert not ended.code, ended.said
    return disk.requests


def _try(situation: Situation, fault: Fault, nth: int, ends: Ends) -> str | None:
    """Return the avoidable problem when a disk refuses its n-th request; None if there is none."""
    disk = FaultyDisk(fault, nth)
    with scratch() as folder:
        ended = situation.end(folder, disk)
        expected = fault.exit_code if disk.refused else 0
        if ended.code != expected:
            return f"{disk.refused} was refused: ended with {ended.code}: {ended.said}"
        if disk.refused and "charrnn: " not in ended.said:
            return f"said no more than: {ended.said}"
        # What cannot be removed now is removed when the run goes on.
        removes = not fault.keeps_litter and disk.refused != "remove"
        if removes and (litter := litter_in(folder)):
            return f"left {', '.join(litter)}"
        try:
            problem = standing_in(folder).falls_short_of(standing_in(situation.folder))
        except CharrnnError as error:
            return str(error)
        if removes:
            problem = problem or _spoiled(read_in(situation.folder), read_in(folder))
        return problem or go_on(folder, ends, situation.plan)


def _spoiled(before: Files, after: Files) -> str | None:
    """Return a sentence on files that changed although the last checkpoint did not, or None."""
    last = str(RUN.last)
    if before.get(last) != after.get(last):
        return None
    may_change = {str(RUN.log), str(RUN.best)} if last in before else set()
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    return f"changed {', '.join(sorted(changed - may_change))}" if changed - may_change else None
