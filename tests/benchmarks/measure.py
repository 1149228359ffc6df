"""Fair timing: every contender in turn, several rounds, medians with their spread."""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

ROUNDS = 7


@dataclass(frozen=True)
class Rate:
    """Units per second over several rounds."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:>12,.0f}  ({self.least:,.0f} to {self.most:,.0f})"


def interleave(
    contenders: Mapping[str, Callable[[], int]], rounds: int = ROUNDS
) -> dict[str, Rate]:
    """Run each contender once a round, after one round that does not count.

    Args:
        contenders: by name, what to run; each returns the units it worked through.
        rounds: how many count.

    Returns:
        Units per second of each contender.
    """
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for counted in [False] + [True] * rounds:
        for name, run in contenders.items():
            started = time.perf_counter()
            units = run()
            seconds = time.perf_counter() - started
            if counted:
                rates[name].append(units / seconds)
    return {
        name: Rate(statistics.median(found), min(found), max(found))
        for name, found in rates.items()
    }


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
