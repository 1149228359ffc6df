"""DropConnect: some of the recurrent weights are 0 for a whole window.

W' = mask * W / (1 - p)        dL/dW = mask * dL/dW' / (1 - p)

Wan, Zeiler, Zhang, LeCun & Fergus 2013, "Regularization of neural networks using DropConnect"; for
recurrent matrices, Merity, Keskar & Socher 2018, "Regularizing and optimizing LSTM language
models".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def drop_weights(
    weights: Sequence[nn.Parameter], share: float, generator: torch.Generator
) -> Iterator[None]:
    """Drop a share of each weight's numbers for a forward and backward pass.

    The weights are changed in place and restored afterwards, their gradients masked.

    Args:
        weights: leaves, on any device.
        share: p, from 0 (nothing is drawn or changed) to below 1.
        generator: draws the masks on the CPU, whatever the device.
    """
    if not share:
        yield
        return
    factors = [_draw(weight, share, generator) for weight in weights]
    kept = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, factor in zip(weights, factors, strict=True):
            weight.mul_(factor)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, factor, whole in zip(weights, factors, kept, strict=True):
                weight.copy_(whole)
                if weight.grad is not None:
                    weight.grad.mul_(factor)


def _draw(weight: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Draw the factors of a weight: 0 for a share of its numbers, to 16 bits, else 1 / (1 - p).

    One draw of 64 bits serves four numbers, since drawing takes most of the time here.
    """
    draws = torch.empty(-(-weight.numel() // 4), dtype=torch.int64)
    draws.random_(-(2**63), None, generator=generator)
    numbers = draws.view(torch.int16)[: weight.numel()].view(weight.shape)
    least = round(share * 2**16)
    return ((numbers >= least - 2**15) * (2**16 / (2**16 - least))).to(weight)
