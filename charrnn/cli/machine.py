"""The machine that the program runs on: its processor, its memory, its disk."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")
_LIMIT = Path("/sys/fs/cgroup/memory.max")
_USED = Path("/sys/fs/cgroup/memory.current")


def processor() -> str:
    """What the processor calls itself."""
    named = re.search(r"^model name\s*: *(.+)$", _read(_CPUINFO), re.MULTILINE)
    return named[1] if named else platform.processor() or platform.machine()


def memory_bytes() -> int | None:
    """The memory of the machine, or of the container if that is allowed less; None if unknown."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    return min(whole, _count(_LIMIT) or whole)


def memory_available_bytes() -> int | None:
    """Memory that a program can still have without swapping; None where the system does not say."""
    found = re.search(r"^MemAvailable: *(\d+) kB$", _read(_MEMINFO), re.MULTILINE)
    if not found:
        return None
    available = int(found[1]) * 1024
    limit, used = _count(_LIMIT), _count(_USED)
    return available if limit is None or used is None else min(available, max(limit - used, 0))


def disk_free_bytes(folder: Path) -> int | None:
    """Room for files of this user on the disk that a folder is on; None if unknown."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _count(file: Path) -> int | None:
    """The number that a file of the system holds, if it holds one."""
    text = _read(file).strip()
    return int(text) if text.isdecimal() else None


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
