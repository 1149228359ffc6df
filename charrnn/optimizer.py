"""The optimiser, and its state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.99)

_STATE = {"step": False, "exp_avg": True, "exp_avg_sq": True}
"""What AdamW keeps for each parameter, and whether it has the parameter's shape (else none)."""


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
    """Put back what :func:`name_optimizer_tensors` named: all of it, or nothing before any step.

    The fused optimiser trusts its tensors and writes past the end of one that is too small, so each
    is held against its parameter first.

    Raises:
        ValueError: a tensor is missing, unknown, or of another shape or type.
    """
    expected = {
        f"{quantity}.{name}": (parameter, quantity)
        for name, parameter in model.named_parameters()
        for quantity in _STATE
    }
    odd = sorted(set(named) ^ set(expected)) if named else []
    if odd:
        raise ValueError(f"the optimiser has missing or unknown tensors: {', '.join(odd)[:200]}")
    optimizer.state.clear()
    for full_name, tensor in named.items():
        parameter, quantity = expected[full_name]
        shape = parameter.shape if _STATE[quantity] else torch.Size()
        if tensor.shape != shape or tensor.dtype != torch.float32:
            raise ValueError(f"the optimiser's {full_name} is not float32 of {tuple(shape)}")
        # Only the fused optimiser counts its steps on the device.
        device = parameter.device if _STATE[quantity] or optimizer.defaults["fused"] else "cpu"
        optimizer.state[parameter][quantity] = tensor.to(device, copy=True)
