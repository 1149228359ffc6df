"""Packed weights: the matrices of a model file in 8 bits a number, a quarter of float32.

A matrix (N, K) is stored as integers from -127 to 127, and NAME.scale (N) as float32 numbers:

    weight[n, k] = scale[n] * integer[n, k]        scale[n] = max over k of |weight[n, k]| / 127

It is unpacked when it is read. Vectors stay float32.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Arrays, is_finite
from charrnn.checkpoints.safetensors_io import TensorSpec

PACKED_SINCE = 5
"""The first format of checkpoints that knows packed weights."""

MOST = 127
_SCALE = ".scale"
_INTEGERS, _FLOATS = np.dtype("i1"), np.dtype("<f4")


def round_to_integers(
    matrix: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round each row of (N, K) to integers (N, K) from -127 to 127 times a scale (N, 1)."""
    scale = np.abs(matrix).max(1, keepdims=True) / np.float32(MOST)
    steps = np.divide(matrix, scale, out=np.zeros_like(matrix), where=scale > 0)
    return np.clip(np.rint(steps), -MOST, MOST).astype(np.int8), scale


def pack_weights(weights: Arrays) -> Arrays:
    """Pack all matrices among the weights; values are finite."""
    packed: Arrays = {}
    for name, weight in weights.items():
        if weight.ndim != 2:
            packed[name] = weight
            continue
        packed[name], scale = round_to_integers(weight)
        packed[name + _SCALE] = scale[:, 0]
    return packed


def unpack_weights(arrays: Arrays) -> Arrays:
    """Unpack the matrices that are packed.

    Raises:
        ValueError: a weight is too large for float32, an integer is -128, or a scale is negative.
    """
    unpacked: Arrays = {}
    specs = {name: TensorSpec(array.dtype, array.shape) for name, array in arrays.items()}
    for name, spec in describe_unpacked(specs).items():
        array = arrays[name]
        if spec.dtype != array.dtype:
            scale = arrays[name + _SCALE]
            if array.min(initial=0) < -MOST or scale.min(initial=0) < 0:
                raise ValueError(f"tensor {name!r} is not packed as charrnn packs it")
            with np.errstate(over="ignore"):
                array = array * scale[:, None]
            if not is_finite(array):
                raise ValueError(f"tensor {name!r} holds values that are not finite")
        unpacked[name] = array
    return unpacked


def describe_unpacked(specs: Mapping[str, TensorSpec]) -> dict[str, TensorSpec]:
    """Describe the tensors that :func:`unpack_weights` makes; a tensor of another kind stays."""
    unpacked = dict(specs)
    for name, (dtype, shape) in specs.items():
        scale = specs.get(name + _SCALE)
        if dtype == _INTEGERS and len(shape) == 2 and scale == TensorSpec(_FLOATS, shape[:1]):
            unpacked[name] = TensorSpec(_FLOATS, shape)
            del unpacked[name + _SCALE]
    return unpacked
