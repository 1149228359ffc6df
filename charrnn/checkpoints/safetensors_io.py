"""The safetensors container as charrnn writes it: a table of contents, then the tensors' bytes.

    8 bytes    length of the table, little-endian
    table      JSON, padded with blanks to a multiple of 8 bytes:
               {"__metadata__": {"charrnn": TEXT}, NAME: {"dtype", "shape", "data_offsets"}, ...}
    data       the tensors, one right after another, in the table's order

The format leaves much open: blanks, escapes, order, keys that nobody reads. charrnn writes one
spelling of it, that of the safetensors library, and reads no other, so that a table
that was changed in any way is refused. Files are read, never mapped into memory: one that shrinks
meanwhile would take the process with it.
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

from charrnn.errors import Remedy, UsageError

MOST_BYTES = 2**33
"""Length of the largest file that is written or read."""

MOST_TABLE_BYTES = 2**24
"""Length of the longest table: room for an alphabet of all Unicode, and more."""

MOST_PARTS = 2**17
"""Brackets and commas in the largest JSON that is parsed; each may become an object in memory."""

_MOST_TENSORS = 8192
_MOST_DIMENSIONS = 8
_TYPES: dict[str, np.dtype[Any]] = {
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "U8": np.dtype("u1"),
}
"""By the format's names, in the order in which tensors follow each other."""

_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_TENSOR_NAME = re.compile(r"[\w.]{1,200}", re.ASCII)
_PIECE_BYTES = 2**20


class TensorSpec(NamedTuple):
    """What a table says of a tensor; an array has the same attributes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that the tensor takes."""
        return self.dtype.itemsize * math.prod(self.shape)


Specs = dict[str, TensorSpec]
"""What a table lists, in its order."""


def parse_json(text: str) -> Any:
    """What JSON says, if it is not so large that reading it would fill the memory.

    Raises:
        ValueError: not JSON, or too much of it.
    """
    if _count_parts(text) > MOST_PARTS:
        raise ValueError("its header has more parts than any of charrnn's")
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        raise ValueError(f"its header is not JSON: {problem}") from None
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None


def to_json(value: Mapping[str, Any]) -> str:
    """The one spelling in which charrnn writes JSON into a file.

    Raises:
        ValueError: a number that is not finite.
    """
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def pack(text: str, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of a file.

    Raises:
        UsageError: they would be more than a reader takes.
        ValueError: a tensor whose name or type no reader takes.
    """
    for name, array in arrays.items():
        if not _TENSOR_NAME.fullmatch(name) or array.dtype not in _NAMES:
            raise ValueError(f"tensor {name} is of type {array.dtype}")
    order = list(_NAMES)
    names = sorted(arrays, key=lambda name: (order.index(arrays[name].dtype), name))
    head = encode_head(text, {n: TensorSpec(arrays[n].dtype, arrays[n].shape) for n in names})
    size = len(head) + sum(array.nbytes for array in arrays.values())
    if size > MOST_BYTES:
        raise UsageError(
            f"a checkpoint of this model would be {size:,} bytes long; at most {MOST_BYTES:,} are "
            "allowed",
            Remedy("give it fewer layers", "layers"),
            Remedy("make them narrower", "hidden"),
        )
    if len(head) > MOST_TABLE_BYTES or _count_parts(head[8:].decode()) > MOST_PARTS:
        raise UsageError(
            "the names of the texts are too many to be kept in a checkpoint",
            Remedy("put the texts into a folder and name that"),
        )
    return save(
        {name: np.require(array, requirements="C") for name, array in arrays.items()},
        metadata={"charrnn": text},
    )


def encode_head(text: str, specs: Specs) -> bytes:
    """What stands before the data of a file with that text and those tensors, in their order."""
    table: dict[str, Any] = {"__metadata__": {"charrnn": text}}
    end = 0
    for name, spec in specs.items():
        begin, end = end, end + spec.nbytes
        table[name] = {
            "dtype": _NAMES[spec.dtype],
            "shape": spec.shape,
            "data_offsets": [begin, end],
        }
    encoded = to_json(table).encode()
    encoded += b" " * (-len(encoded) % 8)
    return len(encoded).to_bytes(8, "little") + encoded


def read_head(stream: BufferedIOBase) -> bytes:
    """What stands before the data, read from a file's beginning.

    Raises:
        ValueError: the file is cut short or absurdly large.
    """
    prefix = stream.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or length > MOST_TABLE_BYTES:
        raise ValueError("it does not begin with the length of a header")
    table = stream.read(length)
    if len(table) < length:
        raise ValueError("it is cut short within its header")
    return prefix + table


def specs_of(table: dict[str, Any]) -> Specs:
    """The tensors that a parsed table lists, besides its metadata.

    Raises:
        ValueError: one that no file of charrnn's holds.
    """
    listed = {name: entry for name, entry in table.items() if name != "__metadata__"}
    if len(listed) > _MOST_TENSORS:
        raise ValueError(f"holds {len(listed):,} tensors; no model has so many")
    return {name: _spec_of(name, entry) for name, entry in listed.items()}


def read_array(stream: BufferedIOBase, spec: TensorSpec) -> NDArray[Any]:
    """The tensor whose bytes come next.

    Raises:
        ValueError: the file ends before.
    """
    data = np.empty(spec.nbytes, np.uint8)
    if stream.readinto(data.data) != spec.nbytes:
        raise ValueError("it became shorter while it was read")
    return data.view(spec.dtype).reshape(spec.shape)


def read_pieces(stream: BufferedIOBase, spec: TensorSpec) -> Iterator[bytes]:
    """The same bytes, a few at a time.

    Raises:
        ValueError: the file ends before.
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
