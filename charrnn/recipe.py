"""How long to train when nobody says: from the size of the corpus."""

from __future__ import annotations

EPOCHS = 5
LEAST_STEPS = 1_000
MOST_STEPS = 20_000


def default_steps(windows_per_epoch: int) -> int:
    """Optimiser steps for a corpus with that many windows in an epoch.

    Five epochs serve a text of a megabyte or so. A short text needs more passes before its words
    come out right (the best evaluation is kept, so passes too many cost time only), and a huge one
    has taught a model of the default size what it can hold long before five.
    """
    return min(max(EPOCHS * windows_per_epoch, LEAST_STEPS), MOST_STEPS)
