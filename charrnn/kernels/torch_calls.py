"""Calls of the native library with tensors, on torch's threads where they can be shared."""

from __future__ import annotations

import ctypes
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from charrnn.kernels.library import Kernels, load_kernels

_LOADED = re.compile(r" (/.*/lib(?:gomp|iomp5|omp)[^/\n]*\.so[^/\n]*)$", re.MULTILINE)
SEMAPHORE_BYTES = 64  # More than a sem_t of any system has.
_FUNCTIONS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")


class OpenMP(NamedTuple):
    """The OpenMP library that torch runs on.

    Attributes:
        path: where it was loaded from.
        functions: addresses of the functions that start its threads, number and count them.
    """

    path: Path
    functions: tuple[int | None, ...]

    def start_threads(self, wanted: int) -> int:
        """Start threads, which are kept for later work, and return how many there are.

        From now on, as many come whenever so many are asked for: the library is told not to change
        their number as the load of the machine changes. The system must allow the threads: OpenMP
        ends the process where it cannot start one.

        Args:
            wanted: number of threads, this one included.
        """
        library, system = ctypes.CDLL(str(self.path)), ctypes.CDLL(None)
        library.omp_set_dynamic(0)
        # Every thread posts the semaphore once: a function of the system that takes an address, as
        # a parallel region does, and that counts.
        semaphore, count = ctypes.create_string_buffer(SEMAPHORE_BYTES), ctypes.c_int()
        system.sem_init(semaphore, 0, 0)
        library.GOMP_parallel(system.sem_post, semaphore, wanted, 0)
        system.sem_getvalue(semaphore, ctypes.byref(count))
        return count.value


@cache
def load_shared_kernels() -> Kernels | None:
    """Load the library and have it run on torch's threads if they are OpenMP's; None without one.

    Raises:
        UsageError: CHARRNN_KERNELS names a build that cannot be used here.
    """
    found = load_kernels()
    if found is not None:
        shared = find_openmp()
        found.functions.charrnn_use_openmp(*(shared.functions if shared else (None,) * 3))
    return found


def call(function: str, *arguments: float | Tensor | None) -> None:
    """Call a function of the library, with tensors passed by their addresses.

    Raises:
        ValueError: there is no library.
    """
    library = load_shared_kernels()
    if library is None:
        raise ValueError("there is no native library")
    addressed = (a.data_ptr() if isinstance(a, Tensor) else a for a in arguments)
    getattr(library.functions, function)(*addressed)


def find_openmp() -> OpenMP | None:
    """Find the OpenMP library that is loaded; None if it is unknown or not the only one.

    Torch's threads spin for a while after each operation. Other threads would share the cores with
    them; on Linux the OpenMP library can be found and asked for its threads instead.
    """
    try:
        loaded = set(_LOADED.findall(Path("/proc/self/maps").read_text(errors="replace")))
        if len(loaded) != 1:
            return None  # There is none, or torch may use any of several.
        (path,) = loaded
        library = ctypes.CDLL(path)
        addresses = (ctypes.cast(getattr(library, name), ctypes.c_void_p) for name in _FUNCTIONS)
        return OpenMP(Path(path), tuple(address.value for address in addresses))
    except (OSError, AttributeError):
        return None
