"""Recurrences of a whole window through the native library, with their gradients.

What goes in is what a cell makes of its inputs, (T, B, G * H), or a table of it (V, G * H) with the
row to take at each place, (T, B): a character is an index, so the first layer's inputs are looked
up. Products are made in bfloat16 under autocast, else in float32; weights and what a cell remembers
stay float32 always.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charrnn.kernels.library import Kernels, find

GATES = ("separate", "coupled", "capped")
"""Kinds of an LSTM's input gate, in the order of the native library."""

_OPENMP = re.compile(r"/\S*/lib(gomp|iomp5|omp)[^/\s]*\.so\S*$", re.MULTILINE)
_OPENMP_FUNCTIONS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")


class Inputs(NamedTuple):
    """What comes into the gates from below.

    Attributes:
        values: (T, B, G * H), or a table (V, G * H).
        chosen: rows of the table, (T, B), int64; None if there is no table.
    """

    values: Tensor
    chosen: Tensor | None = None


def can_run(steps: int, weight: Tensor) -> bool:
    """Whether the library runs such a window: float32 weights on the CPU, several steps.

    A single step is left to torch: weights are packed anew for every window.
    """
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and steps > 1
        and _kernels() is not None
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
    """
    y, h, c = _LSTM.apply(*_cast(inputs), weight, h, c, GATES.index(gates))  # type: ignore[no-untyped-call]
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
    """
    if candidate_bias is None:
        y, h = _GRUBefore.apply(*_cast(inputs), weight, h)  # type: ignore[no-untyped-call]
    else:
        y, h = _GRUAfter.apply(*_cast(inputs), weight, candidate_bias, h)  # type: ignore[no-untyped-call]
    return y, h


class _Window:
    """One call's sizes, type and arrays; what is common to the forward passes.

    Attributes:
        values: the inputs in the type of the products.
        chosen: rows of a table, int32, or None.
        outputs: (T + 1, B, H rounded up to even), the ones before the window at index 0.
        memory: (T + 1, B, H) if there will be a way back, else (1, B, H).
        saved: (T, B, S * H), the S values of each unit that the way back needs; None if there is
            none.
    """

    def __init__(
        self, values: Tensor, chosen: Tensor | None, h: Tensor, memory: Tensor, saved: int
    ) -> None:
        steps, batch = (values if chosen is None else chosen).shape[:2]
        units = h.shape[1]
        self.sizes = (steps, batch, units)
        self.precision = int(values.dtype == torch.bfloat16)
        self.values = values.contiguous()
        self.chosen = None if chosen is None else chosen.to(torch.int32).contiguous()
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
        """Keep what the way back needs."""
        ctx.sizes, ctx.precision = self.sizes, self.precision
        ctx.table = len(self.values) if self.chosen is not None else 0
        ctx.save_for_backward(self.outputs, self.memory, self.saved, self.chosen, *tensors)


def _cast(inputs: Inputs) -> Inputs:
    """The inputs in the type that products are made in."""
    bfloat16 = torch.is_autocast_enabled("cpu")
    return Inputs(inputs.values.to(torch.bfloat16 if bfloat16 else torch.float32), inputs.chosen)


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
    ) -> tuple[Tensor, Tensor, Tensor]:
        window = _Window(values, chosen, h, c, saved=4 * any(ctx.needs_input_grad))
        weight = weight.contiguous()
        _call(
            "charrnn_lstm_forward",
            *(window.precision, gates, torch.get_num_threads(), *window.sizes),
            *(window.values, window.chosen, weight, window.outputs, window.memory),
            *(int(window.saved is not None), window.saved),
        )
        window.keep(ctx, weight)
        ctx.gates = gates
        return window.y, window.y[-1].float(), window.memory[-1].clone()

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
        _call(
            "charrnn_lstm_backward",
            *(ctx.precision, ctx.gates, torch.get_num_threads(), *ctx.sizes),
            *(weight, memory, saved, y_gradient.contiguous(), gradients, h_gradient, c_gradient),
        )
        weight_gradient = _weight_gradient(gradients[..., :rows], outputs[:-1, :, :units])
        values_gradient = _to_inputs(gradients[..., :rows], chosen, ctx.table)
        return values_gradient, None, weight_gradient, h_gradient, c_gradient, None


class _GRUAfter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        chosen: Tensor | None,
        weight: Tensor,
        candidate_bias: Tensor,
        h: Tensor,
    ) -> tuple[Tensor, Tensor]:
        window = _Window(values, chosen, h, h, saved=4 * any(ctx.needs_input_grad))
        weight = weight.contiguous()
        _call(
            "charrnn_gru_after_forward",
            *(window.precision, torch.get_num_threads(), *window.sizes),
            *(window.values, window.chosen, weight, candidate_bias.contiguous()),
            *(window.outputs, window.memory, int(window.saved is not None), window.saved),
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
        _call(
            "charrnn_gru_after_backward",
            *(ctx.precision, torch.get_num_threads(), *ctx.sizes),
            *(weight, memory, saved, y_gradient.contiguous()),
            *(gradients, product_gradients, h_gradient),
        )
        inner = product_gradients[..., :rows]
        bias_gradient = inner[..., 2 * units :].flatten(0, 1).sum(0, dtype=torch.float32)
        weight_gradient = _weight_gradient(inner, outputs[:-1, :, :units])
        values_gradient = _to_inputs(gradients[..., :rows], chosen, ctx.table)
        return values_gradient, None, weight_gradient, bias_gradient, h_gradient


class _GRUBefore(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, chosen: Tensor | None, weight: Tensor, h: Tensor
    ) -> tuple[Tensor, Tensor]:
        window = _Window(values, chosen, h, h, saved=3 * any(ctx.needs_input_grad))
        weight = weight.contiguous()
        kept = window.saved is not None
        reset = torch.empty_like(window.outputs[1:] if kept else window.outputs[:1])
        _call(
            "charrnn_gru_before_forward",
            *(window.precision, torch.get_num_threads(), *window.sizes),
            *(window.values, window.chosen, weight, window.outputs, reset),
            *(window.memory, int(kept), window.saved),
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
        _call(
            "charrnn_gru_before_backward",
            *(ctx.precision, torch.get_num_threads(), *ctx.sizes),
            *(weight, memory, saved, y_gradient.contiguous(), gradients, h_gradient),
        )
        gates, candidate = gradients[..., : 2 * units], gradients[..., 2 * units : rows]
        weight_gradient = torch.cat(
            (
                _weight_gradient(gates, outputs[:-1, :, :units]),
                _weight_gradient(candidate, reset[..., :units]),
            )
        )
        values_gradient = _to_inputs(gradients[..., :rows], chosen, ctx.table)
        return values_gradient, None, weight_gradient, h_gradient


def _weight_gradient(gradients: Tensor, states: Tensor) -> Tensor:
    """Sum over all places of the outer product: (T, B, K) and (T, B, H) -> (K, H), float32."""
    with torch.autocast("cpu", enabled=False):
        return (gradients.flatten(0, 1).T @ states.flatten(0, 1)).float()


def _to_inputs(gradients: Tensor, chosen: Tensor | None, table: int) -> Tensor:
    """The gradient of what came in: as it is, or summed by the rows of the table."""
    if chosen is None:
        return gradients
    places, columns = chosen.numel(), gradients.shape[-1]
    sums = torch.zeros(table, columns)
    _call(
        "charrnn_add_to_rows",
        *(int(gradients.dtype == torch.bfloat16), torch.get_num_threads()),
        *(places, columns, gradients.stride(1), gradients, chosen, sums),
    )
    return sums.to(gradients.dtype)


def _call(function: str, *arguments: int | Tensor | None) -> None:
    """Call a function of the library, tensors by their addresses."""
    kernels = _kernels()
    if kernels is None:
        raise ValueError("there is no native library")
    addressed = (a.data_ptr() if isinstance(a, Tensor) else a for a in arguments)
    getattr(kernels.functions, function)(*addressed)


@cache
def _kernels() -> Kernels | None:
    """The library, told to run on torch's own threads where they are OpenMP's."""
    kernels = find()
    if kernels is not None:
        kernels.functions.charrnn_use_openmp(*_openmp_of_torch())
    return kernels


def _openmp_of_torch() -> tuple[int | None, ...]:
    """Addresses of the functions that start and tell apart the threads of torch; None if unknown.

    Torch's threads spin for a while after each operation. Threads of our own would share the cores
    with them; on Linux the OpenMP library that torch has loaded can be found and asked instead.
    """
    try:
        found = _OPENMP.search(Path("/proc/self/maps").read_text())
        library = ctypes.CDLL(found[0]) if found else None
        if library is not None:
            return tuple(
                ctypes.cast(getattr(library, name), ctypes.c_void_p).value
                for name in _OPENMP_FUNCTIONS
            )
    except (OSError, AttributeError):
        pass
    return (None,) * len(_OPENMP_FUNCTIONS)
