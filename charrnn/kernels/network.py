"""A whole network in the native library: weights packed once, steps without torch.

Letters as everywhere: T steps, R rows side by side, L layers of H units, G products for each unit,
V characters. Shapes of the weights head ``native/network.h``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.kernels.library import Kernels

FORMS = {
    "separate": 2,
    "coupled": 2,
    "capped": 2,
    "after": 1,
    "before": 1,
    "tanh": 1,
    "relu": 1,
    "sigmoid": 1,
}
"""Forms of recurrence in the order of the native library, with the parts of a layer's state: LSTMs,
GRUs, plain networks."""

_PRODUCTS = {"separate": 4, "coupled": 3, "capped": 4, "after": 3, "before": 3}
_PRODUCTS |= dict.fromkeys(("tanh", "relu", "sigmoid"), 1)
"""G of each form."""

CONNECTIONS = ("stack", "residual", "sum")
"""The ways to connect layers, in the order of the native library."""

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class NetworkWeights(NamedTuple):
    """A network's weights, float32.

    Attributes:
        table: (V, G * H), each character's part in the first layer's gates, bias included.
        below: (L - 1, G * H, H), the upper layers' weights from the layer below.
        bias: (L - 1, G * H), of the upper layers.
        recurrent: (L, G * H, H).
        candidate: (L, H), the second bias of a GRU with the reset after the product.
        gain: (L, H), of layer normalization; None without.
        shift: (L, H), likewise.
        head: (V, H).
        head_bias: (V).
    """

    table: Floats
    below: Floats
    bias: Floats
    recurrent: Floats
    candidate: Floats | None
    gain: Floats | None
    shift: Floats | None
    head: Floats
    head_bias: Floats


def _check_shapes(weights: NetworkWeights, form: str) -> None:
    """Raise ValueError unless the weights are those of one network of a form."""
    layers, rows, hidden = weights.recurrent.shape
    characters = len(weights.table)
    of_layers = (layers, hidden)
    expected = {
        "table": (characters, rows),
        "below": (layers - 1, rows, hidden),
        "bias": (layers - 1, rows),
        "recurrent": (layers, _PRODUCTS[form] * hidden, hidden),
        "candidate": of_layers if form == "after" else None,
        "gain": None if weights.gain is None else of_layers,
        "shift": None if weights.gain is None else of_layers,
        "head": (characters, hidden),
        "head_bias": (characters,),
    }
    for name, array in weights._asdict().items():
        shape = None if array is None else array.shape
        if shape != expected[name]:
            raise ValueError(f"{name} is of shape {shape}; {form} takes {expected[name]}")


class Filters(NamedTuple):
    """The filters of a draw; see :func:`charrnn.inference.sampling.filter_distribution`."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0


class Network:
    """A network of layers of one cell that reads, draws and scores.

    The caller owns the states: (L, parts, R, H), float32, C-contiguous, from :meth:`fresh_states`;
    every call advances them in place. A row's results depend neither on the other rows nor on the
    number of threads.

    Args:
        kernels: the native library.
        weights: of the model.
        form: one of FORMS.
        connect: one of CONNECTIONS.
        bfloat16: whether products are made in bfloat16, with sums in float32; else in float32.

    Raises:
        ValueError: weights whose shapes do not go together; the library would read beyond them.
    """

    def __init__(
        self,
        kernels: Kernels,
        weights: NetworkWeights,
        *,
        form: str,
        connect: str,
        bfloat16: bool = False,
    ) -> None:
        _check_shapes(weights, form)
        self._library = kernels.functions
        weights = NetworkWeights._make(
            None if array is None else np.ascontiguousarray(array, np.float32) for array in weights
        )
        self.characters = len(weights.table)
        self.layers, _, self.hidden = weights.recurrent.shape
        self.parts = FORMS[form]
        self._handle = self._library.charrnn_network_new(
            *(int(bfloat16), list(FORMS).index(form), CONNECTIONS.index(connect)),
            *(self.characters, self.layers, self.hidden),
            *_addresses(*weights),
        )
        # The library reads these in place; it has packed copies of the others.
        self._unpacked = (weights.candidate, weights.gain, weights.shift, weights.head_bias)

    def __del__(self) -> None:
        if handle := self.__dict__.pop("_handle", None):
            self._library.charrnn_network_free(handle)

    def fresh_states(self, rows: int) -> Floats:
        """Return the states before any text."""
        return np.zeros((self.layers, self.parts, rows, self.hidden), np.float32)

    def read(self, ids: NDArray[Any], states: Floats, threads: int = 1) -> None:
        """Read ids (T, R)."""
        self._read(ids, states, None, threads)

    def predict(self, ids: NDArray[Any], states: Floats, threads: int = 1) -> Floats:
        """Read ids (T, R); return the logits (T, R, V) of the character after each."""
        logits = np.empty((*ids.shape, self.characters), np.float32)
        self._read(ids, states, logits, threads)
        return logits

    def draw(
        self,
        last: NDArray[Any],
        uniforms: Doubles,
        states: Floats,
        filters: Filters,
        threads: int = 1,
    ) -> NDArray[np.int32]:
        """Draw text: read the last character, draw the next, read it, and so on.

        Args:
            last: ids (R,) that the states have not read yet.
            uniforms: (R, n), from [0, 1).
            states: those before ``last``; they become those before the last id drawn.
            filters: of the distribution.
            threads: at most.

        Returns:
            Ids (R, n), of which each row is -1 from where its logits are not finite.
        """
        rows, count = uniforms.shape
        self._check_states(states, rows)
        ids, uniforms = self._checked(last, (rows,)), np.ascontiguousarray(uniforms, np.float64)
        drawn = np.empty((rows, count), np.int32)
        self._library.charrnn_network_draw(
            *(self._handle, threads, count, rows),
            *(filters.temperature, min(filters.top_k, 2**31 - 1), filters.top_p, filters.min_p),
            *_addresses(ids, uniforms, states, drawn),
        )
        return drawn

    def score(
        self, ids: NDArray[Any], targets: NDArray[Any], states: Floats, threads: int = 1
    ) -> Doubles:
        """Read ids (T, R); return the nats (T, R) of targets (T, R), the ids that follow."""
        steps, rows = ids.shape
        self._check_states(states, rows)
        nats = np.empty((steps, rows), np.float64)
        read, wanted = self._checked(ids, ids.shape), self._checked(targets, ids.shape)
        self._library.charrnn_network_score(
            *(self._handle, threads, steps, rows), *_addresses(read, wanted, states, nats)
        )
        return nats

    def _read(self, ids: NDArray[Any], states: Floats, logits: Floats | None, threads: int) -> None:
        steps, rows = ids.shape
        self._check_states(states, rows)
        checked = self._checked(ids, ids.shape)
        self._library.charrnn_network_read(
            *(self._handle, threads, steps, rows), *_addresses(checked, states, logits)
        )

    def _checked(self, ids: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.int32]:
        """Convert ids for the library, which looks them up without a check of its own."""
        if ids.shape != shape or ids.dtype.kind not in "iu":
            raise ValueError(f"ids are {ids.dtype} of shape {ids.shape}, not integers of {shape}")
        if ids.size and not (ids.min() >= 0 and ids.max() < self.characters):
            raise ValueError(f"ids must be from 0 to {self.characters - 1}")
        return np.ascontiguousarray(ids, np.int32)

    def _check_states(self, states: Floats, rows: int) -> None:
        shape = (self.layers, self.parts, rows, self.hidden)
        sound = states.flags.c_contiguous and states.flags.writeable
        if states.shape != shape or states.dtype != np.float32 or not sound:
            raise ValueError(f"states are {states.dtype} of shape {states.shape}, not {shape}")


def _addresses(*arrays: NDArray[Any] | None) -> list[int | None]:
    """Return the addresses of arrays, which the caller must keep alive."""
    return [None if array is None else array.ctypes.data for array in arrays]
