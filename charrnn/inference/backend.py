"""The protocol of a backend: a trained model, native or in torch, that reads, scores and draws.

Letters: T time steps, R rows in parallel, V characters; time is the first dimension. The caller
owns the state: a call does not change the state that it receives, and returns the state after it.
Up to rounding, one long pass equals the same text in parts with the state carried, and the result
of a row does not depend on the other rows.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Ids
from charrnn.kernels.network import Doubles, Filters, Floats

BackendState = Any
"""The state of R rows. It is opaque: only the backend that returned it can use it."""


class Backend(Protocol):
    """A trained model."""

    @property
    def characters(self) -> int:
        """V, the alphabet size."""

    @property
    def alignment(self) -> int:
        """Period of the slowest layer in characters; 1 unless the model is a pyramid.

        A part of a text can be read by itself if it begins at a multiple of this number.
        """

    @property
    def state_size(self) -> int:
        """Number of values in the state of one row."""

    @property
    def rows_to_draw(self) -> int:
        """The largest number of rows that :meth:`draw` accepts."""

    def initial_state(self, rows: int) -> BackendState:
        """Return the initial state of some rows, before any text."""

    def select(self, state: BackendState, rows: NDArray[np.int64]) -> BackendState:
        """Return the state of the rows with these indices (R,), which may repeat."""

    def joined(self, state: BackendState, other: BackendState) -> NDArray[np.bool_]:
        """Return for each row whether its two states agree up to rounding, (R,)."""

    def hidden(self, state: BackendState) -> dict[str, Floats]:
        """Return every layer's state by name, ``h`` and of an LSTM ``c``: (L, R, H) each."""

    def read(self, ids: NDArray[Any], state: BackendState) -> BackendState:
        """Read ids (T, R), and return the state after them."""

    def predict(self, ids: NDArray[Any], state: BackendState) -> tuple[Floats, BackendState]:
        """Return the logits (T, R, V) after each of ids (T, R), and the state after the last."""

    def score(
        self, ids: NDArray[Any], targets: NDArray[Any], state: BackendState
    ) -> tuple[Doubles, BackendState]:
        """Return the losses (T, R) in nats of targets (T, R), the next ids after ids (T, R).

        Returns:
            The losses, not finite if the predictions are not, and the state after the last of ids.
        """

    def draw(
        self, last: NDArray[Any], uniforms: Doubles, state: BackendState, filters: Filters
    ) -> tuple[Ids, BackendState]:
        """Draw text: read the last character, draw the next, read it, and so on.

        Args:
            last: ids (R,) that have not been read yet.
            uniforms: uniform numbers (R, n) from [0, 1).
            state: the state before ``last``.
            filters: temperature, top-k, top-p and min-p; see
                :func:`charrnn.inference.sampling.filter_distribution`.

        Returns:
            The ids (R, n) drawn, and the state before the last of them.

        Raises:
            PredictionError: the model's predictions are not finite.
        """
