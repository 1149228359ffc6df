"""Long short-term memory.

    i = sigmoid(U_i x + W_i h + b_i)        input gate
    f = sigmoid(U_f x + W_f h + b_f)        forget gate
    o = sigmoid(U_o x + W_o h + b_o)        output gate
    g = tanh   (U_g x + W_g h + b_g)        candidate
    c' = f * c + i * g
    h' = o * tanh(c')

Hochreiter & Schmidhuber 1997, "Long short-term memory", with the forget gate of Gers, Schmidhuber
& Cummins 2000; no peepholes. The forget gate's bias starts at 1, so that a fresh cell remembers
(Jozefowicz, Zaremba & Sutskever 2015).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from charrnn.cells.contract import Cell, State, uniform_, zero_bias

FORGET_BIAS = 1.0


class LSTM(Cell):
    """Long short-term memory; the equations head this file. Its state is (h, c), each (B, H).

    Shapes: input_weight U (4H, D), recurrent_weight W (4H, H) and bias b (4H), the gates stacked
    by rows in the order i, f, o, g.
    """

    def __init__(self, input_size: int, hidden: int) -> None:
        super().__init__(input_size, hidden)
        self.input_weight = nn.Parameter(torch.empty(4 * hidden, input_size))
        self.recurrent_weight = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.bias = nn.Parameter(torch.zeros(4 * hidden))
        uniform_([self.input_weight, self.recurrent_weight], hidden)
        with torch.no_grad():
            self.bias[hidden : 2 * hidden].fill_(FORGET_BIAS)

    def initial_state(self, batch: int) -> State:
        return (self._zeros(batch, self.hidden), self._zeros(batch, self.hidden))

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if len(x) == 1:
            h, c = self._step(x[0], *state)
            return h[None], (h, c)
        return self._fused(x, *state)

    def _step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The equations for a single character.

        Sampling would repack the fused layer's weights at each one, which costs far more than
        the products.
        """
        products = nn.functional.linear(x, self.input_weight, self.bias)
        products = products + nn.functional.linear(h, self.recurrent_weight)
        gates = products[:, : 3 * self.hidden].sigmoid()
        i, f, o = gates.chunk(3, dim=1)
        g = products[:, 3 * self.hidden :].tanh()
        c = f * c + i * g
        return o * c.tanh(), c

    def _fused(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, State]:
        bias = _torch_order(self.bias)
        weights = [
            _torch_order(self.input_weight),
            _torch_order(self.recurrent_weight),
            bias,
            zero_bias(bias),
        ]
        y, h, c = torch.lstm(
            x, [h[None], c[None]], weights, True, 1, 0.0, self.training, False, False
        )
        return y, (h[0], c[0])


def _torch_order(stacked: Tensor) -> Tensor:
    """Rows i, f, o, g in the order of torch's fused layer: i, f, g, o."""
    i, f, o, g = stacked.chunk(4)
    return torch.cat((i, f, g, o))
