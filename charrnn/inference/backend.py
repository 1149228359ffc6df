"""The protocol of a trained model that reads, scores and draws: native or through torch.

Letters as everywhere: T time steps, R rows side by side, V characters. Time comes first. The caller
owns the state: a call is given one, leaves it as it is and returns the one after, so that every
state can be gone back to. One long pass equals the same text in parts with the state carried, and
what becomes of a row depends on no other row, up to rounding.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Ids
from charrnn.kernels.network import Doubles, Filters, Floats

State = Any
"""The state of R rows: opaque, a backend's own. Only the backend that returned it can use it."""


class Backend(Protocol):
    """A trained model."""

    @property
    def characters(self) -> int:
        """V, the number of characters it knows."""

    @property
    def alignment(self) -> int:
        """Parts of a text that begin at multiples of it are read in step with the whole text.

        It is 1, unless layers run at slower paces: then the slowest one's characters for a step.
        """

    @property
    def state_size(self) -> int:
        """Numbers in the state of one row."""

    @property
    def rows_to_draw(self) -> int:
        """Rows that :meth:`draw` takes at most."""

    def initial_state(self, rows: int) -> State:
        """The state of some rows before any text."""

    def select(self, state: State, rows: NDArray[np.int64]) -> State:
        """The state of some of the rows, given by their indices (R,); repeats are allowed."""

    def joined(self, state: State, other: State) -> NDArray[np.bool_]:
        """Whether each row's two states agree up to rounding, (R,)."""

    def hidden(self, state: State) -> dict[str, Floats]:
        """The hidden state of every layer by name, ``h`` and of an LSTM ``c``: (L, R, H) each."""

    def read(self, ids: NDArray[Any], state: State) -> State:
        """The state after ids (T, R)."""

    def predict(self, ids: NDArray[Any], state: State) -> tuple[Floats, State]:
        """Logits (T, R, V) of the character after each of ids (T, R); the state after them all."""

    def score(
        self, ids: NDArray[Any], targets: NDArray[Any], state: State
    ) -> tuple[Doubles, State]:
        """Nats (T, R) of targets (T, R), each the character after that of ids (T, R); the state.

        They are not finite where the predictions are not.
        """

    def draw(
        self, last: NDArray[Any], uniforms: Doubles, state: State, filters: Filters
    ) -> tuple[Ids, State]:
        """Draw text: take in the last character, draw the next, take it in, and so on.

        Args:
            last: ids (R,) that the state has not seen yet.
            uniforms: (R, n), from [0, 1).
            state: the one before ``last``.
            filters: the distribution that is drawn from; see
                :func:`charrnn.inference.sampling.filter_distribution`.

        Returns:
            Ids (R, n), and the state before the last of them.

        Raises:
            PredictionError: the model's predictions are not finite.
        """
