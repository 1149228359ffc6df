"""A whole network in the native library: weights packed once, steps without torch.

Letters as everywhere: T steps, R rows side by side, L layers of H units, G products for each unit,
V characters, K orders of n-grams. Shapes of the weights head ``native/network.h``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
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
Histories = NDArray[np.int32]


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


class Expert:
    """The n-grams of a text, whose predictions are joined with those of a network.

    ``native/ngrams.h`` and ``native/ngram_expert.h`` state shapes and how they are joined. A row's
    history, the last K - 1 characters that it has read, is int32, below 0 where there are none.

    Args:
        kernels: the native library.
        characters: V.
        orders: of each of K orders its begins, characters, counts and totals, all int32; see
            :class:`charrnn.data.ngrams.Strings`.
        of_network: a (K), the exponents of the network.
        of_ngrams: b (K), those of the n-grams.

    Raises:
        ValueError: arrays that do not belong together.
    """

    def __init__(
        self,
        kernels: Kernels,
        characters: int,
        orders: Sequence[Sequence[NDArray[np.int32]]],
        of_network: Floats,
        of_ngrams: Floats,
    ) -> None:
        exponents = [np.ascontiguousarray(each, np.float32) for each in (of_network, of_ngrams)]
        if not orders or any(each.shape != (len(orders),) for each in exponents):
            raise ValueError(f"an expert of {len(orders)} orders takes as many exponents")
        # The library reads the arrays in place.
        self._arrays = [[np.ascontiguousarray(each, np.int32) for each in own] for own in orders]
        contexts = 1
        for begins, last, counts, totals in self._arrays:
            if (
                len(begins) != contexts + 1
                or begins[-1] != len(last)
                or (np.diff(begins) < 0).any()
            ):
                raise ValueError("strings do not belong to the contexts before them")
            if begins[0] or len(counts) != len(last) or len(totals) != contexts:
                raise ValueError("strings and their counts are not equally many")
            if len(last) and not (last.min() >= 0 and last.max() < characters):
                raise ValueError(f"strings end in other characters than 0 to {characters - 1}")
            contexts = len(last)
        self.characters, self.history = characters, len(orders) - 1
        self._library = kernels.functions
        tables = [_pointers(own[n] for own in self._arrays) for n in range(4)]
        self._handle = self._library.charrnn_expert_new(
            characters, len(orders), *tables, *_addresses(*exponents)
        )

    def __del__(self) -> None:
        if handle := self.__dict__.pop("_handle", None):
            self._library.charrnn_expert_free(handle)

    @property
    def handle(self) -> int:
        """The library's own."""
        return int(self._handle)

    def fresh_histories(self, rows: int) -> Histories:
        """Return the histories before any text."""
        return np.full((rows, self.history), -1, np.int32)


class Network:
    """A network of layers of one cell that reads, draws and scores.

    The caller owns the states: (L, parts, R, H), float32, C-contiguous, from :meth:`fresh_states`;
    and with an expert the histories (R, K - 1), from :meth:`Expert.fresh_histories`. Every call
    advances them in place. A row's results depend neither on the other rows nor on the
    number of threads.

    Args:
        kernels: the native library.
        weights: of the model.
        form: one of FORMS.
        connect: one of CONNECTIONS.
        bfloat16: whether products are made in bfloat16, with sums in float32; else in float32.
        expert: joined with the network's predictions; None leaves them as they are.

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
        expert: Expert | None = None,
    ) -> None:
        _check_shapes(weights, form)
        if expert is not None and expert.characters != len(weights.table):
            raise ValueError(f"an expert of {expert.characters} characters, not of this network's")
        self.expert = expert
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

    def read(
        self,
        ids: NDArray[Any],
        states: Floats,
        threads: int = 1,
        histories: Histories | None = None,
    ) -> None:
        """Read ids (T, R)."""
        self._read(ids, states, histories, None, threads)

    def predict(
        self,
        ids: NDArray[Any],
        states: Floats,
        threads: int = 1,
        histories: Histories | None = None,
    ) -> Floats:
        """Read ids (T, R); return the logits (T, R, V) of the character after each."""
        logits = np.empty((*ids.shape, self.characters), np.float32)
        self._read(ids, states, histories, logits, threads)
        return logits

    def draw(
        self,
        last: NDArray[Any],
        uniforms: Doubles,
        states: Floats,
        filters: Filters,
        threads: int = 1,
        histories: Histories | None = None,
    ) -> NDArray[np.int32]:
        """Draw text: read the last character, draw the next, read it, and so on.

        Args:
            last: ids (R,) that the states have not read yet.
            uniforms: (R, n), from [0, 1).
            states: those before ``last``; they become those before the last id drawn.
            filters: of the distribution.
            threads: at most.
            histories: of an expert, in step with the states.

        Returns:
            Ids (R, n), of which each row is -1 from where its logits are not finite.
        """
        rows, count = uniforms.shape
        self._check_states(states, histories, rows)
        ids, uniforms = self._checked(last, (rows,)), np.ascontiguousarray(uniforms, np.float64)
        drawn = np.empty((rows, count), np.int32)
        self._library.charrnn_network_draw(
            *(self._handle, self._expert_handle, threads, count, rows),
            *(filters.temperature, min(filters.top_k, 2**31 - 1), filters.top_p, filters.min_p),
            *_addresses(ids, uniforms, states, histories, drawn),
        )
        return drawn

    def score(
        self,
        ids: NDArray[Any],
        targets: NDArray[Any],
        states: Floats,
        threads: int = 1,
        histories: Histories | None = None,
    ) -> Doubles:
        """Read ids (T, R); return the nats (T, R) of targets (T, R), the ids that follow."""
        steps, rows = ids.shape
        self._check_states(states, histories, rows)
        nats = np.empty((steps, rows), np.float64)
        read, wanted = self._checked(ids, ids.shape), self._checked(targets, ids.shape)
        self._library.charrnn_network_score(
            *(self._handle, self._expert_handle, threads, steps, rows),
            *_addresses(read, wanted, states, histories, nats),
        )
        return nats

    def _read(
        self,
        ids: NDArray[Any],
        states: Floats,
        histories: Histories | None,
        logits: Floats | None,
        threads: int,
    ) -> None:
        steps, rows = ids.shape
        self._check_states(states, histories, rows)
        checked = self._checked(ids, ids.shape)
        self._library.charrnn_network_read(
            *(self._handle, self._expert_handle, threads, steps, rows),
            *_addresses(checked, states, histories, logits),
        )

    @property
    def _expert_handle(self) -> int | None:
        return None if self.expert is None else self.expert.handle

    def _checked(self, ids: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.int32]:
        """Convert ids for the library, which looks them up without a check of its own."""
        if ids.shape != shape or ids.dtype.kind not in "iu":
            raise ValueError(f"ids are {ids.dtype} of shape {ids.shape}, not integers of {shape}")
        if ids.size and not (ids.min() >= 0 and ids.max() < self.characters):
            raise ValueError(f"ids must be from 0 to {self.characters - 1}")
        return np.ascontiguousarray(ids, np.int32)

    def _check_states(self, states: Floats, histories: Histories | None, rows: int) -> None:
        shape = (self.layers, self.parts, rows, self.hidden)
        _check_in_place("states", states, shape, np.float32)
        if (self.expert is None) != (histories is None):
            raise ValueError("histories are those of an expert")
        if self.expert is not None and histories is not None:
            _check_in_place("histories", histories, (rows, self.expert.history), np.int32)
            if histories.size and histories.max() >= self.characters:
                raise ValueError(f"histories hold characters from {self.characters} on")


def _check_in_place(name: str, array: NDArray[Any], shape: tuple[int, ...], dtype: type) -> None:
    """Raise ValueError unless the library can read and write an array where it lies."""
    sound = array.flags.c_contiguous and array.flags.writeable
    if array.shape != shape or array.dtype != dtype or not sound:
        raise ValueError(f"{name} are {array.dtype} of shape {array.shape}, not {shape}")


def _pointers(arrays: Iterable[NDArray[Any]]) -> ctypes.Array[ctypes.c_void_p]:
    """Return an array of the addresses of arrays, which the caller must keep alive."""
    addresses = _addresses(*arrays)
    return (ctypes.c_void_p * len(addresses))(*addresses)


def _addresses(*arrays: NDArray[Any] | None) -> list[int | None]:
    """Return the addresses of arrays, which the caller must keep alive."""
    return [None if array is None else array.ctypes.data for array in arrays]
