"""A model's weights -> the native network, where there is one for such a model.

Using a model without torch: the native network, and what samples from it and scores with it.

Reading and writing by turns through the native network; see ``playing.py``.

The native network as ``reading.py`` reads with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.config.cells import CELLS
from charrnn.config.inference import SampleConfig
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet, Ids, opening
from charrnn.errors import NOT_FINITE, CheckpointError
from charrnn.inference.sampling import Pace
from charrnn.kernels.library import load_kernels
from charrnn.kernels.network import Doubles, Filters, Floats, Network, NetworkWeights

NORM_EPSILON = 1e-5
"""What batch normalisation adds to the variance, as ``models/cells/batch_norm.py`` does."""


def can_serve(config: ModelConfig) -> bool:
    """Whether the native library is there and runs such a model: its cell, and no pyramid."""
    return (
        bool(CELLS[config.cell].native_form) and not config.pyramid and load_kernels() is not None
    )


def build_network(
    config: ModelConfig, weights: Mapping[str, NDArray[Any]], *, bfloat16: bool = False
) -> Network:
    """The native network of a model that :func:`can_serve` is true of.

    Args:
        config: the model's shape.
        weights: by name as in a model file, of the shapes that the configuration calls for.
        bfloat16: whether products are made in bfloat16; else in float32.
    """
    kernels = load_kernels()
    if kernels is None:
        raise ValueError("there is no native library here")
    maps = [_input_map(weights, layer) for layer in range(config.layers)]
    first, bias = maps[0]
    # Weights too large for their products, which no training makes, saturate the gates.
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
    )


def _input_map(weights: Mapping[str, NDArray[Any]], layer: int) -> tuple[Floats, Floats]:
    """Weight (G * H, D) and bias (G * H) from the inputs into the gates; batch norm is folded in.

    See :meth:`charrnn.models.cells.base.GatedCell.input_map`.
    """
    cell = f"cells.{layer}."
    weight, bias = weights[f"{cell}input_weight"], weights[f"{cell}bias"]
    if f"{cell}input_norm.gain" not in weights:
        return weight, bias
    gain, mean, var = (
        weights[f"{cell}input_norm.{name}"] for name in ("gain", "running_mean", "running_var")
    )
    # A variance below 0, which no training makes, comes out when predictions are not finite.
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        scale = gain / np.sqrt(var + np.float32(NORM_EPSILON))
        return scale[:, None] * weight, bias - scale * mean


_MOST_AT_ONCE = 4096


class NativePlace(NamedTuple):
    """The states before the last id, and that id: shape (1,), or (0,) before any text."""

    states: Floats
    unread: Ids


class NativeVoice:
    """A :class:`charrnn.inference.interactive.Voice` without torch.

    Args:
        network: of a model with this alphabet.
        alphabet: the model's.
    """

    def __init__(self, network: Network, alphabet: Alphabet) -> None:
        self._network = network
        self._opening = opening(alphabet)

    def beginning(self) -> NativePlace:
        """The place before any text."""
        return NativePlace(self._network.fresh_states(1), self._opening[:0])

    def read(self, place: NativePlace, ids: Ids) -> NativePlace:
        """The place after some more ids, shape (N,)."""
        states = place.states.copy()
        ids = np.concatenate([place.unread, ids])
        for begin in range(0, len(ids) - 1, _MOST_AT_ONCE):
            self._network.read(ids[:-1][begin : begin + _MOST_AT_ONCE, None], states)
        return NativePlace(states, ids[-1:])

    def write(
        self, place: NativePlace, config: SampleConfig, generator: np.random.Generator
    ) -> Iterator[tuple[Ids, NativePlace]]:
        """Draw ids; the first piece is one, later ones grow to what takes about 10 ms."""
        filters = Filters(config.temp, config.top_k, config.top_p, config.min_p)
        unread = place.unread if len(place.unread) else self._opening
        states, left, pace = place.states, config.length, Pace()
        while left:
            states = states.copy()
            with pace.next(left) as count:
                drawn = self._network.draw(unread, generator.random((1, count)), states, filters)[0]
            if drawn.min() < 0:
                raise CheckpointError(NOT_FINITE)
            unread, left = drawn[-1:], left - count
            yield drawn, NativePlace(states, unread)


class NativeReader:
    """A :class:`charrnn.inference.backend.Reader`.

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
