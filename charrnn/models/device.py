"""The device, the precision and the threads that compute."""

from __future__ import annotations

import ctypes
import math
import os
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from charrnn.config.cells import CELLS
from charrnn.config.model import ModelConfig
from charrnn.config.training import DEVICES, PRECISIONS, ComputeConfig
from charrnn.errors import UsageError
from charrnn.kernels.library import load_kernels
from charrnn.models.cells import cell_class

_MEASURED_SIZE, _MEASURED_TIMES = 1024, 6
_M_MMAP_MAX, _M_TRIM_THRESHOLD = -4, -1  # From glibc's malloc.h.


@dataclass(frozen=True)
class Compute:
    """A device and the precision of the matrix products of training; weights stay float32."""

    device: torch.device
    precision: str

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which a training step's forward pass runs."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()


def choose_device(name: str) -> torch.device:
    """Choose the device of that name; "auto" is CUDA where there is one, else the CPU.

    MPS must be named: it has never been tried.

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
            f"is {name}, which torch does not find here; it has: {available}", settings=("device",)
        )
    return torch.device(name)


def choose_precision(name: str, device: torch.device, model: ModelConfig) -> str:
    """Choose fp32 or bf16; "auto" takes bf16 on a CPU that trains the network faster with it.

    On CUDA torch would run the recurrence in float16, whose gradients need scaling.

    Args:
        name: "auto", "fp32" or "bf16".
        device: that training computes on.
        model: the network to train.

    Raises:
        UsageError: no such precision.
    """
    if name not in PRECISIONS:
        raise UsageError(
            f"is {name!r:.40}; it must be one of {', '.join(PRECISIONS)}", settings=("precision",)
        )
    if name != "auto":
        return name
    return "bf16" if device.type == "cpu" and _gains_from_bfloat16(model) else "fp32"


def settle_compute(wished: ComputeConfig, model: ModelConfig) -> ComputeConfig:
    """Choose the device, precision and threads that the user left open.

    Raises:
        UsageError: no such device or precision here.
    """
    device = choose_device(wished.device)
    return ComputeConfig(
        device=device.type,
        precision=choose_precision(wished.precision, device, model),
        threads=prepare_process(wished.threads),
    )


def _gains_from_bfloat16(model: ModelConfig) -> bool:
    """Tell whether bfloat16 is fast on this processor and used by the code that runs the cell."""
    kernels = load_kernels() if CELLS[model.cell].native_training else None
    if kernels is not None:
        return kernels.multiplies_bfloat16
    gains = cell_class(model.cell).gains_from_bfloat16(**model.cell_settings)
    return gains and _cpu_multiplies_bfloat16()


def _cpu_multiplies_bfloat16() -> bool:
    """Tell whether torch reports the instructions; an older torch that cannot counts as no."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def products_per_second(compute: ComputeConfig) -> float:
    """Measure the floating-point operations per second of large matrix products.

    On a CPU, one thread's rate times the threads in use, so that other programs that run at the
    moment hardly change it.

    Args:
        compute: settled: no device or precision is left open.
    """
    precision = torch.bfloat16 if compute.precision == "bf16" else torch.float32
    matrix = torch.ones(_MEASURED_SIZE, _MEASURED_SIZE, dtype=precision, device=compute.device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    fastest = math.inf
    for _ in range(_MEASURED_TIMES):
        started = time.perf_counter()
        (matrix @ matrix)[0, 0].item()
        fastest = min(fastest, time.perf_counter() - started)
    torch.set_num_threads(threads)
    at_once = threads if matrix.device.type == "cpu" else 1
    return at_once * 2.0 * _MEASURED_SIZE**3 / fastest


def prepare_process(count: int | None) -> int:
    """Set up how this process computes: threads, memory, and denormals flushed to zero.

    Args:
        count: of threads; None leaves torch's own choice.

    Returns:
        The threads in use.

    Raises:
        UsageError: fewer than one.
    """
    if count is not None:
        if not 1 <= count <= 1024:
            raise UsageError(f"is {count}; it must be from 1 to 1024", settings=("threads",))
        torch.set_num_threads(count)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    return torch.get_num_threads()


def keep_freed_memory() -> bool:
    """Have glibc keep freed memory for the next window, and tell whether the C library can.

    Large blocks would otherwise go back to the system and be mapped, page by page, at every step.
    """
    libc = ctypes.CDLL(None) if os.name == "posix" else None
    if libc is None or not hasattr(libc, "mallopt"):
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1))
    answers = [libc.mallopt(parameter, value) for parameter, value in settings]
    return all(answers)
