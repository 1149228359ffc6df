"""The simple recurrent network.

    h' = tanh(U x + W h + b)

Elman 1990, "Finding structure in time".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from charrnn.cells.contract import Cell, State, uniform_, zero_bias


class RNN(Cell):
    """Simple recurrent network; the equation heads this file. Its state is (h,), of shape (B, H).

    Shapes: input_weight U (H, D), recurrent_weight W (H, H), bias b (H).
    """

    def __init__(self, input_size: int, hidden: int) -> None:
        super().__init__(input_size, hidden)
        self.input_weight = nn.Parameter(torch.empty(hidden, input_size))
        self.recurrent_weight = nn.Parameter(torch.empty(hidden, hidden))
        self.bias = nn.Parameter(torch.zeros(hidden))
        uniform_([self.input_weight, self.recurrent_weight], hidden)

    def initial_state(self, batch: int) -> State:
        return (self._zeros(batch, self.hidden),)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        weights = [self.input_weight, self.recurrent_weight, self.bias, zero_bias(self.bias)]
        y, h = torch.rnn_tanh(x, state[0][None], weights, True, 1, 0.0, self.training, False, False)
        return y, (h[0],)
