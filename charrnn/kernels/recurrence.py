"""Recurrences of a whole window through the native library, with their gradients.

A recurrence reads projected inputs (T, B, G * H), or a table of them (V, G * H) with the row to
take at each place (T, B): the first layer's inputs are characters, so their projections are looked
up. Products are made in bfloat16 under autocast, else in float32; weights and states are always
float32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charrnn.kernels.torch_calls import call, load_shared_kernels

GATES = ("separate", "coupled", "capped")
"""The kinds of an LSTM's input gate, in the order of the native library."""


def can_run(steps: int, weight: Tensor) -> bool:
    """Tell whether the library runs such a window: float32 weights on the CPU, several steps.

    A single step is left to torch: weights are packed anew for every window.
    """
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and steps > 1
        and load_shared_kernels() is not None
    )


def lstm(
    inputs: Inputs, weight: Tensor, h: Tensor, c: Tensor, *, gates: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Run an LSTM over a window; see ``native/lstm.h``.

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
        IndexError: the table has no such row.
    """
    y, h, c = _apply(_LSTM, inputs, weight, h, c, GATES.index(gates))
    return y, h, c


def gru(
    inputs: Inputs, weight: Tensor, candidate_bias: Tensor | None, h: Tensor
) -> tuple[Tensor, Tensor]:
    """Run a GRU over a window; see ``native/gru.h``.

    Args:
        inputs: of the gates r, z, n.
        weight: recurrent, (3 * H, H), float32.
        candidate_bias: (H), for the reset after the product; None for the one before it.
        h: output before the first step, (B, H).

    Returns:
        Outputs (T, B, H), bfloat16 under autocast; the last output (B, H), float32.

    Raises:
        ValueError: the shapes do not belong together.
        IndexError: the table has no such row.
    """
    if candidate_bias is None:
        y, h = _apply(_GRUBefore, inputs, weight, h)
    else:
        y, h = _apply(_GRUAfter, inputs, weight, candidate_bias, h)
    return y, h


def _apply(
    function: type[torch.autograd.Function], inputs: Inputs, *arguments: Tensor | int
) -> tuple[Tensor, ...]:
    """Run a function; nothing is saved for the backward pass where there will be none."""
    given = (*cast_inputs(inputs), *arguments)
    # Asked here, since torch keeps no gradients within a function.
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
        window = WindowBuffers(Inputs(values, chosen), weight, h, c, 4 * learns)
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
        window = WindowBuffers(Inputs(values, chosen), weight, h, h, 4 * learns)
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
        window = WindowBuffers(Inputs(values, chosen), weight, h, h, 3 * learns)
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


class Inputs(NamedTuple):
    """A layer's inputs, projected into its gates.

    Attributes:
        values: (T, B, G * H), or a table (V, G * H).
        chosen: rows of the table, (T, B), int64; None if there is no table.
    """

    values: Tensor
    chosen: Tensor | None = None


class WindowBuffers:
    """The sizes, type and arrays of one call, common to all forward passes.

    Args:
        inputs: as :func:`cast_inputs` returns them.
        weight: recurrent, (G * H, H).
        h: output before the first step, (B, H).
        memory: c of an LSTM before it, h of a GRU, (B, H).
        saved: S, numbers of each unit that the backward pass needs; 0 if there is none.

    Attributes:
        sizes: T, B and H.
        precision: 1 for products in bfloat16, 0 for float32.
        values: the inputs in the type of the products.
        chosen: rows of a table, int32, or None.
        outputs: (T + 1, B, H rounded up to even), the ones before the window at index 0.
        memory: (T + 1, B, H) if there will be a backward pass, else (1, B, H).
        saved: (T, B, S * H), or None.

    Raises:
        ValueError: the shapes do not belong together.
        IndexError: the table has no such row.
    """

    def __init__(
        self, inputs: Inputs, weight: Tensor, h: Tensor, memory: Tensor, saved: int
    ) -> None:
        values, chosen = inputs
        steps, batch = (values if chosen is None else chosen).shape[:2]
        rows, units = weight.shape
        # The library gets addresses and would read and write beyond the arrays.
        if values.shape[-1] != rows or rows % units or {h.shape, memory.shape} != {(batch, units)}:
            raise ValueError(
                f"inputs {tuple(values.shape)}, weight {tuple(weight.shape)}, states "
                f"{tuple(h.shape)} and {tuple(memory.shape)} do not belong together"
            )
        self.sizes = (steps, batch, units)
        self.precision = int(values.dtype == torch.bfloat16)
        self.values = values.contiguous()
        self.chosen = None if chosen is None else _rows_of(len(values), chosen)
        self.outputs = values.new_empty(steps + 1, batch, units + units % 2)
        self.outputs[0, :, :units] = h
        self.outputs[:, :, units:] = 0
        self.memory = torch.empty(steps + 1 if saved else 1, batch, units)
        self.memory[0] = memory
        self.saved = None
        if saved:
            kind = torch.int16 if self.precision else torch.float32
            self.saved = torch.empty(steps, batch, saved * units, dtype=kind)

    @property
    def y(self) -> Tensor:
        """The window's outputs, (T, B, H)."""
        return self.outputs[1:, :, : self.sizes[2]]

    def keep(self, ctx: Any, *tensors: Tensor | None) -> None:
        """Save the arrays of the backward pass, if there will be one."""
        if self.saved is not None:
            ctx.sizes, ctx.precision = self.sizes, self.precision
            ctx.table = len(self.values) if self.chosen is not None else 0
            ctx.save_for_backward(self.outputs, self.memory, self.saved, self.chosen, *tensors)


def cast_inputs(inputs: Inputs) -> Inputs:
    """Cast the inputs to the type that products are made in."""
    bfloat16 = torch.is_autocast_enabled("cpu")
    return Inputs(inputs.values.to(torch.bfloat16 if bfloat16 else torch.float32), inputs.chosen)


def weight_gradient(gradients: Tensor, states: Tensor) -> Tensor:
    """Sum the outer products of all places: (T, B, K) and (T, B, H) -> (K, H), float32."""
    with torch.autocast("cpu", enabled=False):
        return (gradients.flatten(0, 1).T @ states.flatten(0, 1)).float()


def inputs_gradient(gradients: Tensor, chosen: Tensor | None, table: int) -> Tensor:
    """Return the gradient of the inputs: as it is, or summed by the rows of the table."""
    if chosen is None:
        return gradients
    places, columns = chosen.numel(), gradients.shape[-1]
    sums = torch.zeros(table, columns)
    call(
        "charrnn_add_to_rows",
        *(int(gradients.dtype == torch.bfloat16), torch.get_num_threads()),
        *(places, columns, gradients.stride(1), gradients, chosen, sums),
    )
    return sums.to(gradients.dtype)


def _rows_of(table: int, chosen: Tensor) -> Tensor:
    """Convert rows of a table of that length for the library, once they are checked."""
    lowest, highest = (int(row) for row in torch.aminmax(chosen))
    if lowest < 0 or highest >= table:
        raise IndexError(f"rows from {lowest} to {highest} of a table of {table}")
    return chosen.to(torch.int32).contiguous()
