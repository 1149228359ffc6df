"""Checkpoints: one safetensors file each, written atomically and checked before it is trusted.

The metadata of the file hold one string, ``charrnn``: a JSON header with the format's version, the
kind of checkpoint, the meaning of the tensors, and ``sha256``, a digest over the rest of the header
and every tensor's name, type, shape and bytes. Nothing is ever pickled. The same content always
makes the same file; any other spelling of it is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END, BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.migrations import FORMAT, upgrade_header
from charrnn.checkpoints.safetensors_io import (
    Specs,
    TensorSpec,
    begins_with_length,
    encode_file,
    encode_head,
    encode_json,
    find_most_bytes,
    parse_json,
    parse_specs,
    read_array,
    read_head,
    read_pieces,
    split_bytes,
)
from charrnn.config.limits import check_memory
from charrnn.data.file_kinds import HEAD_BYTES, identify_file, looks_like_text
from charrnn.errors import CheckpointError, Remedy
from charrnn.files import is_file, write_atomically

MODEL = "model"
"""Kind of a checkpoint that holds a model to use."""

TRAINING = "training"
"""Kind of a checkpoint that a run resumes from."""

_ENVELOPE = ("format", "kind", "sha256")

_Contents = Iterable[tuple[str, TensorSpec, Iterable[bytes | memoryview]]]
"""The name, the type and shape, and the bytes of every tensor, in the order of the names."""


Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint: a header of plain data, and arrays by name."""

    kind: str
    header: dict[str, Any]
    arrays: Arrays


def write_checkpoint(path: Path, checkpoint: Checkpoint, like: Path | None = None) -> None:
    """Save a checkpoint, replacing the file at ``path``.

    Args:
        path: of the file.
        checkpoint: its new content.
        like: the file that a new one gets its permissions from; None for the user's umask.

    Raises:
        StorageError: the disk refused; the old file still stands.
        UsageError: the checkpoint is larger than a reader takes.
        ValueError: values that are not finite, or of a type that a reader would refuse.
    """
    for name, array in checkpoint.arrays.items():
        if not is_finite(array):
            raise ValueError(f"tensor {name} holds values that are not finite")
    envelope = {"format": FORMAT, "kind": checkpoint.kind, **checkpoint.header}
    write_atomically(path, encode_checkpoint(envelope, checkpoint.arrays), like)


def encode_checkpoint(envelope: dict[str, Any], arrays: Arrays) -> bytes:
    """Encode a checkpoint as bytes, adding its digest to the envelope."""
    arrays = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    digest = _digest(envelope, _contents_of(arrays))
    return encode_file(encode_json({**envelope, "sha256": digest}), arrays)


def is_finite(array: NDArray[Any]) -> bool:
    """Tell if every value is finite, as those of an integer type are."""
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


class CheckpointFile:
    """An open checkpoint whose header is sound; the tensors are read on demand.

    Args:
        path: the name of the file in errors.
        stream: the file.

    Attributes:
        path: as given.
        format: version of the header in the file.
        kind: MODEL or TRAINING.
        header: the header, upgraded to the present format.
        specs: types and shapes of the tensors, by name.
        digest: SHA-256 as the header states it, in hexadecimal.

    Raises:
        CheckpointError: not a checkpoint that this version can read.
    """

    def __init__(self, path: Path, stream: BufferedIOBase) -> None:
        self.path = path
        self._stream = stream
        with _refusing_unsound(path):
            size = stream.seek(0, SEEK_END)
            stream.seek(0)
            _refuse_other_kinds(path, stream.read(HEAD_BYTES))
            stream.seek(0)
            most = find_most_bytes()
            if size > most:
                raise ValueError(f"it is {size:,} bytes long; at most {most:,} are read")
            head = read_head(stream)
            table = parse_json(head[8:].decode("ascii"))
            text = _find_text(table)
            self._envelope = _parse_envelope(text)
            self.specs: Specs = parse_specs(table)
            if encode_head(text, self.specs) != head:
                raise ValueError("its table of tensors is not written as charrnn writes it")
            self._begins, end = {}, len(head)
            for name, spec in self.specs.items():
                self._begins[name], end = end, end + spec.nbytes
            if size != end:
                raise ValueError(f"it is {size:,} bytes long; its header tells of {end:,}")
        self.digest: object = self._envelope.pop("sha256", None)
        self.format: int = self._envelope["format"]
        self.kind: str = self._envelope["kind"]
        header = {name: self._envelope[name] for name in self._envelope if name not in _ENVELOPE}
        self.header = upgrade_header(self.format, header)

    def verify(self) -> None:
        """Check the file against its digest; takes next to no memory.

        Raises:
            CheckpointError: it is damaged.
        """
        with _refusing_unsound(self.path):
            self._check_digest(
                (name, spec, read_pieces(self._stream, spec)) for name, spec in self._visit()
            )

    def read(self) -> Arrays:
        """Read the tensors and check them against the digest.

        Raises:
            CheckpointError: they are damaged, or not finite.
            UsageError: there is too little memory for them.
        """
        check_memory(sum(spec.nbytes for spec in self.specs.values()), f"reading {self.path}")
        with _refusing_unsound(self.path):
            arrays = {name: read_array(self._stream, spec) for name, spec in self._visit()}
            self._check_digest(_contents_of(arrays))
            for name, array in arrays.items():
                if not is_finite(array):
                    raise ValueError(f"tensor {name!r} holds values that are not finite")
        return arrays

    def _visit(self) -> Iterator[tuple[str, TensorSpec]]:
        """Seek the bytes of every tensor in the order of the names."""
        for name, spec in sorted(self.specs.items()):
            self._stream.seek(self._begins[name])
            yield name, spec

    def _check_digest(self, contents: _Contents) -> None:
        if self.digest != _digest(self._envelope, contents):
            raise ValueError(
                "it is damaged: its content does not match its digest. Use another copy."
            )


@contextmanager
def open_checkpoint(path: Path) -> Iterator[CheckpointFile]:
    """Open a checkpoint for reading.

    Raises:
        CheckpointError: missing, unreadable, or not a checkpoint of a known format.
    """
    if not is_file(path):
        raise CheckpointError(f"{path}: there is no such checkpoint file")
    try:
        stream = path.open("rb")
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be read: {problem.strerror}") from problem
    with stream:
        yield CheckpointFile(path, stream)


def read_header(path: Path) -> tuple[str, dict[str, Any]]:
    """Read the kind and the header of a checkpoint; raises as :func:`read_checkpoint` does."""
    with open_checkpoint(path) as file:
        file.verify()
        return file.kind, file.header


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a whole checkpoint and check it against its digest.

    Raises:
        CheckpointError: missing, unreadable, damaged, or not a checkpoint of a known format.
    """
    with open_checkpoint(path) as file:
        return Checkpoint(file.kind, file.header, file.read())


@contextmanager
def _refusing_unsound(path: Path) -> Iterator[None]:
    """Raise CheckpointError for every error that a file that is no checkpoint can cause."""
    try:
        yield
    except (OSError, ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path}: cannot be used: {problem}") from problem


def _refuse_other_kinds(path: Path, head: bytes) -> None:
    """Raise CheckpointError if a file begins as no safetensors file does, and tell what it is.

    Args:
        path: of the file.
        head: its first HEAD_BYTES, or all if it is shorter.
    """
    if begins_with_length(head):
        return
    kind, other = identify_file(head), Remedy("name a run or a model file of charrnn")
    if kind is not None:
        ways = [Remedy(kind.way_out)] if kind.hides_another else []
        raise CheckpointError(f"{path}: is {kind.name}, not a model", *ways, other)
    if looks_like_text(head):
        learn = Remedy("train a model on it", "train", str(path))
        raise CheckpointError(f"{path}: is a text, not a model", learn, other)
    lack = "does not begin as a model file does" if head else "is empty"
    raise CheckpointError(f"{path}: {lack}", other)


def _find_text(table: object) -> str:
    """Find the header within a parsed table."""
    metadata = table.get("__metadata__") if isinstance(table, dict) else None
    text = metadata.get("charrnn") if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ValueError("it is not one of charrnn's")
    return text


def _parse_envelope(text: str) -> dict[str, Any]:
    envelope = parse_json(text)
    if not isinstance(envelope, dict) or type(envelope.get("format")) is not int:
        raise ValueError("its header names no format version")
    version, kind = envelope["format"], envelope.get("kind")
    if version > FORMAT:
        raise ValueError(
            f"it is of format {version!s:.20}; this charrnn reads up to format {FORMAT}. "
            "Install a newer charrnn."
        )
    if version < 1 or kind not in (MODEL, TRAINING):
        raise ValueError(f"it is of format {version!s:.20} and kind {kind!r:.40}, unknown here")
    if encode_json(envelope) != text:
        raise ValueError("its header is not written as charrnn writes it")
    return envelope


def _contents_of(arrays: Arrays) -> _Contents:
    for name, array in sorted(arrays.items()):
        data = array.reshape(-1).view(np.uint8).data
        yield name, TensorSpec(array.dtype, array.shape), split_bytes(data)


def _digest(envelope: Mapping[str, Any], contents: _Contents) -> str:
    """Compute SHA-256 over the header and the name, type, shape and bytes of every tensor."""
    digest = hashlib.sha256(encode_json(envelope).encode())
    for name, spec, pieces in contents:
        digest.update(f"\n{name} {spec.dtype.str} {spec.shape}\n".encode())
        for piece in pieces:
            digest.update(piece)
    return digest.hexdigest()
