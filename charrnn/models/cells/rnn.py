"""The simple (Elman) recurrent network."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn

from charrnn.config.cells import Shapes
from charrnn.models.cells.base import ACTIVATIONS, GatedCell, GateSettings, State, make_zero_bias

_FUSED = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}


class RNN(GatedCell):
    """Simple recurrent network.

        h' = f(U x + W h + b)

    The state is (h,), of shape (B, H).

    Shapes: input_weight U (H, D), recurrent_weight W (H, H), bias b (H).

    Source: Elman 1990, "Finding structure in time", with the logistic sigmoid. With the rectifier
    and W starting as the identity it is the IRNN of Le, Jaitly & Hinton 2015, "A simple way to
    initialize recurrent networks of rectified linear units".

    Args:
        input_size: length D of an input vector.
        hidden: length H of an output vector.
        shapes: of the parameters, from the registry.
        activation: f, "tanh", "relu" or "sigmoid".
        common: see :class:`GateSettings`.

    Example:
        >>> import torch
        >>> from charrnn.config.model import ModelConfig
        >>> from charrnn.models.char_model import build_cell
        >>> cell = build_cell(ModelConfig(cell="rnn", hidden=5), input_size=3)
        >>> y, (h,) = cell(torch.zeros(7, 2, 3), cell.initial_state(2))
        >>> tuple(y.shape), tuple(h.shape)
        ((7, 2, 5), (2, 5))
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

    @property
    def native_form(self) -> str:
        return self.activation

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if self.activation in _FUSED:
            return self._fused(x, *state)
        return self._unrolled(x, *state)

    def _fused(self, x: Tensor, h: Tensor) -> tuple[Tensor, State]:
        weight, bias = self.input_map(x)
        weights = [weight, self.recurrent_weight, bias, make_zero_bias(bias)]
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
