"""A model as a network that the native library trains, over the model's own parameters."""

from __future__ import annotations

import torch
from torch import Tensor

from charrnn.kernels.torch_calls import load_shared_kernels
from charrnn.kernels.training_network import LAYER_PARAMETERS, NetworkParameters, TrainingNetwork
from charrnn.models.char_model import CharModel
from charrnn.models.layer_norm import LayerNorm


def can_train(model: CharModel) -> bool:
    """Return whether the native library is available and trains a model, which is on the CPU."""
    return (
        all(cell.native_form for cell in model.layers())
        # Batch normalization has running statistics.
        and not list(model.buffers())
        and all(parameter.dtype == torch.float32 for parameter in model.parameters())
        and load_shared_kernels() is not None
    )


def build_training_network(
    model: CharModel, *, steps: int, batch: int, bfloat16: bool
) -> TrainingNetwork:
    """Build the native network of a model that :func:`can_train` accepts.

    Args:
        model: its parameters are read where they lie.
        steps: the most steps of a window (T).
        batch: B.
        bfloat16: whether products are made in bfloat16; else in float32.

    Raises:
        ValueError: there is no native library.
    """
    kernels = load_shared_kernels()
    if kernels is None:
        raise ValueError("there is no native library")
    (form,) = {cell.native_form for cell in model.layers()}
    return TrainingNetwork(
        kernels,
        _list_parameters(model),
        form=form,
        connect=model.connect,
        steps=steps,
        batch=batch,
        bfloat16=bfloat16,
    )


def pair_gradients(model: CharModel, network: TrainingNetwork) -> list[tuple[Tensor, Tensor]]:
    """Pair each parameter of a model, in its own order, with its gradient in the network."""
    pairs = zip(_list_parameters(model).listed(), network.gradients.listed(), strict=True)
    gradients = {id(parameter): gradient for parameter, gradient in pairs}
    return [
        (parameter, gradient)
        for parameter in model.parameters()
        if (gradient := gradients[id(parameter)]) is not None
    ]


def _list_parameters(model: CharModel) -> NetworkParameters:
    """List the parameters of a model of native cells for the native library."""
    layers = []
    for cell, norm in zip(model.layers(), model.norms, strict=True):
        own: dict[str, Tensor] = dict(cell.named_parameters())
        if isinstance(norm, LayerNorm):
            own |= {"gain": norm.weight, "shift": norm.bias}
        layers.append([own.get(name) for name in LAYER_PARAMETERS])
    return NetworkParameters(model.embedding.weight, layers, model.head.weight, model.head.bias)
