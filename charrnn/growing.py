"""Ids gathered in one block of memory that grows in place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Growing:
    """An array of unsigned integers, shape (N,), that is added to at its end.

    A list of parts that is joined in the end would take twice the memory, and more where what is
    freed between the parts is of no use to anyone.

    Args:
        kind: what an element is at first; it widens as wider ones are added.
    """

    def __init__(self, kind: np.dtype[Any]) -> None:
        self._kind = kind
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data) // self._kind.itemsize

    def add(self, part: NDArray[Any]) -> None:
        """Add some more elements, as wide as those before or wider."""
        if part.dtype.itemsize > self._kind.itemsize:
            wider = bytearray(len(self) * part.dtype.itemsize)
            np.frombuffer(wider, part.dtype)[:] = self.array()
            self._kind, self._data = part.dtype, wider
        self._data += part.astype(self._kind, copy=False).data

    def array(self) -> NDArray[Any]:
        """All elements, in the same memory; nothing can be added while the array is in use."""
        return np.frombuffer(self._data, self._kind)
