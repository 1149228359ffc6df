"""Choose and set up the device, the precision and the threads of a computation."""

from __future__ import annotations

import ctypes
import math
import os
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from charrnn.config.model import ModelConfig
from charrnn.config.processors import count_usual_threads, measure_processors, read_wanted_threads
from charrnn.config.training import DEVICES, PRECISIONS, ComputeConfig
from charrnn.errors import Remedy, UsageError
from charrnn.kernels.library import load_kernels
from charrnn.models.cells import cell_class
from charrnn.models.threads import one_thread, start_threads

# On a CPU each product ends within the time that the system gives a process at once, so the fastest
# is undisturbed, whatever else runs. Other devices are slow to begin.
_MEASURED_SIZE, _MEASURED_SIZE_ON_CPU, _MEASURED_TIMES = 1024, 512, 12
_CHECKED_SHAPE, _MOST_ROUNDING = (256, 192, 320), 0.02
_LEAST_SHARED = 256
"""Hidden units from which more than one thread is faster where torch runs a cell step by step; they
wait for one another at every small product, and for long beside other programs."""

_M_MMAP_MAX, _M_TRIM_THRESHOLD = -4, -1  # From glibc's malloc.h.


@dataclass(frozen=True)
class Compute:
    """The device and the precision of the matrix products of training; weights stay float32."""

    device: torch.device
    precision: str

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which a training step's forward pass runs."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()


def choose_device(name: str) -> torch.device:
    """Choose a device by name; "auto" is CUDA if it is available, else the CPU.

    "auto" never chooses MPS, which is untested.

    Raises:
        UsageError: the machine, or this build of torch, has no such device.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device("cuda" if present["cuda"] else "cpu")
    if name not in present:
        raise UsageError(
            f"is {name!r:.40}; it must be one of {', '.join(DEVICES)}", settings=("device",)
        )
    if not present[name]:
        available = ", ".join(kind for kind, here in present.items() if here)
        raise UsageError(
            f"is {name}, which torch does not find here; available: {available}",
            settings=("device",),
        )
    return torch.device(name)


def choose_precision(name: str, device: torch.device, model: ModelConfig) -> str:
    """Choose fp32 or bf16; "auto" is bf16 on a CPU that trains the network faster with it.

    "auto" is fp32 on CUDA, where torch would run the recurrence in float16, whose gradients need
    scaling.

    Args:
        name: "auto", "fp32" or "bf16".
        device: the device of training.
        model: the network to train.

    Raises:
        UsageError: no such precision, or torch computes wrong products in it here.
    """
    if name not in PRECISIONS:
        raise UsageError(
            f"is {name!r:.40}; it must be one of {', '.join(PRECISIONS)}", settings=("precision",)
        )
    on_cpu = device.type == "cpu"
    if name == "auto":
        gains = on_cpu and _gains_from_bfloat16(model)
        return "bf16" if gains and multiplies_correctly(torch.bfloat16) else "fp32"
    if name == "bf16" and on_cpu and not multiplies_correctly(torch.bfloat16):
        raise UsageError(
            "is bf16, whose products torch computes wrongly on this machine",
            Remedy("use float32", "precision", "fp32"),
            settings=("precision",),
        )
    return name


def multiplies_correctly(kind: torch.dtype) -> bool:
    """Return whether torch's matrix products on the CPU are right up to rounding.

    Its products in bfloat16 are not where OpenMP runs them on fewer threads than torch asked for,
    which :func:`prepare_process` prevents where it can.
    """
    rows, inner, columns = _CHECKED_SHAPE
    left = torch.linspace(-1, 1, rows * inner).sin().view(rows, inner).to(kind)
    right = torch.linspace(2, -1, inner * columns).cos().view(inner, columns).to(kind)
    expected = left.double() @ right.double()
    off = ((left @ right).double() - expected).abs().max() / expected.abs().max()
    return bool(off <= _MOST_ROUNDING)


def settle_compute(requested: ComputeConfig, model: ModelConfig) -> ComputeConfig:
    """Choose the device, precision and threads that are not given, and set up this process.

    Raises:
        UsageError: the device or the precision is not available.
    """
    device = choose_device(requested.device)
    wanted = requested.threads
    if wanted is None and not model.trains_natively and model.hidden < _LEAST_SHARED:
        wanted = 1
    threads = prepare_process(wanted)
    return ComputeConfig(
        device=device.type,
        precision=choose_precision(requested.precision, device, model),
        threads=threads,
    )


def _gains_from_bfloat16(model: ModelConfig) -> bool:
    """Return whether bfloat16 makes the cell's training faster on this processor."""
    kernels = load_kernels() if model.trains_natively else None
    if kernels is not None:
        return kernels.multiplies_bfloat16
    gains = cell_class(model.cell).gains_from_bfloat16(**model.cell_settings)
    return gains and _cpu_multiplies_bfloat16()


def _cpu_multiplies_bfloat16() -> bool:
    """Return whether torch reports bfloat16 instructions; False if an older torch cannot tell."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def measure_products_per_second(compute: ComputeConfig) -> float:
    """Measure the floating-point operations per second of large matrix products.

    On a CPU the result is the rate of one thread, which other running programs hardly affect, times
    the number of threads or of processors that they may use, whichever is less.

    Args:
        compute: device and precision from :func:`settle_compute`.
    """
    precision = torch.bfloat16 if compute.precision == "bf16" else torch.float32
    size = _MEASURED_SIZE_ON_CPU if compute.device == "cpu" else _MEASURED_SIZE
    matrix = torch.ones(size, size, dtype=precision, device=compute.device)
    fastest = math.inf
    with one_thread():
        for _ in range(_MEASURED_TIMES):
            started = time.perf_counter()
            (matrix @ matrix)[0, 0].item()
            fastest = min(fastest, time.perf_counter() - started)
    at_once = min(torch.get_num_threads(), measure_processors()) if matrix.is_cpu else 1
    return at_once * 2.0 * size**3 / fastest


def prepare_process(count: int | None) -> int:
    """Set up torch in this process: threads, memory, and denormals flushed to zero.

    Torch gets no more threads than really come: some of its products are wrong with fewer than it
    asked for, and OpenMP ends the process where it cannot start a thread.

    Args:
        count: number of threads; None is OMP_NUM_THREADS or, without it, torch's own choice as far
            as a container's quota of processors allows.

    Returns:
        The number of threads in use; :func:`charrnn.models.threads.explain_threads`
        tells why there are fewer.

    Raises:
        UsageError: the number is out of bounds.
    """
    if count is not None:
        if not 1 <= count <= 1024:
            raise UsageError(f"is {count}; it must be from 1 to 1024", settings=("threads",))
        torch.set_num_threads(count)
    elif read_wanted_threads() is None:
        torch.set_num_threads(min(torch.get_num_threads(), count_usual_threads()))
    start_threads(torch.get_num_threads())
    torch.set_flush_denormal(True)
    keep_freed_memory()
    return torch.get_num_threads()


def keep_freed_memory() -> bool:
    """Make glibc keep freed memory for the next window, and return whether the C library can.

    Otherwise large blocks are returned to the system and mapped again, page by page, at every step.
    """
    libc = ctypes.CDLL(None) if os.name == "posix" else None
    if libc is None or not hasattr(libc, "mallopt"):
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1))
    answers = [libc.mallopt(parameter, value) for parameter, value in settings]
    return all(answers)
