"""The number of threads of each training step, chosen by the time that steps take.

Threads that wait for one another are slow where other programs, or a container's quota, take the
processors from some of them, and small steps are slower on several threads anywhere. So other
numbers of threads are tried again and again, for a small share of the time. This is for steps whose
results do not depend on the number.
"""

from __future__ import annotations

_SLICE_SECONDS = 0.02
_ROUNDS = 2
_SHORTEST_HOLD, _LONGEST_HOLD = 30.0, 120.0
_WORTH_MORE, _WORTH_FEWER = 1.08, 1.0
_SLOWED = 0.7


class TeamSize:
    """Chooses a number of threads: a power of 2 below the most, or the most.

    In a trial the present number and one beside it take turns, for 0.02 seconds or a step each.
    More threads are taken for a gain of 8%, fewer for any. At first a trial follows another until
    none finds a better number. Later they begin after 30 to 120 times as long as the other number
    had its turns: the longer, the more have found nothing; and early where steps have become slower
    by 30%.

    Args:
        most: number of threads.
    """

    def __init__(self, most: int) -> None:
        self._sizes = sorted({1 << n for n in range(most.bit_length())} | {most})
        self._best = len(self._sizes) - 1
        self._rival = self._best - 1
        self._slices: list[int] = []
        self._sums: dict[int, list[float]] = {}
        self._present = self._best
        self._seconds = self._work = 0.0
        self._usual_rate = 0.0
        self._held = self._rival_seconds = 0.0
        self._hold = 0.0

    @property
    def threads(self) -> int:
        """The number of threads for the next step."""
        return self._sizes[self._present]

    def record(self, seconds: float, work: float) -> None:
        """Record a step on :attr:`threads` threads.

        Args:
            seconds: its duration.
            work: its size, in a unit that is always the same.
        """
        if len(self._sizes) == 1:
            return
        self._seconds += seconds
        self._work += work
        if self._seconds < _SLICE_SECONDS:
            return
        if self._slices:
            self._end_slice()
        else:
            self._hold_on()
        self._seconds = self._work = 0.0

    def _hold_on(self) -> None:
        rate = self._work / self._seconds
        self._held += self._seconds
        hold = _SHORTEST_HOLD if rate < _SLOWED * self._usual_rate else self._hold
        if self._held >= min(hold, self._hold) * self._rival_seconds:
            self._slices = [self._rival, self._best] * _ROUNDS
            self._sums = {self._rival: [0.0, 0.0], self._best: [0.0, 0.0]}
            self._present = self._slices[0]

    def _end_slice(self) -> None:
        sums = self._sums[self._slices.pop(0)]
        sums[0] += self._work
        sums[1] += self._seconds
        self._present = self._slices[0] if self._slices else self._best
        if not self._slices:
            self._decide()

    def _decide(self) -> None:
        rates = {size: work / seconds for size, (work, seconds) in self._sums.items()}
        self._rival_seconds = self._sums[self._rival][1]
        step = self._rival - self._best
        worth = _WORTH_MORE if step > 0 else _WORTH_FEWER
        if rates[self._rival] > worth * rates[self._best]:
            self._best = self._rival
            self._hold = min(self._hold, _SHORTEST_HOLD)
        else:
            self._hold = min(max(2 * self._hold, _SHORTEST_HOLD), _LONGEST_HOLD)
            step = -step
        # The next rival lies further on, or on the other side.
        further = self._best + step
        self._rival = further if 0 <= further < len(self._sizes) else self._best - step
        self._present = self._best
        self._usual_rate = rates[self._best]
        self._held = 0.0
