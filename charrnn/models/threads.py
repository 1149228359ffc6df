"""The threads of this process: how many really come, and why there are fewer than were wanted.

OpenMP may give torch fewer threads than it asks for, with which some of torch's products are wrong;
and where the system allows no more threads, OpenMP ends the process. So they are counted and
started before torch computes.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from charrnn.kernels.torch_calls import SEMAPHORE_BYTES, find_openmp

if sys.platform != "win32":
    import resource

_TASKS = Path("/proc/self/task")
_MOST_WAITS, _WAIT_SECONDS = 100, 0.001
_OPENMP_LIMITS = (
    "OMP_THREAD_LIMIT",
    "KMP_DEVICE_THREAD_LIMIT",
    "KMP_ALL_THREADS",
    "OMP_MAX_ACTIVE_LEVELS",
    "OMP_DYNAMIC",
)
_STACK_SIZES = ("OMP_STACKSIZE", "GOMP_STACKSIZE")
_STACK_SHIFTS = {"B": 0, "": 10, "K": 10, "M": 20, "G": 30}
_ATTRIBUTES_BYTES = 128
"""Bytes that hold a pthread_attr_t on any system."""
_PIDS_LIMITS = (Path("/sys/fs/cgroup/pids.max"), Path("/sys/fs/cgroup/pids/pids.max"))


@dataclass
class _Threads:
    """The threads of this process.

    Attributes:
        started: the number that OpenMP has started; it keeps them.
        shortage: why there are fewer than were wanted last; empty if there are not.
    """

    started: int = 1
    shortage: str = ""


_threads = _Threads()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread for a while."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def explain_threads() -> str:
    """Tell why torch has fewer threads than were wanted; empty if it has all."""
    return _threads.shortage


def start_threads(wanted: int) -> None:
    """Start the threads that torch will use, and let it use as many as there are."""
    openmp = find_openmp()
    allowed = wanted if wanted <= _threads.started else count_allowed_threads(wanted)
    given = openmp.start_threads(allowed) if openmp and allowed > 1 else allowed
    _threads.started = max(_threads.started, given)
    _threads.shortage = ""
    if given < wanted:
        torch.set_num_threads(given)
        causes = list_openmp_limits() if given < allowed else list_system_limits()
        giver = "OpenMP gives" if given < allowed else "the system allows"
        _threads.shortage = f"{giver} {given} of {wanted} threads" + (
            f" ({', '.join(causes)})" if causes else ""
        )


def count_allowed_threads(wanted: int) -> int:
    """Count the threads that the system allows this process, this one included.

    They are threads of the system, which need less memory than those of Python: one of these that
    lacks memory for its first steps is waited for without end. Their stacks are those of OpenMP's.

    Args:
        wanted: the most to count.
    """
    if os.name != "posix":
        return wanted
    before = _count_own_threads()
    system = ctypes.CDLL(None)
    attributes = ctypes.create_string_buffer(_ATTRIBUTES_BYTES)
    system.pthread_attr_init(attributes)
    if stack := _read_stack_bytes():
        # One that the system refuses as too small is not used by OpenMP either.
        system.pthread_attr_setstacksize(attributes, ctypes.c_size_t(stack))
    over = ctypes.create_string_buffer(SEMAPHORE_BYTES)
    system.sem_init(over, 0, 0)
    started: list[ctypes.c_void_p] = []
    while len(started) < wanted - 1 and (thread := _start_waiting(system, attributes, over)):
        started.append(thread)
    for _ in started:
        system.sem_post(over)
    for thread in started:
        system.pthread_join(thread, None)
    # A thread counts until the system has removed it, shortly after its end.
    for _ in range(_MOST_WAITS):
        if _count_own_threads() <= before:
            break
        time.sleep(_WAIT_SECONDS)
    return len(started) + 1


def _start_waiting(system: ctypes.CDLL, attributes: object, over: object) -> ctypes.c_void_p | None:
    """Start a thread that waits for a semaphore; None if the system refuses it."""
    thread = ctypes.c_void_p()
    refused = system.pthread_create(ctypes.byref(thread), attributes, system.sem_wait, over)
    return None if refused else thread


def _read_stack_bytes() -> int | None:
    """Read the bytes of a thread's stack that OpenMP's environment names; None for the usual ones.

    A number without a unit is of kilobytes; OpenMP passes over what it cannot read.
    """
    for name in _STACK_SIZES:
        found = re.fullmatch(r"\s*\+?(\d+)\s*([BKMG]?)\s*", os.environ.get(name, ""), re.IGNORECASE)
        if found and (size := int(found[1]) << _STACK_SHIFTS[found[2].upper()]) < 1 << 64:
            return size
    return None


def _count_own_threads() -> int:
    """Count the threads of this process as the system sees them; 0 if it does not tell."""
    try:
        return sum(1 for _ in _TASKS.iterdir())
    except OSError:
        return 0


def list_openmp_limits() -> list[str]:
    """List the variables of the environment by which OpenMP gives fewer threads."""
    return [f"{name}={os.environ[name]}" for name in _OPENMP_LIMITS if name in os.environ]


def list_system_limits() -> list[str]:
    """List the limits of this process's threads and memory, with their values."""
    if sys.platform == "win32":
        return []
    limits = []
    for option, kind, unit in (("-u", "RLIMIT_NPROC", 1), ("-v", "RLIMIT_AS", 1024)):
        soft = resource.getrlimit(getattr(resource, kind))[0]
        if soft != resource.RLIM_INFINITY:
            limits.append(f"ulimit {option} is {soft // unit}")
    limits += [f"{name}={os.environ[name]}" for name in _STACK_SIZES if name in os.environ]
    for file in _PIDS_LIMITS:
        with suppress(OSError):
            if (most := file.read_text().strip()) != "max":
                limits.append(f"{file} is {most}")
    return limits
