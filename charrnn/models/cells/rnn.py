"""The simple recurrent network.

    h' = f(U x + W h + b)

with f the hyperbolic tangent, the rectifier max(0, .) or the logistic sigmoid. Elman 1990,
"Finding structure in time", has the sigmoid; with the rectifier and W starting as the identity
(``init_gain`` 1) it is the IRNN of Le, Jaitly & Hinton 2015.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn

from charrnn.config.cells import Shapes
from charrnn.models.cells.base import ACTIVATIONS, GatedCell, GateSettings, State, zero_bias

_FUSED = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}


class RNN(GatedCell):
    """Simple recurrent network; the equation heads this file. Its state is (h,), of shape (B, H).

    Shapes: input_weight U (H, D), recurrent_weight W (H, H), bias b (H).

    Args:
        input_size: length D of an input vector.
        hidden: length H of an output vector.
        shapes: the parameters' shapes, from the registry.
        activation: f, "tanh", "relu" or "sigmoid".
        common: see :class:`GateSettings`.
    """

    def __init__(
        self,
        input_size: int,
        hidden: int,
        shapes: Shapes,
        *,
        activation: str,
        **common: Unpack[GateSettings],
    ) -> None:
        super().__init__(input_size, hidden, shapes, **common)
        self.activation = activation

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if self.activation in _FUSED:
            return self._fused(x, *state)
        return self._unrolled(x, *state)

    def _fused(self, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
        weight, bias = self.input_map(x)
        weights = [weight, self.recurrent_weight, bias, zero_bias(bias)]
        layer = _FUSED[self.activation]
        y, h = layer(x, h[None], weights, True, 1, 0.0, self.training, False, False)
        return y, (h[0],)

    def _unrolled(self, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
        activate = ACTIVATIONS[self.activation]
        outputs = []
        for projected in self.project(x):
            h = activate(projected + nn.functional.linear(h, self.recurrent_weight))
            outputs.append(h)
        return torch.stack(outputs), (h,)
