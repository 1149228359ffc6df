"""Gated recurrent unit, with the reset gate after the recurrent product or before it."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn

from charrnn.config.cells import Shapes
from charrnn.kernels import recurrence
from charrnn.kernels.recurrence import Inputs
from charrnn.models.cells.base import GateSettings, State
from charrnn.models.cells.native_cell import NativeCell


class GRU(NativeCell):
    """Gated recurrent unit.

        r = sigmoid(U_r x + W_r h + b_r)                 reset gate
        z = sigmoid(U_z x + W_z h + b_z)                 update gate
        n = tanh(U_n x + b_n + r * (W_n h + d))          candidate, reset after the product
        n = tanh(U_n x + b_n + W_n (r * h))              candidate, reset before the product
        h' = (1 - z) * n + z * h

    The state is (h,), of shape (B, H).

    Shapes: input_weight U (3H, D), recurrent_weight W (3H, H) and bias b (3H), stacked by rows in
    the order r, z, n; with the reset after the product also candidate_bias d (H).

    Source: with the reset before the product, Cho et al. 2014, "Learning phrase representations
    using RNN encoder-decoder", and Chung, Gulcehre, Cho & Bengio 2014, "Empirical evaluation of
    gated recurrent neural networks on sequence modeling". With the reset after it, all three
    products with h are one, as in cuDNN and torch. The two are different functions and learn
    different weights.

    The literature has both conventions of z. Here z keeps the old state, as in Cho et al. 2014,
    cuDNN and torch; in Chung et al. 2014 it lets the new one in, h' = (1 - z) * h + z * n. Since
    1 - sigmoid(a) = sigmoid(-a), negating U_z, W_z and b_z turns one into the other.

    Args:
        input_size: length D of an input vector.
        hidden: length H of an output vector.
        shapes: of the parameters, from the registry.
        gru_reset: "after" or "before" the recurrent product.
        common: see :class:`GateSettings`.

    Example:
        >>> import torch
        >>> from charrnn.config.model import ModelConfig
        >>> from charrnn.models.char_model import build_cell
        >>> cell = build_cell(ModelConfig(cell="gru", hidden=5), input_size=3)
        >>> y, (h,) = cell(torch.zeros(7, 2, 3), cell.initial_state(2))
        >>> tuple(y.shape), tuple(h.shape)
        ((7, 2, 5), (2, 5))
    """

    candidate_bias: nn.Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden: int,
        shapes: Shapes,
        *,
        gru_reset: str,
        **common: Unpack[GateSettings],
    ) -> None:
        super().__init__(input_size, hidden, shapes, **common)
        if gru_reset == "before":
            self.register_parameter("candidate_bias", None)

    @property
    def native_form(self) -> str:
        return "before" if self.candidate_bias is None else "after"

    def run_native(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:
        y, h = recurrence.gru(inputs, self.recurrent_weight, self.candidate_bias, *state)
        return y, (h,)

    def run_torch(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if self.candidate_bias is None:
            return self._reset_before(x, *state)
        return self._reset_after(x, state[0], self.candidate_bias)

    def gates(self, x: Tensor, outputs: Tensor) -> dict[str, Tensor]:
        both = slice(0, 2 * self.hidden)
        products = self.project(x)[..., both]
        products = products + nn.functional.linear(outputs[:-1], self.recurrent_weight[both])
        r, z = products.sigmoid().chunk(2, dim=-1)
        return {"reset": r, "update": z}

    def _reset_after(self, x: Tensor, h: Tensor, candidate_bias: Tensor) -> tuple[Tensor, State]:
        weight, bias = self.input_map(x)
        recurrent_bias = torch.cat((candidate_bias.new_zeros(2 * self.hidden), candidate_bias))
        weights = [weight, self.recurrent_weight, bias, recurrent_bias]
        y, h = torch.gru(x, h[None], weights, True, 1, 0.0, self.training, False, False)
        return y, (h[0],)

    def _reset_before(self, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
        parts = [2 * self.hidden, self.hidden]
        gate_weight, candidate_weight = torch.split(self.recurrent_weight, parts)
        outputs = []
        for projected in self.project(x):
            gates, candidate = torch.split(projected, parts, dim=1)
            r, z = (gates + nn.functional.linear(h, gate_weight)).sigmoid().chunk(2, dim=1)
            n = (candidate + nn.functional.linear(r * h, candidate_weight)).tanh()
            h = n + z * (h - n)
            outputs.append(h)
        return torch.stack(outputs), (h,)
