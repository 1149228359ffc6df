"""Real disks that are too small, fill up, or turn read-only: file systems in memory.

They are mounted in a namespace of their own, where that takes no rights and nobody else sees them.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import read_checkpoint
from charrnn.errors import StorageError
from charrnn.files import Disk
from tests.robustness.here import PLANS, RESUME, RUN, WIDE, Ended, Plan, charrnn, scratch
from tests.robustness.standing import Ends, go_on, litter_in, uninterrupted
from tests.robustness.volume import PowerCut, Volume, read_in
from tests.support.disks import WatchedDisk

_NAMESPACE = ("unshare", "--map-root-user", "--mount")
_PAGE_KB = 4
_SIZES_KB = range(_PAGE_KB, 1000, _PAGE_KB)
_ROOMY_KB = 4096
_REQUESTS = 100
"""A lower bound on the requests of a run."""


def can_mount() -> bool:
    """Return whether an ordinary user may mount a file system in a namespace of their own here."""
    try:
        command = [*_NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def on_real_disks(count: int, seed: int) -> Iterator[str | None]:
    """Train on disks that are too small, or soon will be; try none if mounting is not allowed."""
    if not can_mount():
        sys.stderr.write("no file system can be mounted here: real disks are not tried\n")
        return
    command = [*_NAMESPACE, sys.executable, "-m", "tests.robustness.mounted", str(count), str(seed)]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    yield from json.loads(result.stdout)


class FillingDisk(WatchedDisk):
    """A disk that somebody else keeps filling to the brim, from its n-th request on."""

    def __init__(self, nth: int, filler: Path) -> None:
        self.left = nth
        self.filler = filler

    def meet(self, request: str, *given: Any) -> None:
        self.left -= 1
        if self.left <= 0:
            with suppress(OSError), self.filler.open("ab", buffering=0) as stream:
                while stream.write(bytes(1 << 10)):
                    pass


def _tries(count: int, seed: int) -> Iterator[str | None]:
    fates = random.Random(seed)
    with scratch() as folder:
        ends = uninterrupted(folder, (*PLANS, WIDE))
    for number in range(count):
        kind = (_too_small, _filling, _read_only)[number % 3]
        with scratch() as disk:
            problem = kind(disk, fates, ends)
        yield problem and f"seed {seed}, try {number}: {problem}"


def _too_small(disk: Path, fates: random.Random, ends: Ends) -> str | None:
    size = fates.choice(_SIZES_KB)
    with _mounted(disk, size):
        ended = _train(disk, plan=WIDE)
        if ended.code == StorageError.exit_code:
            last = disk / RUN.last
            if last.exists() and read_checkpoint(last).header["progress"]["step"]:
                return f"{size} KB were found too few after the first step only"
        elif ended.code:
            return f"{size} KB ended with {ended.code}: {ended.said}"
        if litter := litter_in(disk):
            return f"{size} KB: left {', '.join(litter)}"
        _mount(disk, "remount", _ROOMY_KB)
        return go_on(disk, ends, WIDE)


def _filling(disk: Path, fates: random.Random, ends: Ends) -> str | None:
    nth = fates.randrange(1, _REQUESTS)
    with _mounted(disk, _ROOMY_KB):
        ended = _train(disk, FillingDisk(nth, disk / "filler"))
        if ended.code != StorageError.exit_code:
            return f"full at request {nth}: ended with {ended.code}: {ended.said}"
        if litter := litter_in(disk):
            return f"full at request {nth}: left {', '.join(litter)}"
        (disk / "filler").unlink()
        return go_on(disk, ends)


def _read_only(disk: Path, fates: random.Random, ends: Ends) -> str | None:
    volume = Volume()
    volume.dies_at = fates.randrange(_REQUESTS)
    with _mounted(disk, _ROOMY_KB):
        with suppress(PowerCut):
            _train(disk, volume)
        before = read_in(disk)
        _mount(disk, "remount,ro")
        has_begun = (disk / RUN.last).exists()
        ended = charrnn(*RESUME, folder=disk) if has_begun else _train(disk)
        if ended.code != StorageError.exit_code:
            return f"read-only after event {volume.dies_at}: ended with {ended.code}: {ended.said}"
        if read_in(disk) != before:
            return f"read-only after event {volume.dies_at}: something was changed"
        _mount(disk, "remount,rw")
        return go_on(disk, ends)


def _train(folder: Path, disk: Disk | None = None, plan: Plan = PLANS[0]) -> Ended:
    return charrnn(*plan.train(), folder=folder, disk=disk, stdin=plan.text)


@contextmanager
def _mounted(folder: Path, size_kb: int) -> Iterator[None]:
    _mount(folder, "rw", size_kb)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def _mount(folder: Path, options: str, size_kb: int = _ROOMY_KB) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"{options},size={size_kb}k", "none", str(folder)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(list(_tries(*map(int, sys.argv[1:])))))
