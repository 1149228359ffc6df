"""The native backend, which runs the models that the native library supports, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.config.cells import CELLS
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Ids
from charrnn.errors import PredictionError
from charrnn.kernels.library import Kernels, load_kernels
from charrnn.kernels.network import (
    Doubles,
    Expert,
    Filters,
    Floats,
    Histories,
    Network,
    NetworkWeights,
)
from charrnn.models.ngram_expert import NgramExpert

NORM_EPSILON = 1e-5
"""The term that batch normalization adds to the variance, as in ``models/cells/batch_norm.py``."""


def can_serve(config: ModelConfig) -> bool:
    """Return whether the native library is available and supports the model."""
    return (
        bool(CELLS[config.cell].native_form) and not config.pyramid and load_kernels() is not None
    )


def build_network(
    config: ModelConfig,
    weights: Mapping[str, NDArray[Any]],
    *,
    bfloat16: bool = False,
    expert: NgramExpert | None = None,
) -> Network:
    """Build the native network of a model that :func:`can_serve` accepts.

    Args:
        config: the model's settings.
        weights: the weights by name as in a model file, of the configuration's shapes.
        bfloat16: True computes products in bfloat16, else in float32.
        expert: joined with the network's predictions; None for none.

    Raises:
        ValueError: the native library is not available.
    """
    kernels = load_kernels()
    if kernels is None:
        raise ValueError("the native library is not available")
    maps = [_input_map(weights, layer) for layer in range(config.layers)]
    first, bias = maps[0]
    # Products of extremely large weights, which training does not produce, saturate the gates.
    with np.errstate(invalid="ignore", over="ignore"):
        table = weights["embedding.weight"] @ first.T + bias
    rows, hidden = len(first), config.hidden
    above = maps[1:]

    def stacked(name: str) -> Floats:
        return np.stack([weights[name.format(layer)] for layer in range(config.layers)])

    def stacked_if_any(name: str) -> Floats | None:
        return stacked(name) if name.format(0) in weights else None

    network_weights = NetworkWeights(
        table=table,
        below=np.array([weight for weight, _ in above], np.float32).reshape(-1, rows, hidden),
        bias=np.array([bias for _, bias in above], np.float32).reshape(-1, rows),
        recurrent=stacked("cells.{}.recurrent_weight"),
        candidate=stacked_if_any("cells.{}.candidate_bias"),
        gain=stacked_if_any("norms.{}.weight"),
        shift=stacked_if_any("norms.{}.bias"),
        head=weights["head.weight"],
        head_bias=weights["head.bias"],
    )
    return Network(
        kernels,
        network_weights,
        form=getattr(config, CELLS[config.cell].native_form),
        connect=config.connect,
        bfloat16=bfloat16,
        expert=None if expert is None else _build_expert(kernels, expert),
    )


def _build_expert(kernels: Kernels, expert: NgramExpert) -> Expert:
    ngrams = expert.ngrams
    return Expert(kernels, ngrams.alphabet_size, ngrams.orders, expert.of_network, expert.of_ngrams)


def _input_map(weights: Mapping[str, NDArray[Any]], layer: int) -> tuple[Floats, Floats]:
    """Return weight (G * H, D) and bias (G * H) of the gates' inputs, with batch norm folded in.

    See :meth:`charrnn.models.cells.base.GatedCell.input_map`.
    """
    cell = f"cells.{layer}."
    weight, bias = weights[f"{cell}input_weight"], weights[f"{cell}bias"]
    if f"{cell}input_norm.gain" not in weights:
        return weight, bias
    gain, mean, var = (
        weights[f"{cell}input_norm.{name}"] for name in ("gain", "running_mean", "running_var")
    )
    # A variance below 0, which training does not produce, makes the predictions not finite.
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        scale = gain / np.sqrt(var + np.float32(NORM_EPSILON))
        return scale[:, None] * weight, bias - scale * mean


JOINED = 1e-6
"""The largest difference of two states that agree, relative to the largest value in a layer:
about the last digit of float32."""

_STEPS_AT_ONCE = 4096


class NativeState(NamedTuple):
    """The state of R rows.

    Attributes:
        layers: (L, parts, R, H), float32.
        histories: the last characters that the rows have read (R, K - 1), where there is an expert.
    """

    layers: Floats
    histories: Histories | None

    def copy(self) -> NativeState:
        """Copy the arrays."""
        histories = None if self.histories is None else self.histories.copy()
        return NativeState(self.layers.copy(), histories)


class NativeBackend:
    """The native network as a :class:`charrnn.inference.backend.Backend`.

    A row's results do not depend on the other rows, to the last bit.

    Args:
        network: the native network of a model.
        threads: number of threads, which divide the rows among them.
    """

    alignment = 1
    rows_to_draw = 64

    def __init__(self, network: Network, threads: int = 1) -> None:
        self._network, self._threads = network, threads
        self.characters = network.characters
        self.state_size = network.layers * network.parts * network.hidden

    def initial_state(self, rows: int) -> NativeState:
        """Return the initial state, before any text."""
        expert = self._network.expert
        histories = None if expert is None else expert.fresh_histories(rows)
        return NativeState(self._network.fresh_states(rows), histories)

    def select(self, state: NativeState, rows: NDArray[np.int64]) -> NativeState:
        """Return the state of the rows with these indices (R,)."""
        histories = None if state.histories is None else state.histories[rows]
        return NativeState(np.ascontiguousarray(state.layers[:, :, rows]), histories)

    def joined(self, state: NativeState, other: NativeState) -> NDArray[np.bool_]:
        """Return for each row whether its two states agree up to rounding, (R,)."""
        apart = np.abs(state.layers - other.layers).max(-1)
        near = apart <= JOINED * np.abs(other.layers).max(-1)
        joined: NDArray[np.bool_] = near.all((0, 1))
        if state.histories is not None and other.histories is not None:
            joined &= (state.histories == other.histories).all(1)
        return joined

    def hidden(self, state: NativeState) -> dict[str, Floats]:
        """Return the parts of every layer's state by name: (L, R, H) each."""
        layers = state.layers
        return {name: layers[:, part].copy() for part, name in enumerate("hc"[: layers.shape[1]])}

    def read(self, ids: NDArray[Any], state: NativeState) -> NativeState:
        """Read ids (T, R), and return the state after them."""
        after = state.copy()
        for begin in range(0, len(ids), _STEPS_AT_ONCE):
            block = ids[begin : begin + _STEPS_AT_ONCE]
            self._network.read(block, after.layers, self._threads, after.histories)
        return after

    def predict(self, ids: NDArray[Any], state: NativeState) -> tuple[Floats, NativeState]:
        """Return the logits (T, R, V) after each of ids (T, R), and the state after the last."""
        after = state.copy()
        return self._network.predict(ids, after.layers, self._threads, after.histories), after

    def score(
        self, ids: NDArray[Any], targets: NDArray[Any], state: NativeState
    ) -> tuple[Doubles, NativeState]:
        """Return the losses (T, R) in nats of targets (T, R), and the state after ids (T, R)."""
        after = state.copy()
        nats = self._network.score(ids, targets, after.layers, self._threads, after.histories)
        return nats, after

    def draw(
        self, last: NDArray[Any], uniforms: Doubles, state: NativeState, filters: Filters
    ) -> tuple[Ids, NativeState]:
        """Draw ids (R, n) after ``last`` (R,); return them and the state before the last one.

        Raises:
            PredictionError: the model's predictions are not finite.
        """
        after = state.copy()
        drawn = self._network.draw(
            last, uniforms, after.layers, filters, self._threads, after.histories
        )
        if drawn.size and drawn.min() < 0:
            raise PredictionError
        return drawn, after
