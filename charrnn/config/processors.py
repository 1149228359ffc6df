"""The processors that this process may use, and the number of threads that follows from them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress

from charrnn.config.control_groups import ControlGroup, list_groups, read_system_file

THREADS = "OMP_NUM_THREADS"
"""The variable with the number of threads that programs with OpenMP start."""


def count_processors() -> int:
    """Count the processors that this process may run on, whatever its share of them is."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def measure_quota() -> float | None:
    """Measure the processors' time that the control groups allow, in processors; None if all."""
    return min(_list_quotas(), default=None)


def measure_processors() -> float:
    """Measure the processors' time that this process may have, in processors."""
    quota = measure_quota()
    return float(count_processors()) if quota is None else min(count_processors(), quota)


def read_wanted_threads() -> int | None:
    """Read the number of threads in OMP_NUM_THREADS; None if it holds none."""
    with suppress(KeyError, ValueError):
        return max(int(os.environ[THREADS].split(",")[0]), 1)
    return None


def count_usual_threads() -> int:
    """Count the threads that a computation in this process may well use.

    That is one for each processor that it may run on, and no more than a container's quota, rounded
    up, or OMP_NUM_THREADS allows.
    """
    quota, wanted = measure_quota(), read_wanted_threads()
    bounds = [count_processors()]
    if quota is not None:
        bounds.append(math.ceil(quota))
    if wanted is not None:
        bounds.append(wanted)
    return max(min(bounds), 1)


def _list_quotas() -> Iterator[float]:
    """List the quotas of the control groups that have one, in processors."""
    for group in list_groups("cpu"):
        quota, period = _read_quota(group)
        # Without a quota the first is "max" or -1.
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def _read_quota(group: ControlGroup) -> tuple[str, str]:
    """Read the microseconds of a group's quota, and of the time for which it is."""
    if group.unified:
        quota, _, period = read_system_file(group.folder / "cpu.max").strip().partition(" ")
        return quota, period
    quota, period = (
        read_system_file(group.folder / f"cpu.cfs_{name}_us").strip()
        for name in ("quota", "period")
    )
    return quota, period
