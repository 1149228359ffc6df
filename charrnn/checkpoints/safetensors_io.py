"""The safetensors container as charrnn writes it: a table of contents, then the tensors' bytes.

    8 bytes    length of the table, little-endian
    table      JSON, padded with blanks to a multiple of 8 bytes:
               {"__metadata__": {"charrnn": TEXT}, NAME: {"dtype", "shape", "data_offsets"}, ...}
    data       the tensors, one right after another, in the table's order

The format leaves much open: blanks, escapes, order, keys that nobody reads. charrnn writes one
spelling of it, that of the safetensors library, and reads no other, so that a table that was
changed in any way is refused. Files are read and never mapped into memory: a mapped file that
shrinks would kill the process.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from io import BufferedIOBase
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from charrnn.config.limits import raise_limit, read_limit
from charrnn.errors import Remedy, UsageError

MOST_BYTES = 2**33
"""Bytes of the largest file that is written or read, unless the user allows more."""

LIMIT = "CHARRNN_MODEL_BYTES"
"""The environment variable that raises MOST_BYTES."""

MOST_TABLE_BYTES = 2**24
"""Bytes of the longest table; an alphabet of all Unicode fits."""

MOST_PARTS = 2**17
"""Brackets and commas in the largest JSON text that is parsed; each may become an object."""

_MOST_TENSORS = 8192
_MOST_DIMENSIONS = 8
_TYPES: dict[str, np.dtype[Any]] = {
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
}
"""Types by the format's names, in the order in which tensors follow each other."""

_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_PREFIX_BYTES = 8
_TENSOR_NAME = re.compile(r"[\w.]{1,200}", re.ASCII)
_PIECE_BYTES = 2**20


class TensorSpec(NamedTuple):
    """The type and shape of a tensor; an array has the same attributes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return self.dtype.itemsize * math.prod(self.shape)


Specs = dict[str, TensorSpec]
"""The tensors of a table by name, in its order."""


def parse_json(text: str) -> Any:
    """Parse JSON of a bounded number of parts, so that it cannot fill the memory.

    Raises:
        ValueError: not JSON, or too many parts.
    """
    if _count_parts(text) > MOST_PARTS:
        raise ValueError("its header has more parts than any of charrnn's")
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        raise ValueError(f"its header is not JSON: {problem}") from None
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None


def encode_json(value: Mapping[str, Any]) -> str:
    """Encode JSON in the one spelling that charrnn writes.

    Raises:
        ValueError: a number that is not finite.
    """
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def encode_file(text: str, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Encode a file.

    Args:
        text: the value of ``charrnn`` in the metadata.
        arrays: the tensors by name.

    Raises:
        UsageError: the file would be larger than a reader takes.
        ValueError: a tensor whose name or type no reader takes.
    """
    for name, array in arrays.items():
        if not _TENSOR_NAME.fullmatch(name) or array.dtype not in _NAMES:
            raise ValueError(f"tensor {name} is of type {array.dtype}")
    order = list(_NAMES)
    names = sorted(arrays, key=lambda name: (order.index(arrays[name].dtype), name))
    head = encode_head(text, {n: TensorSpec(arrays[n].dtype, arrays[n].shape) for n in names})
    size = len(head) + sum(array.nbytes for array in arrays.values())
    check_file_size(size)
    if len(head) > MOST_TABLE_BYTES or _count_parts(head[_PREFIX_BYTES:].decode()) > MOST_PARTS:
        raise UsageError(
            "the names of the texts are too many to be kept in a checkpoint",
            Remedy("put the texts into a folder and name that"),
        )
    return save(
        {name: np.require(array, requirements="C") for name, array in arrays.items()},
        metadata={"charrnn": text},
    )


def check_file_size(size: int) -> None:
    """Raise UsageError if the file of a run would have more bytes than a reader takes."""
    most = find_most_bytes()
    if size > most:
        raise UsageError(
            f"a checkpoint of this model would be {size:,} bytes long; at most {most:,} are "
            "allowed",
            Remedy("give it fewer layers", "layers"),
            Remedy("make them narrower", "hidden"),
            raise_limit(LIMIT, size),
        )


def find_most_bytes() -> int:
    """Find the bytes of the largest file that is written or read."""
    most = read_limit(LIMIT)
    return MOST_BYTES if most is None else most


def encode_head(text: str, specs: Specs) -> bytes:
    """Encode the head of a file, which is all that stands before its data.

    Args:
        text: the value of ``charrnn`` in the metadata.
        specs: the tensors in their order.
    """
    table: dict[str, Any] = {"__metadata__": {"charrnn": text}}
    end = 0
    for name, spec in specs.items():
        begin, end = end, end + spec.nbytes
        table[name] = {
            "dtype": _NAMES[spec.dtype],
            "shape": spec.shape,
            "data_offsets": [begin, end],
        }
    encoded = encode_json(table).encode()
    encoded += b" " * (-len(encoded) % 8)
    return len(encoded).to_bytes(_PREFIX_BYTES, "little") + encoded


def begins_with_length(head: bytes) -> bool:
    """Return whether the first bytes of a file may be the length of a table."""
    return len(head) >= _PREFIX_BYTES and 0 < _read_length(head) <= MOST_TABLE_BYTES


def _read_length(head: bytes) -> int:
    return int.from_bytes(head[:_PREFIX_BYTES], "little")


def read_head(stream: BufferedIOBase) -> bytes:
    """Read the head of a file, which is all that stands before its data.

    Raises:
        ValueError: the file is cut short, or its table is too long.
    """
    prefix = stream.read(_PREFIX_BYTES)
    length = _read_length(prefix)
    if not begins_with_length(prefix):
        raise ValueError("it does not begin with the length of a header")
    table = stream.read(length)
    if len(table) < length:
        raise ValueError("it is cut short within its header")
    return prefix + table


def parse_specs(table: dict[str, Any]) -> Specs:
    """Parse the entries of a table that describe tensors.

    Raises:
        ValueError: an entry that no file of charrnn's holds.
    """
    listed = {name: entry for name, entry in table.items() if name != "__metadata__"}
    if len(listed) > _MOST_TENSORS:
        raise ValueError(f"holds {len(listed):,} tensors; no model has so many")
    return {name: _spec_of(name, entry) for name, entry in listed.items()}


def read_array(stream: BufferedIOBase, spec: TensorSpec) -> NDArray[Any]:
    """Read a tensor whose bytes come next.

    Raises:
        ValueError: the file ends within them.
    """
    data = np.empty(spec.nbytes, np.uint8)
    for piece in split_bytes(data.data):
        if stream.readinto(piece) != len(piece):
            raise ValueError("it became shorter while it was read")
    return data.view(spec.dtype).reshape(spec.shape)


def split_bytes(data: memoryview) -> Iterator[memoryview]:
    """Split bytes into pieces, between which signals are heard."""
    return (data[begin : begin + _PIECE_BYTES] for begin in range(0, len(data), _PIECE_BYTES))


def read_pieces(stream: BufferedIOBase, spec: TensorSpec) -> Iterator[bytes]:
    """Read the bytes of a tensor, some at a time.

    Raises:
        ValueError: the file ends within them.
    """
    left = spec.nbytes
    while left:
        piece = stream.read(min(left, _PIECE_BYTES))
        if not piece:
            raise ValueError("it became shorter while it was read")
        left -= len(piece)
        yield piece


def _spec_of(name: str, entry: object) -> TensorSpec:
    if not _TENSOR_NAME.fullmatch(name) or not isinstance(entry, dict):
        raise ValueError(f"tensor {name!r:.80} is not one that a model has")
    kind, shape = str(entry.get("dtype")), entry.get("shape")
    if kind not in _TYPES:
        raise ValueError(f"tensor {name!r:.80} is of type {kind:.40}")
    if (
        not isinstance(shape, list)
        or len(shape) > _MOST_DIMENSIONS
        or not all(type(size) is int and 0 <= size <= MOST_BYTES for size in shape)
    ):
        raise ValueError(f"tensor {name!r:.80} is of shape {shape!r:.80}")
    return TensorSpec(_TYPES[kind], tuple(shape))


def _count_parts(text: str) -> int:
    return sum(map(text.count, "[{,"))
