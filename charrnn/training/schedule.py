"""How long a run is, and the learning rate at each of its steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

_LARGEST_WARMUP_SHARE = 0.1


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up to a peak, then linear decay to zero.

    A short run has a shorter warm-up: at most a tenth of it. Where the length becomes known only
    after some steps, the rate may step up to what it then ought to be.

    Attributes:
        peak: the largest learning rate.
        warmup: steps of rising rate, before a short run shortens them.
        total: steps of the whole run; None while it is not known yet, when nothing decays.
    """

    peak: float
    warmup: int
    total: int | None

    def learning_rate(self, step: int) -> float:
        """The rate of a step, counted from 0. The last step's rate is above zero by one part."""
        warmup = self.warmup
        if self.total is not None:
            warmup = min(warmup, int(self.total * _LARGEST_WARMUP_SHARE))
        rise = (step + 1) / warmup if step < warmup else 1.0
        if self.total is None:
            return self.peak * rise
        fall = (self.total - step) / max(self.total - warmup, 1)
        return self.peak * max(min(rise, fall), 0.0)

    def lasting(self, total: int) -> Schedule:
        """The same schedule with its length known."""
        return replace(self, total=total)
