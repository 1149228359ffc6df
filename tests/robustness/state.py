"""The whole state of a run, put so that two can be compared: times apart, everything."""

import hashlib
import json
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import Checkpoint, read_checkpoint

_TIMES = frozenset({"seconds", "timed_seconds", "train_seconds", "chars_per_second"})
_PARTS = ("model", "train", "compute", "alphabet", "corpus", "progress", "good", "scores")

State = dict[str, Any]
"""Contents of a run by name."""


def state_of(run: Path) -> State:
    """Every tensor of last and best as its digest, where the run stands, and its log.

    Raises:
        CheckpointError: a checkpoint is not sound.
    """
    log = run / "log.jsonl"
    records = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return {
        **facts_of("last", read_checkpoint(run / "last.safetensors")),
        **facts_of("best", read_checkpoint(run / "best.safetensors")),
        "log": [_timeless(json.loads(record)) for record in records],
    }


def find_differences(state: State, expected: State) -> list[str]:
    """Return the names of entries that only one state has or that differ."""
    names = sorted(state.keys() | expected.keys())
    return [name for name in names if state.get(name) != expected.get(name)]


def facts_of(which: str, checkpoint: Checkpoint) -> State:
    """Return the contents of one checkpoint, under names that begin with ``which``."""
    tensors = {
        f"{which} {name}": (
            array.dtype.str,
            array.shape,
            hashlib.sha256(array.tobytes()).hexdigest(),
        )
        for name, array in checkpoint.arrays.items()
    }
    header = {
        f"{which} {part}": _timeless(checkpoint.header.get(part))
        for part in _PARTS
        if part in checkpoint.header
    }
    return {**tensors, **header}


def _timeless(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: item for name, item in value.items() if name not in _TIMES}
