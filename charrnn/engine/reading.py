"""The native network as ``reading.py`` reads with it."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from charrnn.kernels.network import Doubles, Floats, Network


class NativeReader:
    """A :class:`charrnn.reading.Reader`.

    Args:
        network: of any model.
        threads: among which rows are shared out.
    """

    def __init__(self, network: Network, threads: int = 1) -> None:
        self._network, self._threads = network, threads
        self.characters = network.characters

    def fresh(self, rows: int) -> Floats:
        """The states before any text."""
        return self._network.fresh_states(rows)

    def score(
        self, ids: NDArray[Any], targets: NDArray[Any], states: Floats
    ) -> tuple[Doubles, Floats]:
        """Nats (T, R) of targets (T, R), what follows each of ids (T, R); the states after."""
        after = states.copy()
        return self._network.score(ids, targets, after, self._threads), after

    def predict(self, ids: NDArray[Any], states: Floats) -> tuple[Floats, Floats]:
        """Logits (T, R, V) of what follows each of ids (T, R); the states after."""
        after = states.copy()
        return self._network.predict(ids, after, self._threads), after
