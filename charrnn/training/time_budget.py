"""The time of a run that is limited by seconds: its steps are timed, and their number is planned.

The number of steps is planned once the first tenth has been timed, and again whenever the machine
has become so much faster or slower that the run would end at another time.
"""

from __future__ import annotations

import time
from dataclasses import replace

from charrnn.config.training import LONGEST_RUN_STEPS
from charrnn.training.progress import Progress

_FIRST_SHARE, _FIRST_SECONDS = 0.1, 30.0
_CHECK_SHARE, _LEAST_CHECK_SECONDS = 0.02, 0.2
_TOLERATED_SHARE_OF_WHOLE, _TOLERATED_SHARE_OF_REST = 0.01, 0.2
_IDLE_SECONDS = 0.5
_SHORTEST_STEP_SECONDS = 1e-6


class StepTimer:
    """Times steps, without the time in which the process was suspended.

    A step in which the thread that trains did not run for half a second or more was suspended, by
    a signal, a frozen container or a sleeping machine: only its time on the processor counts. Two
    such steps in a row are slow ones, as on a crowded machine or a waiting device, and the second
    counts in full.
    """

    def __init__(self) -> None:
        self._was_idle = False
        self._wall = self._processor = 0.0

    def start(self) -> None:
        """Begin to time a step."""
        self._wall, self._processor = time.perf_counter(), time.thread_time()

    def stop(self) -> float:
        """Return the seconds since :meth:`start`."""
        wall = time.perf_counter() - self._wall
        processor = time.thread_time() - self._processor
        idle = wall - processor >= _IDLE_SECONDS
        suspended = idle and not self._was_idle
        self._was_idle = idle
        return processor if suspended else wall


def plan_steps(progress: Progress, seconds: float) -> Progress:
    """Plan the number of steps of a run, or leave the plan as it is.

    The first plan follows from the speed over a tenth of the time, or over half a minute. Later the
    plan is checked every fiftieth of the time, against the speed over the last twenty-fifth; what
    was timed before weighs ever less. It is made anew if the run would end too early or too late by
    more than a fifth of the time that is left and a hundredth of the whole.

    Args:
        progress: the progress after a step.
        seconds: the training time of the whole run.

    Returns:
        The progress, with a new ``total`` if the plan has changed.
    """
    left = max(seconds - progress.seconds, 0.0)
    if not progress.timed_steps:
        return progress if left else replace(progress, total=progress.step)
    interval = max(_CHECK_SHARE * seconds, _LEAST_CHECK_SECONDS)
    first = min(_FIRST_SHARE * seconds, _FIRST_SECONDS)
    enough = first if progress.total is None else 2 * interval
    at_an_end = not left or progress.step == progress.total
    if progress.timed_seconds < enough and not at_an_end:
        return progress
    each = max(progress.timed_seconds / progress.timed_steps, _SHORTEST_STEP_SECONDS)
    checked = progress.forget_speed(interval)
    if progress.total is not None:
        expected = (progress.total - progress.step) * each
        tolerated = max(_TOLERATED_SHARE_OF_REST * left, _TOLERATED_SHARE_OF_WHOLE * seconds)
        if abs(expected - left) <= tolerated:
            return checked
    more = min(round(left / each), LONGEST_RUN_STEPS - progress.step)
    return replace(checked, total=progress.step + more)
