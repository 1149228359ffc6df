"""Promises of charrnn about work on a disk that fails, fills or loses power."""

from __future__ import annotations

from tests.robustness.clocks import whatever_the_clock_says
from tests.robustness.mounted import on_real_disks
from tests.robustness.powercut import after_power_cuts
from tests.robustness.promise import Promise
from tests.robustness.refusals import when_a_disk_refuses
from tests.robustness.writers import many_at_once

PROMISES = (
    Promise(
        "The power fails: the newest committed checkpoint loads and goes on bit for bit, and the "
        "best model is none worse",
        after_power_cuts,
        5_000,
    ),
    Promise(
        "A disk refuses any request of a save: exit 7, what was kept stays, nothing is left behind",
        when_a_disk_refuses,
        2_000,
    ),
    Promise(
        "A real disk that is too small is found out before the first step; one that fills up or "
        "turns read-only costs nothing that was saved",
        on_real_disks,
        300,
    ),
    Promise(
        "Of twenty processes started on one directory one trains; when it is killed the next may",
        many_at_once,
        10,
    ),
    Promise(
        "A clock that jumps back and files of any time change nothing",
        whatever_the_clock_says,
        200,
    ),
)
