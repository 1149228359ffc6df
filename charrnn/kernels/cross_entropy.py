"""Cross entropy, forward and backward in one pass through the native library."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from charrnn.kernels.torch_calls import call, load_shared_kernels

IGNORED = -100
"""The target of a place without one, as torch's ``ignore_index``."""

MANY = 1 << 19
"""From so many logits on the library is faster than torch, which makes several passes."""


def can_run(logits: Tensor) -> bool:
    """Tell whether the library takes such logits: on the CPU, float32 or bfloat16."""
    return (
        logits.device.type == "cpu"
        and logits.dtype in (torch.float32, torch.bfloat16)
        and load_shared_kernels() is not None
    )


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute the mean of -log softmax(logits)[target]; see ``native/cross_entropy.h``.

    Args:
        logits: (N, V), float32 or bfloat16, N at least 1.
        targets: (N,), int64; the mean leaves out the places that are IGNORED.

    Returns:
        Nats, one float64 number; the gradient has the type of the logits. Computed in float32 or
        wider.

    Raises:
        ValueError: the shapes or types do not belong together.
        IndexError: a target is not from 0 to V - 1.
    """
    nats: Tensor = _CrossEntropy.apply(logits, targets)  # type: ignore[no-untyped-call]
    return nats


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        # The library gets addresses and would read beyond the arrays.
        sound = can_run(logits) and (targets.device, targets.dtype) == (logits.device, torch.int64)
        if not sound or logits.dim() != 2 or targets.shape != logits.shape[:1] or not len(targets):
            raise ValueError(
                f"{logits.dtype} {tuple(logits.shape)} and {targets.dtype} {tuple(targets.shape)} "
                "do not belong together"
            )
        count, characters = logits.shape
        wanted = targets != IGNORED
        lowest, highest = (int(end) for end in torch.aminmax(targets * wanted))
        if lowest < 0 or highest >= characters:
            raise IndexError(f"targets from {lowest} to {highest} of {characters}")
        logits, number = logits.contiguous(), int(wanted.sum())
        nats = torch.empty(count, dtype=torch.float64)
        # Computed along with the loss, while a row is in the nearest cache.
        gradients = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        call(
            "charrnn_cross_entropy",
            *(int(logits.dtype == torch.bfloat16), torch.get_num_threads()),
            *(count, characters, 1 / max(number, 1)),
            *(logits, targets.to(torch.int32).contiguous(), nats, gradients),
        )
        ctx.save_for_backward(gradients)
        return nats.sum() / number

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, nats_gradient: Tensor) -> tuple[Tensor | None, ...]:
        (gradients,) = ctx.saved_tensors
        factor = nats_gradient.item()
        return gradients if factor == 1 else gradients * factor, None


def mean_nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute cross entropy natively or through torch, whichever is faster.

    Args:
        logits: (T, B, V).
        targets: the characters that follow, (T, B), int64; IGNORED where there is none.

    Returns:
        Nats per character, one number, float32 or float64.
    """
    logits, targets = logits.flatten(0, 1), targets.flatten()
    if can_run(logits) and logits.numel() >= MANY:
        return cross_entropy(logits, targets)
    return nn.functional.cross_entropy(logits.float(), targets)
