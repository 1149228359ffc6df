"""Cross entropy in one pass through the native library, forwards and backwards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from charrnn.kernels.torch_calls import call, kernels

IGNORED = -100
"""A target that asks for nothing, as torch's ``ignore_index``."""

MANY = 1 << 19
"""Logits from which on the library is faster than torch, which passes over them several times."""


def can_run(logits: Tensor) -> bool:
    """Whether the library takes such logits: on the CPU, float32 or bfloat16."""
    return (
        logits.device.type == "cpu"
        and logits.dtype in (torch.float32, torch.bfloat16)
        and kernels() is not None
    )


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean of -log softmax(logits)[target]; see ``native/cross_entropy.h``.

    Args:
        logits: (N, V), float32 or bfloat16, N at least 1.
        targets: (N,), int64; IGNORED where there is none, which the mean leaves out.

    Returns:
        Nats, a float64 number; the gradient is in the type of the logits, and what is between is
        float32 at least.

    Raises:
        ValueError: the shapes or types do not belong together.
        IndexError: there are no logits of a target.
    """
    nats: Tensor = _CrossEntropy.apply(logits, targets)  # type: ignore[no-untyped-call]
    return nats


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        # The library is handed addresses and would read beyond them.
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
        # Made along with the loss, while a row is in the nearest cache.
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
    """Cross entropy by two ways that agree up to rounding, whichever is the faster.

    Args:
        logits: (T, B, V).
        targets: the characters that came, (T, B), int64; IGNORED where nothing is predicted.

    Returns:
        Nats per character, one number, float32 or float64.
    """
    logits, targets = logits.flatten(0, 1), targets.flatten()
    if can_run(logits) and logits.numel() >= MANY:
        return cross_entropy(logits, targets)
    return nn.functional.cross_entropy(logits.float(), targets)
