"""Weights in fewer bits."""

import numpy as np
import torch

from charrnn.inference.quantization import round_weights, to_bfloat16, to_int8

MATRIX = np.random.default_rng(0).normal(size=(7, 33)).astype(np.float32)


def test_bfloat16_is_torchs() -> None:
    ties = np.array([[1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 0.0]], np.float32)
    for matrix in (MATRIX, ties, 1e-38 * MATRIX):
        expected = torch.from_numpy(matrix).bfloat16().float().numpy()
        np.testing.assert_array_equal(to_bfloat16(matrix), expected)


def test_int8_keeps_127_steps_of_each_row() -> None:
    matrix = np.concatenate((MATRIX, np.zeros((1, 33), np.float32)))
    rounded = to_int8(matrix)
    scale = np.abs(matrix).max(1, keepdims=True) / 127
    assert (np.abs(rounded - matrix) <= scale * 0.5001).all()
    steps = rounded[:-1] / scale[:-1]
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
    assert (np.abs(np.rint(steps)).max(1) == 127).all()


def test_the_largest_values_are_rounded_without_a_warning() -> None:
    largest = np.full((1, 3), np.finfo(np.float32).max)
    for _ in range(64):
        assert (to_int8(largest) >= largest * np.float32(0.99)).all()
        assert (to_bfloat16(largest) >= largest * np.float32(0.99)).all()
        largest = np.nextafter(largest, np.float32(0))


def test_what_is_looked_up_and_what_is_added_stays() -> None:
    names = [
        *("embedding.weight", "cells.0.input_weight", "cells.0.cell.input_weight"),
        *("cells.0.recurrent_weight", "cells.1.input_weight", "cells.10.input_weight"),
        "head.weight",
    ]
    weights = dict.fromkeys(names, MATRIX) | {"head.bias": MATRIX[0]}
    for kind in ("bf16", "int8"):
        rounded = round_weights(weights, kind)
        kept = [name for name in weights if rounded[name] is weights[name]]
        assert kept == [*names[:3], "head.bias"]
    assert all(value is weights[name] for name, value in round_weights(weights, "fp32").items())
