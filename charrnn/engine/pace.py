"""How much to draw in one call, so that text still streams."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_MOST_AT_ONCE = 4096
_SECONDS_AT_ONCE = 0.01


class Pace:
    """Begins with one character and doubles up to what takes about 10 ms to draw."""

    def __init__(self) -> None:
        self._at_once = 1

    @contextmanager
    def next(self, left: int) -> Iterator[int]:
        """The characters to draw within, of those that are left."""
        began = time.perf_counter()
        yield min(self._at_once, left)
        if time.perf_counter() - began < _SECONDS_AT_ONCE / 2:
            self._at_once = min(2 * self._at_once, _MOST_AT_ONCE)
