"""An array that grows in memory and, beyond a limit, in a temporary file without a name."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import Remedy, StorageError

MOST_IN_MEMORY = 64 << 20
"""The most bytes kept in memory; a larger array is mapped from its file on demand."""

_AT_ONCE = 1 << 20


class GrowingArray:
    """An array of unsigned integers, shape (N,), that grows at its end.

    The temporary file disappears with the array, or with the process. Every method raises
    StorageError if the file cannot be written.

    Args:
        kind: the initial type of the elements; it widens as wider elements are added.
    """

    def __init__(self, kind: np.dtype[Any]) -> None:
        self._kind = kind
        self._file: IO[bytes] = BytesIO()
        self._bytes = 0

    def __del__(self) -> None:
        if not isinstance(self._file, BytesIO):
            # Closing flushes again what could not be written before.
            with suppress(OSError):
                self._file.close()

    def __len__(self) -> int:
        return self._bytes // self._kind.itemsize

    def add(self, part: NDArray[Any]) -> None:
        """Append elements whose type is as wide as the present one, or wider."""
        if part.dtype.itemsize > self._kind.itemsize:
            self._widen(part.dtype)
        self._append(part)

    def translate(self, table: NDArray[Any]) -> None:
        """Replace each element by the table's value at it, which must fit the elements' type."""
        for begin, part in self._parts():
            with _in_temporary_file():
                self._file.seek(begin)
                self._file.write(table[part].astype(self._kind, copy=False).data)

    def array(self) -> NDArray[Any]:
        """Return all elements, read-only; nothing can be added afterwards."""
        if isinstance(self._file, BytesIO):
            return np.frombuffer(self._file.getbuffer().toreadonly(), self._kind)
        with _in_temporary_file():
            self._file.flush()
            return np.frombuffer(
                mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ), self._kind
            )

    def _append(self, part: NDArray[Any]) -> None:
        data = part.astype(self._kind, copy=False).data
        self._bytes += data.nbytes
        if self._bytes > MOST_IN_MEMORY:
            self._leave_memory()
        with _in_temporary_file():
            self._file.write(data)

    def _leave_memory(self) -> None:
        if isinstance(self._file, BytesIO):
            held = self._file.getbuffer()
            with _in_temporary_file():
                self._file = TemporaryFile()  # noqa: SIM115 - closed with this object
                self._file.write(held)

    def _widen(self, kind: np.dtype[Any]) -> None:
        # The old and the new array exist at once for a moment.
        if self._bytes > MOST_IN_MEMORY // 4:
            self._leave_memory()
        wider = GrowingArray(kind)
        for _, part in self._parts():
            wider._append(part)
        self._kind, self._bytes = kind, wider._bytes
        self._file, wider._file = wider._file, self._file

    def _parts(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the offset in bytes and the elements of each block; leaves the file at its end."""
        for begin in range(0, self._bytes, _AT_ONCE):
            with _in_temporary_file():
                self._file.seek(begin)
                data = self._file.read(_AT_ONCE)
            yield begin, np.frombuffer(data, self._kind)


def split_into_blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Iterate over an array (N,) block by block, so that derived arrays take little memory."""
    return (array[begin : begin + _AT_ONCE] for begin in range(0, len(array), _AT_ONCE))


@contextmanager
def _in_temporary_file() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise StorageError(
            f"a text of more than {MOST_IN_MEMORY >> 20} MB is kept in a temporary file: "
            f"{problem.strerror}",
            Remedy("set TMPDIR to a folder with more room"),
        ) from problem
