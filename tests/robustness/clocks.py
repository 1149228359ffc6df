"""A run is killed, every file's time is changed, the clock jumps back, and the run goes on."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.robustness.here import PLANS, charrnn, scratch
from tests.robustness.standing import go_on, uninterrupted
from tests.robustness.volume import PowerCut, Volume

_DEATHS = range(5, 160)
_LATEST_TIME = 4_000_000_000


def whatever_the_clock_says(count: int, seed: int) -> Iterator[str | None]:
    """Go on with runs under a clock that goes backwards, from files of any time."""
    fates = random.Random(seed)
    with scratch() as folder:
        ends = uninterrupted(folder)
    for _ in range(count):
        volume = Volume()
        volume.dies_at = fates.choice(_DEATHS)
        with scratch() as folder:
            try:
                charrnn(*PLANS[0].train(), folder=folder, disk=volume, stdin=PLANS[0].text)
            except PowerCut:
                _change_times(folder, fates)
            seconds = itertools.count(float(_LATEST_TIME), -3600.0)
            with mock.patch.object(time, "time", side_effect=seconds):
                problem = go_on(folder, ends)
        yield problem and f"seed {seed}, killed after event {volume.dies_at}: {problem}"


def _change_times(folder: Path, fates: random.Random) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (fates.randrange(_LATEST_TIME), fates.randrange(_LATEST_TIME)))
