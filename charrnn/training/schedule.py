"""The learning-rate schedule: linear warm-up, then linear decay."""

from __future__ import annotations

from dataclasses import dataclass, replace

_LARGEST_WARMUP_SHARE = 0.1


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up to a peak, then linear decay to zero.

    The warm-up takes at most a tenth of the run. When the length of the run becomes known only
    after some steps, or changes, the learning rate may jump to its scheduled value.

    Attributes:
        peak: the largest learning rate.
        warmup: steps of the warm-up; a short run has fewer.
        total: steps of the whole run; None while it is not known, so that nothing decays.
    """

    peak: float
    warmup: int
    total: int | None

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0; that of the last is above zero."""
        warmup = self.warmup
        if self.total is not None:
            warmup = min(warmup, int(self.total * _LARGEST_WARMUP_SHARE))
        rise = (step + 1) / warmup if step < warmup else 1.0
        if self.total is None:
            return self.peak * rise
        fall = (self.total - step) / max(self.total - warmup, 1)
        return self.peak * max(min(rise, fall), 0.0)

    def with_total(self, total: int) -> Schedule:
        """Return the same schedule with its total number of steps known."""
        return replace(self, total=total)
