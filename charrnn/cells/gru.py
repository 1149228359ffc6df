"""Gated recurrent unit, with the reset applied after the recurrent product as cuDNN and torch do.

    r = sigmoid(U_r x + W_r h + b_r)                 reset gate
    z = sigmoid(U_z x + W_z h + b_z)                 update gate
    n = tanh(U_n x + b_n + r * (W_n h + d))          candidate
    h' = (1 - z) * n + z * h

Here z keeps the old state, as in Cho et al. 2014, "Learning phrase representations using RNN
encoder-decoder", where the gate was introduced.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from charrnn.cells.contract import Cell, State, uniform_


class GRU(Cell):
    """Gated recurrent unit; the equations head this file. Its state is (h,), of shape (B, H).

    Shapes: input_weight U (3H, D), recurrent_weight W (3H, H) and bias b (3H), stacked by rows in
    the order r, z, n; candidate_bias d (H), which the reset gate multiplies.
    """

    def __init__(self, input_size: int, hidden: int) -> None:
        super().__init__(input_size, hidden)
        self.input_weight = nn.Parameter(torch.empty(3 * hidden, input_size))
        self.recurrent_weight = nn.Parameter(torch.empty(3 * hidden, hidden))
        self.bias = nn.Parameter(torch.zeros(3 * hidden))
        self.candidate_bias = nn.Parameter(torch.zeros(hidden))
        uniform_([self.input_weight, self.recurrent_weight], hidden)

    def initial_state(self, batch: int) -> State:
        return (self._zeros(batch, self.hidden),)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        gates = self.candidate_bias.new_zeros(2 * self.hidden)
        recurrent_bias = torch.cat((gates, self.candidate_bias))
        weights = [self.input_weight, self.recurrent_weight, self.bias, recurrent_bias]
        y, h = torch.gru(x, state[0][None], weights, True, 1, 0.0, self.training, False, False)
        return y, (h[0],)
