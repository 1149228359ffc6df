"""Quantization: round weights to fewer bits, and return them as float32.

The first layer looks up the gates' inputs of a character instead of multiplying, so the embedding
and that layer's input weight are kept, and so are vectors. int8 measures the loss with quantized
weights; products are computed in float32 and are not faster.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Arrays
from charrnn.checkpoints.packed_weights import round_to_integers

_LOOKED_UP = re.compile(r"embedding\.weight|cells\.0\..*input_weight")


def round_weights(weights: Arrays, kind: str) -> Arrays:
    """Round the matrices among a model's weights, given by name, to "fp32", "bf16" or "int8"."""
    round_matrix = {"fp32": _keep, "bf16": to_bfloat16, "int8": to_int8}[kind]
    return {
        name: weight if weight.ndim != 2 or _LOOKED_UP.fullmatch(name) else round_matrix(weight)
        for name, weight in weights.items()
    }


def _keep(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    return matrix


def to_bfloat16(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round finite values to 8 significant bits, ties to even."""
    bits = np.ascontiguousarray(matrix).view(np.uint32)
    rounded = (bits + (0x7FFF + (bits >> 16 & 1))) & np.uint32(0xFFFF0000)
    result: NDArray[np.float32] = rounded.astype(np.uint32).view(np.float32)
    return result


def to_int8(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round each row of (N, K) to 127 levels on either side of 0, up to its largest magnitude."""
    integers, scale = round_to_integers(matrix)
    # The largest float32 may overflow, which makes the predictions not finite.
    with np.errstate(over="ignore"):
        return integers * scale
