"""One safetensors file, written atomically and read with suspicion.

The file's metadata holds one string, ``charrnn``: a JSON header with the format's version, the kind
of checkpoint, what the tensors mean, and ``sha256``, a digest over the rest of the header and every
tensor's name, type, shape and bytes. Nothing is ever pickled, and the same content always makes the
same file.
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
from charrnn.formats import FORMAT, upgrade
from charrnn.storage import is_file, write_atomically

MODEL = "model"
"""Kind of a checkpoint that holds what using a model takes."""

TRAINING = "training"
"""Kind of a checkpoint that holds what going on with a run takes."""

Arrays = dict[str, NDArray[Any]]

_ENVELOPE = ("format", "kind", "sha256")
_MOST_TENSORS = 8192
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
        ValueError: values that are not finite, or of a type that a reader would refuse.
    """
    arrays = {
        name: np.require(array, requirements="C") for name, array in checkpoint.arrays.items()
    }
    for name, array in arrays.items():
        if array.dtype.type not in _TYPES.values():
            raise ValueError(f"tensor {name} is of type {array.dtype}")
        if not is_finite(array):
            raise ValueError(f"tensor {name} holds values that are not finite")
    envelope = {"format": FORMAT, "kind": checkpoint.kind, **checkpoint.header}
    envelope["sha256"] = _digest(envelope, arrays)
    write_atomically(path, save(arrays, metadata={"charrnn": _to_json(envelope)}))


def is_finite(array: NDArray[Any]) -> bool:
    """Whether every value is finite, as those of an integer type are."""
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def read_header(path: Path) -> tuple[str, dict[str, Any]]:
    """The kind and header of a checkpoint, without its tensors and unchecked by its digest.

    Raises:
        CheckpointError: not a checkpoint that this version can read.
    """
    with _refusing_nonsense(path), safe_open(path, framework="np") as file:
        envelope = _parse_envelope(path, file.metadata())
        return envelope["kind"], _header_of(envelope)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint whole and hold it against its digest.

    Raises:
        CheckpointError: missing, unreadable, damaged, or not a checkpoint of a known format.
    """
    with _refusing_nonsense(path), safe_open(path, framework="np") as file:
        envelope = _parse_envelope(path, file.metadata())
        names = list(file.keys())
        if len(names) > _MOST_TENSORS:
            raise CheckpointError(f"{path}: holds {len(names):,} tensors; no model has so many")
        for name in names:
            held = file.get_slice(name).get_dtype()
            if held not in _TYPES:
                raise CheckpointError(f"{path}: tensor {name!r:.80} is of type {held}")
        arrays = {name: file.get_tensor(name) for name in names}
    digest = envelope.pop("sha256", None)
    if digest != _digest(envelope, arrays):
        raise CheckpointError(
            f"{path}: is damaged: its content does not match its digest. Use another copy."
        )
    for name, array in arrays.items():
        if not is_finite(array):
            raise CheckpointError(f"{path}: tensor {name!r:.80} holds values that are not finite")
    return Checkpoint(envelope["kind"], _header_of(envelope), arrays)


@contextmanager
def _refusing_nonsense(path: Path) -> Iterator[None]:
    """Turn the many ways in which a file can be no checkpoint into one kind of error."""
    if not is_file(path):
        raise CheckpointError(f"{path}: there is no such checkpoint file")
    try:
        yield
    except (SafetensorError, OSError, ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path}: is not a sound checkpoint ({problem})") from problem


def _parse_envelope(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    text = (metadata or {}).get("charrnn")
    if text is None:
        raise CheckpointError(f"{path}: is a safetensors file, but not one of charrnn's")
    envelope = json.loads(text)
    if not isinstance(envelope, dict) or type(envelope.get("format")) is not int:
        raise CheckpointError(f"{path}: its header names no format version")
    version, kind = envelope["format"], envelope.get("kind")
    if version > FORMAT:
        raise CheckpointError(
            f"{path}: is of format {version}; this charrnn reads up to format {FORMAT}. "
            "Install a newer charrnn."
        )
    if version < 1 or kind not in (MODEL, TRAINING):
        raise CheckpointError(f"{path}: is of format {version} and kind {kind!r:.40}, unknown here")
    if _to_json(envelope) != text:
        raise CheckpointError(f"{path}: its header is not written as charrnn writes it")
    return envelope


def _header_of(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """The header proper, as the present format has it."""
    header = {name: value for name, value in envelope.items() if name not in _ENVELOPE}
    return upgrade(envelope["format"], header)


def _to_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _digest(envelope: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over the header and, by name, every array's name, type, shape and bytes."""
    digest = hashlib.sha256(_to_json(envelope).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
