"""A model's weights -> the native network, where there is one for such a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.kernels.library import find
from charrnn.kernels.network import Floats, Network, NetworkWeights
from charrnn.modelconfig import ModelConfig

NORM_EPSILON = 1e-5
"""What batch normalisation adds to the variance, as ``cells/input_norm.py`` does."""

_CELLS = ("lstm", "gru", "rnn")


def can_serve(config: ModelConfig) -> bool:
    """Whether the native library is there and runs such a model: no pyramid, no stacks."""
    return config.cell in _CELLS and not config.pyramid and find() is not None


def build_network(
    config: ModelConfig, weights: Mapping[str, NDArray[Any]], *, bfloat16: bool = False
) -> Network:
    """The native network of a model that :func:`can_serve` is true of.

    Args:
        config: the model's shape.
        weights: by name as in a model file, of the shapes that the configuration calls for.
        bfloat16: whether products are made in bfloat16; else in float32.
    """
    kernels = find()
    if kernels is None:
        raise ValueError("there is no native library here")
    maps = [_input_map(weights, layer) for layer in range(config.layers)]
    first, bias = maps[0]
    # Weights too large for their products, which no training makes, saturate the gates.
    with np.errstate(invalid="ignore", over="ignore"):
        table = weights["embedding.weight"] @ first.T + bias
    rows, hidden = len(first), config.hidden
    above = maps[1:]
    normalised = config.norm == "layer"

    def stacked(name: str) -> Floats:
        return np.stack([weights[name.format(layer)] for layer in range(config.layers)])

    form = config.lstm_gates or config.gru_reset or config.activation
    network_weights = NetworkWeights(
        table=table,
        below=np.array([weight for weight, _ in above], np.float32).reshape(-1, rows, hidden),
        bias=np.array([bias for _, bias in above], np.float32).reshape(-1, rows),
        recurrent=stacked("cells.{}.recurrent_weight"),
        candidate=stacked("cells.{}.candidate_bias") if config.gru_reset == "after" else None,
        gain=stacked("norms.{}.weight") if normalised else None,
        shift=stacked("norms.{}.bias") if normalised else None,
        head=weights["head.weight"],
        head_bias=weights["head.bias"],
    )
    return Network(
        kernels, network_weights, form=str(form), connect=config.connect, bfloat16=bfloat16
    )


def _input_map(weights: Mapping[str, NDArray[Any]], layer: int) -> tuple[Floats, Floats]:
    """Weight (G * H, D) and bias (G * H) from the inputs into the gates; batch norm is folded in.

    See :meth:`charrnn.cells.contract.GatedCell.input_map`.
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
