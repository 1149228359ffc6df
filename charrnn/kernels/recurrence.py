"""Recurrences of a whole window through the native library, with their gradients.

What goes in is what a cell makes of its inputs, (T, B, G * H), or a table of it (V, G * H) with the
row to take at each place, (T, B): a character is an index, so the first layer's inputs are looked
up. Products are made in bfloat16 under autocast, else in float32; weights and what a cell remembers
stay float32 always.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charrnn.kernels.calls import call, kernels
from charrnn.kernels.window import (
    Inputs,
    Window,
    cast_inputs,
    inputs_gradient,
    weight_gradient,
)

GATES = ("separate", "coupled", "capped")
"""Kinds of an LSTM's input gate, in the order of the native library."""


def can_run(steps: int, weight: Tensor) -> bool:
    """Whether the library runs such a window: float32 weights on the CPU, several steps.

    A single step is left to torch: weights are packed anew for every window.
    """
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and steps > 1
        and kernels() is not None
    )


def lstm(
    inputs: Inputs, weight: Tensor, h: Tensor, c: Tensor, *, gates: str
) -> tuple[Tensor, Tensor, Tensor]:
    """An LSTM over a window; see ``native/lstm.h``.

    Args:
        inputs: G is 3 for coupled gates (f, o, g), else 4 (i, f, o, g).
        weight: recurrent, (G * H, H), float32.
        h: output before the first step, (B, H).
        c: cell before the first step, (B, H).
        gates: one of GATES.

    Returns:
        Outputs (T, B, H), bfloat16 under autocast; the last output and cell, (B, H), float32.

    Raises:
        ValueError: the shapes do not belong together.
        IndexError: a row that the table does not have.
    """
    y, h, c = _apply(_LSTM, inputs, weight, h, c, GATES.index(gates))
    return y, h, c


def gru(
    inputs: Inputs, weight: Tensor, candidate_bias: Tensor | None, h: Tensor
) -> tuple[Tensor, Tensor]:
    """A GRU over a window; see ``native/gru.h``.

    Args:
        inputs: for r, z, n.
        weight: recurrent, (3 * H, H), float32.
        candidate_bias: (H), for the reset after the product; None for the one before it.
        h: output before the first step, (B, H).

    Returns:
        Outputs (T, B, H), bfloat16 under autocast; the last output (B, H), float32.

    Raises:
        ValueError: the shapes do not belong together.
        IndexError: a row that the table does not have.
    """
    if candidate_bias is None:
        y, h = _apply(_GRUBefore, inputs, weight, h)
    else:
        y, h = _apply(_GRUAfter, inputs, weight, candidate_bias, h)
    return y, h


def _apply(
    function: type[torch.autograd.Function], inputs: Inputs, *arguments: Tensor | int
) -> tuple[Tensor, ...]:
    """Run a function; nothing is saved for a way back where torch has been told of none."""
    given = (*cast_inputs(inputs), *arguments)
    # Asked here, since within a function torch never keeps gradients.
    learns = torch.is_grad_enabled() and any(
        isinstance(a, Tensor) and a.requires_grad for a in given
    )
    results: tuple[Tensor, ...] = function.apply(*given, learns)  # type: ignore[no-untyped-call]
    return results


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        chosen: Tensor | None,
        weight: Tensor,
        h: Tensor,
        c: Tensor,
        gates: int,
        learns: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        window = Window(Inputs(values, chosen), weight, h, c, 4 * learns)
        weight = weight.contiguous()
        call(
            "charrnn_lstm_forward",
            *(window.precision, gates, torch.get_num_threads(), *window.sizes),
            *(window.values, window.chosen, weight, window.outputs, window.memory),
            window.saved,
        )
        window.keep(ctx, weight)
        ctx.gates = gates
        return window.y, window.y[-1].to(torch.float32, copy=True), window.memory[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, y_gradient: Tensor, h_gradient: Tensor, c_gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        outputs, memory, saved, chosen, weight = ctx.saved_tensors
        steps, batch, units = ctx.sizes
        rows = len(weight)
        gradients = outputs.new_empty(steps, batch, rows + rows % 2)
        h_gradient, c_gradient = h_gradient.contiguous().clone(), c_gradient.contiguous().clone()
        call(
            "charrnn_lstm_backward",
            *(ctx.precision, ctx.gates, torch.get_num_threads(), *ctx.sizes),
            *(weight, memory, saved, y_gradient.contiguous(), gradients, h_gradient, c_gradient),
        )
        to_weight = weight_gradient(gradients[..., :rows], outputs[:-1, :, :units])
        to_values = inputs_gradient(gradients[..., :rows], chosen, ctx.table)
        return to_values, None, to_weight, h_gradient, c_gradient, None, None


class _GRUAfter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        chosen: Tensor | None,
        weight: Tensor,
        candidate_bias: Tensor,
        h: Tensor,
        learns: bool,
    ) -> tuple[Tensor, Tensor]:
        window = Window(Inputs(values, chosen), weight, h, h, 4 * learns)
        weight = weight.contiguous()
        call(
            "charrnn_gru_after_forward",
            *(window.precision, torch.get_num_threads(), *window.sizes),
            *(window.values, window.chosen, weight, candidate_bias.contiguous()),
            *(window.outputs, window.memory, window.saved),
        )
        window.keep(ctx, weight)
        return window.y, window.memory[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor, h_gradient: Tensor) -> tuple[Tensor | None, ...]:
        outputs, memory, saved, chosen, weight = ctx.saved_tensors
        steps, batch, units = ctx.sizes
        rows = len(weight)
        gradients = outputs.new_empty(steps, batch, rows + rows % 2)
        product_gradients = torch.empty_like(gradients)
        h_gradient = h_gradient.contiguous().clone()
        call(
            "charrnn_gru_after_backward",
            *(ctx.precision, torch.get_num_threads(), *ctx.sizes),
            *(weight, memory, saved, y_gradient.contiguous()),
            *(gradients, product_gradients, h_gradient),
        )
        inner = product_gradients[..., :rows]
        bias_gradient = inner[..., 2 * units :].flatten(0, 1).sum(0, dtype=torch.float32)
        to_weight = weight_gradient(inner, outputs[:-1, :, :units])
        to_values = inputs_gradient(gradients[..., :rows], chosen, ctx.table)
        return to_values, None, to_weight, bias_gradient, h_gradient, None


class _GRUBefore(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, chosen: Tensor | None, weight: Tensor, h: Tensor, learns: bool
    ) -> tuple[Tensor, Tensor]:
        window = Window(Inputs(values, chosen), weight, h, h, 3 * learns)
        weight = weight.contiguous()
        kept = window.saved is not None
        reset = torch.empty_like(window.outputs[1:] if kept else window.outputs[:1])
        call(
            "charrnn_gru_before_forward",
            *(window.precision, torch.get_num_threads(), *window.sizes),
            *(window.values, window.chosen, weight, window.outputs, reset),
            *(window.memory, window.saved),
        )
        window.keep(ctx, weight, reset)
        return window.y, window.memory[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_gradient: Tensor, h_gradient: Tensor) -> tuple[Tensor | None, ...]:
        outputs, memory, saved, chosen, weight, reset = ctx.saved_tensors
        steps, batch, units = ctx.sizes
        rows = len(weight)
        gradients = outputs.new_empty(steps, batch, rows + rows % 2)
        h_gradient = h_gradient.contiguous().clone()
        call(
            "charrnn_gru_before_backward",
            *(ctx.precision, torch.get_num_threads(), *ctx.sizes),
            *(weight, memory, saved, y_gradient.contiguous(), gradients, h_gradient),
        )
        gates, candidate = gradients[..., : 2 * units], gradients[..., 2 * units : rows]
        to_weight = torch.cat(
            (
                weight_gradient(gates, outputs[:-1, :, :units]),
                weight_gradient(candidate, reset[..., :units]),
            )
        )
        to_values = inputs_gradient(gradients[..., :rows], chosen, ctx.table)
        return to_values, None, to_weight, h_gradient, None
