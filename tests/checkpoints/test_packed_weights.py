"""Packed weights: matrices in 8 bits a number that come back near to what they were."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import (
    TRAINING,
    Arrays,
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from charrnn.checkpoints.model_file import CorpusFacts, ModelFile, read_model
from charrnn.checkpoints.packed_weights import MOST, pack_weights, unpack_weights
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet
from charrnn.errors import CheckpointError
from charrnn.models.char_model import build_model

ALPHABET = Alphabet.of("\n abcde")


def model_file() -> ModelFile:
    config = ModelConfig(layers=2, hidden=16, embedding=8)
    state = build_model(config, len(ALPHABET), 3).state_dict()
    weights = {name: tensor.numpy() for name, tensor in state.items()}
    return ModelFile(config, ALPHABET, CorpusFacts("herons", "0" * 64, 99, 0.1), None, weights)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A packed model file."""
    path = tmp_path / "packed.safetensors"
    write_checkpoint(path, model_file().to_checkpoint(packed=True))
    return path


def change(path: Path, arrays: Arrays) -> str:
    """Replace tensors of a file, its digest too, and return why it is refused."""
    checkpoint = read_checkpoint(path)
    kept = {**checkpoint.arrays, **arrays}
    write_checkpoint(path, Checkpoint(checkpoint.kind, checkpoint.header, kept))
    with pytest.raises(CheckpointError) as caught:
        read_model(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


@given(
    arrays(
        np.float32,
        array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(-(2.0**100), 2.0**100, width=32),
    )
)
def test_a_number_is_off_by_half_a_step_of_its_row(matrix: NDArray[np.float32]) -> None:
    found = unpack_weights(pack_weights({"w": matrix}))
    step = np.abs(matrix).max(1, keepdims=True) / MOST
    assert found["w"].dtype == np.float32
    assert (np.abs(found["w"] - matrix) <= 0.5001 * step + 1e-37).all()


def test_the_smallest_numbers_keep_their_signs() -> None:
    tiny = np.float32(2.0**-149)
    matrix = np.array([[190, -190, 1, 0]], np.float32) * tiny
    found = unpack_weights(pack_weights({"w": matrix}))["w"]
    assert (np.sign(found) == np.sign(matrix)).all()


def test_a_packed_model_is_read_as_one_and_packs_to_the_same_file(packed: Path) -> None:
    saved, found = model_file(), read_model(packed)
    assert set(found.weights) == set(saved.weights)
    for name, weight in saved.weights.items():
        most = np.abs(weight).max() / (2 * MOST) * 1.001 if weight.ndim == 2 else 0.0
        assert np.abs(found.weights[name] - weight).max() <= most, name
    again = packed.with_name("again.safetensors")
    write_checkpoint(again, found.to_checkpoint(packed=True))
    assert again.read_bytes() == packed.read_bytes()


def test_a_packed_file_takes_about_a_quarter(packed: Path) -> None:
    whole = packed.with_name("whole.safetensors")
    write_checkpoint(whole, model_file().to_checkpoint())

    def matrix_bytes(path: Path) -> int:
        return sum(a.nbytes for a in read_checkpoint(path).arrays.values() if a.ndim == 2)

    assert 4 * matrix_bytes(packed) == matrix_bytes(whole)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"head.weight.scale": np.ones(6, np.float32)}, "head.weight.scale"),
        ({"head.weight.scale": np.ones((7, 1), np.float32)}, "head.weight.scale"),
        ({"head.weight.scale": np.ones(7)}, "head.weight.scale"),
        ({"head.weight": np.ones((7, 16), np.uint8)}, "head.weight.scale"),
        ({"head.weight.scale": np.full(7, 3e38, np.float32)}, "not finite"),
        ({"head.weight.scale": np.full(7, -1, np.float32)}, "not packed"),
        ({"head.weight": np.full((7, 16), -128, np.int8)}, "not packed"),
        ({"head.bias": np.ones(7, np.int8)}, "head.bias is int8"),
        ({"other": np.ones((7, 16), np.int8)}, "other"),
    ],
)
def test_tensors_that_do_not_belong_together_are_refused(
    packed: Path, arrays: Arrays, reason: str
) -> None:
    assert reason in change(packed, arrays)


def test_a_run_is_not_resumed_from_packed_weights(packed: Path) -> None:
    checkpoint = read_checkpoint(packed)
    arrays = {f"average.{name}": array for name, array in checkpoint.arrays.items()}
    write_checkpoint(packed, Checkpoint(TRAINING, checkpoint.header, arrays))
    with pytest.raises(CheckpointError, match=r"scale"):
        read_model(packed)
