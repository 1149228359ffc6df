"""Estimate the memory and the file that training takes, from sizes alone, before anything is made.

The estimates are lower bounds, so that nothing is refused that would succeed. This module does not
import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from charrnn.checkpoints.safetensors_io import check_file_size
from charrnn.config.cells import CELLS
from charrnn.config.limits import check_memory
from charrnn.config.model import ModelConfig
from charrnn.config.training import ComputeConfig, TrainConfig
from charrnn.data.batches import Shape
from charrnn.errors import Remedy
from charrnn.models.parameter_shapes import list_parameter_shapes
from charrnn.training.auto_config import fill_layers

OPTIMIZER_NUMBERS = {"adamw": 2, "adam": 2}
"""Numbers that an optimizer keeps for each weight; one where none is listed."""

_LEAST = Shape(1, 1)
_BYTES, _LEAST_BYTES = 4, 2
_SAVED = 2
"""The model and its average are saved, besides the optimizer's numbers."""

_FEWER_LAYERS = Remedy("give it fewer layers", "layers")
_NARROWER = Remedy("make them narrower", "hidden")
_SHORTER = Remedy("use shorter windows", "window")
_SMALLER_BATCH = Remedy("use a smaller batch", "batch")


def check_training_size(
    model: ModelConfig,
    train: TrainConfig,
    compute: ComputeConfig,
    alphabet_size: int,
    shape: Shape,
) -> None:
    """Check that a network can be trained in the memory there is, and saved.

    Args:
        model: its shape.
        train: its optimizer.
        compute: the device and precision.
        alphabet_size: V.
        shape: batch size and window, as fitted to the text.

    Raises:
        UsageError: it takes more memory than is available, or a larger file than is allowed.
    """
    weights = count_weights(model, alphabet_size)
    saved = _BYTES * weights * (_SAVED + OPTIMIZER_NUMBERS.get(train.optimizer, 1))
    of_weights, of_window = saved, 0
    # On another device, which "auto" may come to, gradients and windows take none of this memory.
    if compute.device == "cpu":
        of_weights += _BYTES * weights
        bytes_each = _BYTES if compute.precision == "fp32" else _LEAST_BYTES
        of_window = bytes_each * count_activations(model, alphabet_size, shape)
    ways = (_FEWER_LAYERS, _NARROWER, _SMALLER_BATCH, _SHORTER)
    subject = (
        f"training a network of {model.layers:,} x {model.hidden:,} units, {weights:,} weights, in "
        f"windows of {shape.batch:,} x {shape.window:,} characters"
    )
    # While a checkpoint is saved, its file is in memory too, and no window is.
    largest = of_weights + max(of_window, saved)
    check_memory(largest, subject, *(ways[2:] if of_window > saved + of_weights else ways[:2]))
    check_file_size(saved)


def check_settings_size(
    settings: Mapping[str, Any], alphabet_size: int = 1, shape: Shape = _LEAST
) -> None:
    """Check the size of a network as :func:`check_training_size` does, as far as it is known.

    Args:
        settings: every setting by name; one that is None is chosen later.
        alphabet_size: V; 1 before the text is read.
        shape: batch size and window, at least.
    """
    if settings["hidden"] is None:
        return
    known = fill_layers(settings)
    model, train = ModelConfig.pick(known), TrainConfig.pick(known)
    check_training_size(model, train, ComputeConfig.pick(known), alphabet_size, shape)


def count_weights(model: ModelConfig, alphabet_size: int) -> int:
    """Count the numbers of a network, with V characters."""
    return sum(map(prod, list_parameter_shapes(model, alphabet_size).values()))


def count_activations(model: ModelConfig, alphabet_size: int, shape: Shape) -> int:
    """Count the numbers that a training step holds at once for a window, at least.

    Of each layer they are the gates, the state and the output; then the gradients of a layer's
    gates and of its output; and the logits, whose gradients may take their place. A cell with
    stacks keeps all their elements for each step.

    Args:
        model: the network.
        alphabet_size: V.
        shape: batch size and window.
    """
    gates = CELLS[model.cell].gates
    of_layer = (gates + 2) * model.hidden + (model.stacks or 0) * (model.stack_depth or 0)
    at_once = (gates + 1) * model.hidden + alphabet_size
    of_character: int = model.layers * of_layer // 2**model.pyramid + at_once
    return shape.batch * shape.window * of_character
