"""Minimal gated unit: a cell that the program does not have, as a newcomer would add it.

    f = sigmoid(U_f x + W_f h + b_f)         forget gate
    n = tanh(U_n x + W_n (f * h) + b_n)      candidate
    h' = (1 - f) * h + f * n

Zhou, Wu, Zhang & Zhou 2016, "Minimal gated unit for recurrent neural networks".
"""

import torch
from torch import Tensor, nn

from charrnn.models.cells.base import GatedCell, State

REGISTRY_LINE = '"mgu": CellSpec("mgu.MGU", partial(gated_shapes, gates=2)),'


class MGU(GatedCell):
    """Minimal gated unit; its weights are stacked by rows in the order f, n."""

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        (h,) = state
        gate_weight, candidate_weight = self.recurrent_weight.chunk(2)
        outputs = []
        for projected in self.project(x):
            gate, candidate = projected.chunk(2, dim=1)
            f = (gate + nn.functional.linear(h, gate_weight)).sigmoid()
            n = (candidate + nn.functional.linear(f * h, candidate_weight)).tanh()
            h = h + f * (n - h)
            outputs.append(h)
        return torch.stack(outputs), (h,)

    def gates(self, x: Tensor, outputs: Tensor) -> dict[str, Tensor]:
        products = self.project(x)[..., : self.hidden]
        weight = self.recurrent_weight[: self.hidden]
        return {"forget": (products + nn.functional.linear(outputs[:-1], weight)).sigmoid()}
