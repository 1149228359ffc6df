"""The optimiser, and its state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.99)


def build_optimizer(model: nn.Module, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019); matrices decay, biases and normalisation do not."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=BETAS, fused=parameters[0].device.type != "mps")


def name_optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors, named quantity.parameter; none before the first step."""
    return {
        f"{quantity}.{name}": tensor
        for name, parameter in model.named_parameters()
        for quantity, tensor in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, named: Mapping[str, Tensor]
) -> None:
    """Put back what :func:`name_optimizer_tensors` named.

    Raises:
        ValueError: a tensor that belongs to no parameter, or has another shape than it.
    """
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    for full_name, tensor in named.items():
        quantity, _, name = full_name.partition(".")
        if name not in parameters:
            raise ValueError(f"the optimiser's {full_name} belongs to no parameter")
        parameter = parameters[name]
        if tensor.ndim and tensor.shape != parameter.shape:
            raise ValueError(f"the optimiser's {full_name} has shape {tuple(tensor.shape)}")
        optimizer.state[parameter][quantity] = tensor.to(parameter.device, copy=True)
