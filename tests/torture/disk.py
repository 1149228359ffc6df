"""What charrnn promises of work that is kept on a disk: one that fails, fills, or loses power."""

from __future__ import annotations

from tests.torture.powercut import after_power_cuts
from tests.torture.promise import Promise

PROMISES = (
    Promise(
        "The power fails at any moment: the newest committed checkpoint loads and goes on bit for "
        "bit, and the best model is none worse",
        after_power_cuts,
        5_000,
    ),
)
