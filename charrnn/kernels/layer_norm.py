"""Layer normalization and locked dropout in one pass through the native library."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charrnn.kernels.torch_calls import call, load_shared_kernels

EPSILON = 1e-5
"""The library adds this to the variance."""

SHARED = 1 << 18
"""From so many numbers on, several threads are faster, even if they must be started first."""


def can_run(x: Tensor, gain: Tensor) -> bool:
    """Tell whether the library normalizes x (T, B, H): on the CPU, with float32 weights."""
    return (
        x.device.type == "cpu"
        and gain.dtype == torch.float32
        and x.dtype in (torch.float32, torch.bfloat16)
        and load_shared_kernels() is not None
    )


def layer_norm(x: Tensor, gain: Tensor, shift: Tensor, mask: Tensor | None) -> Tensor:
    """Normalize the units at each place, then multiply them by a mask; see ``native/layer_norm.h``.

    Args:
        x: (T, B, H), float32 or bfloat16.
        gain: (H), float32.
        shift: (H), float32.
        mask: (1, B, H), float32; None for none.

    Returns:
        (T, B, H), in the type of x; computed in float32.

    Raises:
        ValueError: the shapes or types do not belong together.
    """
    y: Tensor = _LayerNorm.apply(x, gain, shift, mask)  # type: ignore[no-untyped-call]
    return y


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, shift: Tensor, mask: Tensor | None) -> Tensor:
        steps, batch, units = x.shape
        # The library gets addresses and would read beyond the arrays.
        shapes = (gain.shape, shift.shape, (1, batch, units) if mask is None else mask.shape)
        if shapes != ((units,), (units,), (1, batch, units)):
            raise ValueError(f"{tuple(x.shape)} and {shapes} do not belong together")
        if shift.dtype != gain.dtype or not can_run(x, gain):
            raise ValueError(f"{x.dtype}, {gain.dtype} and {shift.dtype} do not belong together")
        gain, shift = gain.contiguous(), shift.contiguous()
        mask = None if mask is None else mask.float().contiguous()
        # A recurrence's outputs lie in rows that are rounded up to an even width.
        rows = x.flatten(0, 1)
        if rows.stride(1) != 1:
            rows = rows.contiguous()
        y = x.new_empty(steps, batch, units)
        moments = torch.empty(steps * batch, 2)
        call("charrnn_norm_forward", *_sizes(rows, batch), rows, gain, shift, mask, y, moments)
        ctx.batch = batch
        ctx.save_for_backward(rows, gain, mask, moments)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, gain, mask, moments = ctx.saved_tensors
        x_gradient = rows.new_empty(y_gradient.shape)
        gain_gradient, shift_gradient = torch.empty_like(gain), torch.empty_like(gain)
        call(
            "charrnn_norm_backward",
            *(*_sizes(rows, ctx.batch), rows, gain, mask, moments, y_gradient.contiguous()),
            *(x_gradient, gain_gradient, shift_gradient),
        )
        return x_gradient, gain_gradient, shift_gradient, None


def _sizes(rows: Tensor, batch: int) -> tuple[int, ...]:
    threads = torch.get_num_threads() if rows.numel() > SHARED else 1
    return (
        int(rows.dtype == torch.bfloat16),
        threads,
        len(rows),
        batch,
        *rows.shape[1:],
        rows.stride(0),
    )
