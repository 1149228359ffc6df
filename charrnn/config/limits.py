"""Limits on the memory and on the bytes of files that a process takes, and how a user raises them.

What would go beyond a limit is refused from its sizes, before anything is allocated or copied. A
limit is raised by an environment variable, whose value is a number of bytes: 8000000000, or 8G.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

from charrnn.config.control_groups import list_groups, read_system_file
from charrnn.errors import Remedy, UsageError

if sys.platform != "win32":
    import resource

MEMORY = "CHARRNN_MEMORY"
"""The variable with the bytes of memory that may be used; else those that are available."""

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def read_limit(variable: str) -> int | None:
    """Read the number of bytes in an environment variable; None if it is not set.

    Raises:
        UsageError: it is no number of bytes.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([KMGT]?)(?:i?B)?", value, re.IGNORECASE)
    if not found:
        raise UsageError(
            f"the environment variable {variable} is {value!r:.60}; it must be a number of bytes, "
            "such as 8000000000 or 8G"
        )
    return int(float(found[1]) * _UNITS[found[2].upper()])


def raise_limit(variable: str, size: int) -> Remedy:
    """Return the remedy of raising a limit to at least a size in bytes."""
    gigabytes = -(-size // _UNITS["G"])
    return Remedy(f"allow it by setting {variable}={gigabytes}G in the environment")


def check_memory(size: int, subject: str, *remedies: Remedy) -> None:
    """Raise UsageError if memory that would be taken at once is more than is available.

    Args:
        size: the least bytes that would be taken.
        subject: what would take them.
        remedies: ways to take less.
    """
    allowed = read_limit(MEMORY)
    if allowed is None:
        allowed = measure_available_bytes()
    if allowed is not None and size > allowed:
        raise UsageError(
            f"{subject} takes at least {format_size(size)} of memory, and {format_size(allowed)} "
            "may be used",
            *remedies,
            raise_limit(MEMORY, size),
        )


def format_size(size: int) -> str:
    """Format a number of bytes for people.

    >>> format_size(7_300_000_000), format_size(512 << 10)
    ('6.8 GiB', '0.5 MiB')
    """
    if size >= _UNITS["G"]:
        return f"{size / _UNITS['G']:,.1f} GiB"
    return f"{size / _UNITS['M']:,.1f} MiB"


def measure_memory_bytes() -> int | None:
    """Measure the memory of the machine, or of the container if its limit is lower.

    Returns:
        None if the system does not tell.
    """
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    return min([whole, *(limit for limit, _ in _list_group_limits())])


def measure_available_bytes() -> int | None:
    """Measure the memory that this process can still take without swapping.

    It is the least of what the machine, the control groups of the process, and its own limits on
    addresses and data leave; None if the system tells none of them.
    """
    found = re.search(r"^MemAvailable: *(\d+) kB$", read_system_file("proc/meminfo"), re.MULTILINE)
    free = [int(found[1]) * 1024] if found else []
    free += [limit - used for limit, used in _list_group_limits()]
    free += [limit - used for limit, used in _list_process_limits()]
    return max(min(free), 0) if free else None


def _list_group_limits() -> Iterator[tuple[int, int]]:
    """List the limits of the control groups of this process, and the bytes that each uses.

    Pages of files are left out of what is used, as the system drops them where memory is short.
    """
    for group in list_groups("memory"):
        limit, used, files = (
            ("memory.max", "memory.current", "")
            if group.unified
            else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
        )
        numbers = [read_system_file(group.folder / name).strip() for name in (limit, used)]
        if all(number.isdecimal() for number in numbers):
            statistics = read_system_file(group.folder / "memory.stat")
            names = f"{files}(?:in)?active_file"
            dropped = sum(map(int, re.findall(rf"^{names} (\d+)$", statistics, re.MULTILINE)))
            yield int(numbers[0]), max(int(numbers[1]) - dropped, 0)


def _list_process_limits() -> Iterator[tuple[int, int]]:
    """List the limits of this process on addresses and data, and the bytes that it has."""
    if sys.platform == "win32":
        return
    status = read_system_file("proc/self/status")
    for limit, name in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        most, _ = resource.getrlimit(limit)
        found = re.search(rf"^{name}:\s*(\d+) kB$", status, re.MULTILINE)
        if most != resource.RLIM_INFINITY:
            yield most, int(found[1]) * 1024 if found else 0
