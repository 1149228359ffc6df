"""The protocol of a trained network that reads text."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


class Reader(Protocol):
    """A network that reads rows side by side. The caller owns the states.

    Attributes:
        characters: V, those it knows.
    """

    characters: int

    def fresh(self, rows: int) -> Any:
        """The states before any text."""

    def score(
        self, ids: NDArray[Any], targets: NDArray[Any], states: Any
    ) -> tuple[NDArray[Any], Any]:
        """Nats (T, R) of targets (T, R), what follows each of ids (T, R); the states after."""

    def predict(self, ids: NDArray[Any], states: Any) -> tuple[NDArray[Any], Any]:
        """Logits (T, R, V) of what follows each of ids (T, R); the states after."""
