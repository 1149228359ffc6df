"""Calls of the native library over tensors, on the threads of torch where they can be shared."""

from __future__ import annotations

import ctypes
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from charrnn.kernels.library import Kernels, find

_LOADED = re.compile(r" (/.*/lib(?:gomp|iomp5|omp)[^/\n]*\.so[^/\n]*)$", re.MULTILINE)
_FUNCTIONS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")


class OpenMP(NamedTuple):
    """The OpenMP library that torch runs on.

    Attributes:
        path: where it was loaded from.
        functions: addresses of what starts its threads, tells them apart and counts them.
    """

    path: Path
    functions: tuple[int | None, ...]


@cache
def kernels() -> Kernels | None:
    """The library, told to run on torch's own threads where they are OpenMP's; None without one.

    Raises:
        UsageError: CHARRNN_KERNELS names a build that cannot be used here.
    """
    found = find()
    if found is not None:
        shared = openmp_of_torch()
        found.functions.charrnn_use_openmp(*(shared.functions if shared else (None,) * 3))
    return found


def call(function: str, *arguments: float | Tensor | None) -> None:
    """Call a function of the library, tensors by their addresses.

    Raises:
        ValueError: there is no library.
    """
    library = kernels()
    if library is None:
        raise ValueError("there is no native library")
    addressed = (a.data_ptr() if isinstance(a, Tensor) else a for a in arguments)
    getattr(library.functions, function)(*addressed)


def openmp_of_torch() -> OpenMP | None:
    """The OpenMP library that is loaded; None if it is of an unknown kind or not the
    only one.

    Torch's threads spin for a while after each operation. Threads of our own would share the cores
    with them; on Linux the library can be found and asked for its threads instead.
    """
    try:
        loaded = set(_LOADED.findall(Path("/proc/self/maps").read_text(errors="replace")))
        if len(loaded) != 1:
            return None  # None, or several of which any may be torch's.
        (path,) = loaded
        library = ctypes.CDLL(path)
        addresses = (ctypes.cast(getattr(library, name), ctypes.c_void_p) for name in _FUNCTIONS)
        return OpenMP(Path(path), tuple(address.value for address in addresses))
    except (OSError, AttributeError):
        return None
