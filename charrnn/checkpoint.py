"""One safetensors file, written atomically and read with suspicion.

The file's metadata holds two strings: ``charrnn``, a JSON header with the format's version, the
kind of checkpoint and what the tensors mean, and ``sha256``, a digest over that header and every
tensor's name, type, shape and bytes. Nothing is ever pickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from charrnn.errors import CheckpointError
from charrnn.storage import write_atomically

FORMAT = 1
"""Version of the header written here. Readers refuse a later one by its number."""

MODEL = "model"
"""Kind of a checkpoint that holds what using a model takes."""

TRAINING = "training"
"""Kind of a checkpoint that holds what going on with a run takes."""

Arrays = dict[str, NDArray[Any]]

_MOST_TENSORS = 4096
_TYPES = {"F32": np.float32, "F64": np.float64, "U8": np.uint8, "I64": np.int64}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's content: a header of plain data, and arrays by name."""

    kind: str
    header: dict[str, Any]
    arrays: Arrays


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Save a checkpoint over whatever ``path`` holds.

    Raises:
        StorageError: the disk refused; what was there before still stands.
    """
    envelope = {"format": FORMAT, "kind": checkpoint.kind, **checkpoint.header}
    text = json.dumps(envelope, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    digest = _digest(text, checkpoint.arrays)
    write_atomically(path, save(checkpoint.arrays, metadata={"charrnn": text, "sha256": digest}))


def read_header(path: Path) -> tuple[str, dict[str, Any]]:
    """The kind and header of a checkpoint, without its tensors and unchecked by its digest.

    Raises:
        CheckpointError: not a checkpoint that this version can read.
    """
    with _refusing_nonsense(path), safe_open(path, framework="np") as file:
        kind, header, _ = _parse_header(path, file.metadata())
        return kind, header


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint whole and hold it against its digest.

    Raises:
        CheckpointError: missing, unreadable, damaged, or not a checkpoint of a known format.
    """
    with _refusing_nonsense(path), safe_open(path, framework="np") as file:
        metadata = file.metadata()
        kind, header, text = _parse_header(path, metadata)
        names = list(file.keys())
        if len(names) > _MOST_TENSORS:
            raise CheckpointError(f"{path}: holds {len(names):,} tensors; no model has so many")
        for name in names:
            held = file.get_slice(name).get_dtype()
            if held not in _TYPES:
                raise CheckpointError(f"{path}: tensor {name!r:.80} is of type {held}")
        arrays = {name: file.get_tensor(name) for name in names}
    if _digest(text, arrays) != metadata.get("sha256"):
        raise CheckpointError(
            f"{path}: is damaged: its content does not match its digest. Use another copy."
        )
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f"{path}: tensor {name!r:.80} holds values that are not finite")
    return Checkpoint(kind, header, arrays)


@contextmanager
def _refusing_nonsense(path: Path) -> Iterator[None]:
    """Turn the many ways in which a file can be no checkpoint into one kind of error."""
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint file")
    try:
        yield
    except (SafetensorError, OSError, ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path}: is not a sound checkpoint ({problem})") from problem


def _parse_header(
    path: Path, metadata: Mapping[str, str] | None
) -> tuple[str, dict[str, Any], str]:
    text = (metadata or {}).get("charrnn")
    if text is None:
        raise CheckpointError(f"{path}: is a safetensors file, but not one of charrnn's")
    envelope = json.loads(text)
    if not isinstance(envelope, dict) or type(envelope.get("format")) is not int:
        raise CheckpointError(f"{path}: its header names no format version")
    version = envelope.pop("format")
    if version > FORMAT:
        raise CheckpointError(
            f"{path}: is of format {version}; this charrnn reads up to format {FORMAT}. "
            "Install a newer charrnn."
        )
    kind = envelope.pop("kind", None)
    if version < 1 or kind not in (MODEL, TRAINING):
        raise CheckpointError(f"{path}: is of format {version} and kind {kind!r:.40}, unknown here")
    return kind, envelope, text


def _digest(header: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over the header and, by name, every array's name, type, shape and bytes."""
    digest = hashlib.sha256(header.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
