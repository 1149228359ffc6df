"""What charrnn promises of work that is kept on a disk: one that fails, fills, or loses power."""

from __future__ import annotations

from tests.torture.powercut import after_power_cuts
from tests.torture.promise import Promise
from tests.torture.refusals import when_a_disk_refuses

PROMISES = (
    Promise(
        "The power fails at any moment: the newest committed checkpoint loads and goes on bit for "
        "bit, and the best model is none worse",
        after_power_cuts,
        5_000,
    ),
    Promise(
        "A disk refuses any request of a save: exit 7, what was kept stays, nothing is left behind",
        when_a_disk_refuses,
        2_000,
    ),
)
