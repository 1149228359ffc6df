"""Ids gathered as they come: in memory while they are few, beyond that in a file without a name."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import StorageError

MOST_IN_MEMORY = 64 << 20
"""Bytes; what is longer is read from a file, page by page as it is needed."""

_AT_ONCE = 1 << 20


class Growing:
    """An array of unsigned integers, shape (N,), that is added to at its end.

    The file is gone with the array, or with the process.

    Args:
        kind: what an element is at first; it widens as wider ones are added.

    Every method raises StorageError where the system refuses room for the file.
    """

    def __init__(self, kind: np.dtype[Any]) -> None:
        self._kind = kind
        self._file: IO[bytes] = BytesIO()
        self._bytes = 0

    def __del__(self) -> None:
        if not isinstance(self._file, BytesIO):
            # What could not be written is tried once more.
            with suppress(OSError):
                self._file.close()

    def __len__(self) -> int:
        return self._bytes // self._kind.itemsize

    def add(self, part: NDArray[Any]) -> None:
        """Add some more elements, as wide as those before or wider."""
        if part.dtype.itemsize > self._kind.itemsize:
            self._widen(part.dtype)
        self._append(part)

    def translate(self, table: NDArray[Any]) -> None:
        """Put the table's value at each element in the element's place; it must fit there."""
        for begin, part in self._parts():
            with _in_temporary_file():
                self._file.seek(begin)
                self._file.write(table[part].astype(self._kind, copy=False).data)

    def array(self) -> NDArray[Any]:
        """All elements, to be read; nothing can be added any more."""
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
        # Both are there for a moment.
        if self._bytes > MOST_IN_MEMORY // 4:
            self._leave_memory()
        wider = Growing(kind)
        for _, part in self._parts():
            wider._append(part)
        self._kind, self._bytes = kind, wider._bytes
        self._file, wider._file = wider._file, self._file

    def _parts(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Where each part begins, in bytes, and its elements; the file stands at its end after."""
        for begin in range(0, self._bytes, _AT_ONCE):
            with _in_temporary_file():
                self._file.seek(begin)
                data = self._file.read(_AT_ONCE)
            yield begin, np.frombuffer(data, self._kind)


def in_parts(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """An array (N,) part by part, so that what is made of it takes little memory."""
    return (array[begin : begin + _AT_ONCE] for begin in range(0, len(array), _AT_ONCE))


@contextmanager
def _in_temporary_file() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise StorageError(
            f"a text of more than {MOST_IN_MEMORY >> 20} MB is kept in a temporary file: "
            f"{problem.strerror}. Set TMPDIR to a folder with more room."
        ) from problem
