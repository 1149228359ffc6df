"""The arrays of one window: what a recurrence reads, what it fills, and the gradients of both."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from charrnn.kernels.calls import call


class Inputs(NamedTuple):
    """What comes into the gates from below.

    Attributes:
        values: (T, B, G * H), or a table (V, G * H).
        chosen: rows of the table, (T, B), int64; None if there is no table.
    """

    values: Tensor
    chosen: Tensor | None = None


class Window:
    """One call's sizes, type and arrays; what is common to the forward passes.

    Args:
        inputs: as :func:`cast_inputs` returns them.
        weight: recurrent, (G * H, H).
        h: output before the first step, (B, H).
        memory: what the cell remembers before it, (B, H).
        saved: S, numbers of each unit that the way back needs; 0 if there is none.

    Attributes:
        sizes: T, B and H.
        precision: 1 for products in bfloat16, 0 for float32.
        values: the inputs in the type of the products.
        chosen: rows of a table, int32, or None.
        outputs: (T + 1, B, H rounded up to even), the ones before the window at index 0.
        memory: (T + 1, B, H) if there will be a way back, else (1, B, H).
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
        # The library is handed addresses and would read and write beyond them.
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
        """Keep what the way back needs, if there is one."""
        if self.saved is not None:
            ctx.sizes, ctx.precision = self.sizes, self.precision
            ctx.table = len(self.values) if self.chosen is not None else 0
            ctx.save_for_backward(self.outputs, self.memory, self.saved, self.chosen, *tensors)


def cast_inputs(inputs: Inputs) -> Inputs:
    """The inputs in the type that products are made in."""
    bfloat16 = torch.is_autocast_enabled("cpu")
    return Inputs(inputs.values.to(torch.bfloat16 if bfloat16 else torch.float32), inputs.chosen)


def weight_gradient(gradients: Tensor, states: Tensor) -> Tensor:
    """Sum over all places of the outer product: (T, B, K) and (T, B, H) -> (K, H), float32."""
    with torch.autocast("cpu", enabled=False):
        return (gradients.flatten(0, 1).T @ states.flatten(0, 1)).float()


def inputs_gradient(gradients: Tensor, chosen: Tensor | None, table: int) -> Tensor:
    """The gradient of what came in: as it is, or summed by the rows of the table."""
    if chosen is None:
        return gradients
    places, columns = chosen.numel(), gradients.shape[-1]
    sums = torch.zeros(table, columns)
    call(
        "charrnn_add_to_rows",
        *(int(gradients.dtype == torch.bfloat16), torch.get_num_threads()),
        *(places, columns, gradients.stride(1), table, gradients, chosen, sums),
    )
    return sums.to(gradients.dtype)


def _rows_of(table: int, chosen: Tensor) -> Tensor:
    """Rows of a table of that length, as the library takes them."""
    lowest, highest = (int(row) for row in torch.aminmax(chosen))
    if lowest < 0 or highest >= table:
        raise IndexError(f"rows from {lowest} to {highest} of a table of {table}")
    return chosen.to(torch.int32).contiguous()
