"""How much a run is going to save, foreseen before its first step."""

from __future__ import annotations

import json
from dataclasses import dataclass

from charrnn.checkpoint import Arrays, Checkpoint

# An optimiser keeps up to two numbers for each weight, and most have none before the first step.
_NUMBERS_PER_WEIGHT = 2
# What a file says of a tensor, and of those that the optimiser will make of it.
_BYTES_PER_NAME = 512
_LOG_BYTES = 1 << 16


@dataclass(frozen=True)
class Sizes:
    """Bytes of a run's files when they are largest, or a little more."""

    last: int
    best: int
    log: int = _LOG_BYTES


def foresee(checkpoint: Checkpoint) -> Sizes:
    """The sizes of the files that a run will write, from any checkpoint to go on from."""
    arrays = checkpoint.arrays
    header = len(json.dumps(json.dumps(checkpoint.header))) + _BYTES_PER_NAME * len(arrays)
    last = header + _bytes_of(arrays, "")
    if not _bytes_of(arrays, "optimizer."):
        last += _NUMBERS_PER_WEIGHT * _bytes_of(arrays, "model.")
    return Sizes(last, header + _bytes_of(arrays, "average."))


def _bytes_of(arrays: Arrays, part: str) -> int:
    return sum(array.nbytes for name, array in arrays.items() if name.startswith(part))
