"""Fair timing: every contender in turn, several rounds, medians with their spread."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from charrnn.kernels.library import CHOICE, find_obstacle

ROUNDS = 7

Contender = Callable[[], Callable[[], int]]
"""Prepares what is timed, in a process of its own: something to run, which returns the units it
worked through. A module's function, or a partial of one, so that it can be named to the process."""


@dataclass(frozen=True)
class Rate:
    """Units per second over several rounds."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:>12,.0f}  ({self.least:,.0f} to {self.most:,.0f})"


def interleave(contenders: Mapping[str, Contender], rounds: int = ROUNDS) -> dict[str, Rate]:
    """Run each contender once a round, after one round that does not count.

    Each has a process of its own, so that none runs with the memory or the threads of another, and
    sleeps while the others run.

    Args:
        contenders: by name.
        rounds: how many count.

    Returns:
        Units per second of each contender.
    """
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    spawn = get_context("spawn")
    with ExitStack() as stack:
        ends = {}
        for name, make in contenders.items():
            here, there = spawn.Pipe()
            process = spawn.Process(target=_serve, args=(there, make), daemon=True)
            process.start()
            stack.callback(process.terminate)
            ends[name] = here
        for counted in [False] + [True] * rounds:
            for name, end in ends.items():
                end.send(None)
                rate = end.recv()
                if counted:
                    rates[name].append(rate)
    return {
        name: Rate(statistics.median(found), min(found), max(found))
        for name, found in rates.items()
    }


def _serve(end: Connection, make: Contender) -> None:
    """Run a contender each time a word comes, and send back its units per second."""
    run = make()
    while True:
        end.recv()
        started = time.perf_counter()
        units = run()
        end.send(units / (time.perf_counter() - started))


INSTRUCTIONS = {
    "avx512bf16": {},
    "avx512": {
        "DNNL_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "ATEN_CPU_CAPABILITY": "avx512",
    },
    "avx2": {
        "DNNL_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    },
}
"""The variables that hold torch to what a build of the native library uses, by the build."""


@contextmanager
def hold_to(build: str) -> Iterator[None]:
    """Hold both sides to a build's instructions, in processes that are started within."""
    variables = {CHOICE: build, **INSTRUCTIONS[build]}
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def list_usable_builds() -> list[str]:
    """List the builds of the native library that this processor runs, the fastest first."""
    return [build for build in INSTRUCTIONS if not find_obstacle(build)]


def describe_machine() -> str:
    """Processor, threads and torch, in one line."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (cpuinfo.read_text().splitlines() if cpuinfo.exists() else [])
        if line.startswith("model name")
    ]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
