"""Long short-term memory, with an input gate that is separate, coupled or capped."""

from __future__ import annotations

from functools import cache
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from charrnn.config.cells import Shapes
from charrnn.kernels import recurrence
from charrnn.kernels.recurrence import Inputs
from charrnn.models.cells.base import GateSettings, State, make_zero_bias
from charrnn.models.cells.native_cell import NativeCell


class LSTM(NativeCell):
    """Long short-term memory.

        i = sigmoid(U_i x + W_i h + b_i)        input gate
        f = sigmoid(U_f x + W_f h + b_f)        forget gate
        o = sigmoid(U_o x + W_o h + b_o)        output gate
        g = tanh   (U_g x + W_g h + b_g)        candidate
        c' = f * c + i * g
        h' = o * tanh(c')

    The input gate may also be

        i = 1 - f                               coupled: as much is written as is forgotten
        i = min(i, 1 - f)                       capped: never more than is forgotten, so |c| <= 1

    The state is (h, c), each (B, H).

    Shapes: input_weight U (4H, D), recurrent_weight W (4H, H) and bias b (4H), the gates stacked
    by rows in the order i, f, o, g; coupled gates have no rows i: 3H in the order f, o, g.

    Source: Hochreiter & Schmidhuber 1997, "Long short-term memory", with the forget gate of Gers,
    Schmidhuber & Cummins 2000, "Learning to forget", and no peepholes. Coupled gates: Greff et al.
    2017, "LSTM: a search space odyssey"; capped gates: Melis, Kocisky & Blunsom 2020, "Mogrifier
    LSTM".

    Args:
        input_size: length D of an input vector.
        hidden: length H of an output vector.
        shapes: of the parameters, from the registry.
        lstm_gates: "separate", "coupled" or "capped".
        forget_bias: start of b_f; above 0 a fresh cell remembers (Jozefowicz, Zaremba & Sutskever
            2015, "An empirical exploration of recurrent network architectures").
        common: see :class:`GateSettings`.

    Example:
        >>> import torch
        >>> from charrnn.config.model import ModelConfig
        >>> from charrnn.models.char_model import build_cell
        >>> cell = build_cell(ModelConfig(cell="lstm", hidden=5), input_size=3)
        >>> y, (h, c) = cell(torch.zeros(7, 2, 3), cell.initial_state(2))
        >>> tuple(y.shape), tuple(h.shape), tuple(c.shape)
        ((7, 2, 5), (2, 5), (2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden: int,
        shapes: Shapes,
        *,
        lstm_gates: str,
        forget_bias: float,
        **common: Unpack[GateSettings],
    ) -> None:
        super().__init__(input_size, hidden, shapes, **common)
        self.lstm_gates = lstm_gates
        with torch.no_grad():
            self.bias[-3 * hidden : -2 * hidden].fill_(forget_bias)

    @classmethod
    def gains_from_bfloat16(cls, **settings: Any) -> bool:
        return bool(settings["lstm_gates"] == "separate")  # The fused layer.

    @property
    def native_form(self) -> str:
        return self.lstm_gates

    @property
    def parts(self) -> tuple[str, ...]:
        return ("h", "c")

    def initial_state(self, batch: int) -> State:
        return (self._zeros(batch, self.hidden), self._zeros(batch, self.hidden))

    def run_native(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:
        y, h, c = recurrence.lstm(inputs, self.recurrent_weight, *state, gates=self.lstm_gates)
        return y, (h, c)

    def run_torch(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        # Sampling would repack the fused layer's weights at each character, which costs far more
        # than the products.
        if self.lstm_gates == "separate" and len(x) > 1 and _can_fuse(x):
            return self._fused(x, *state)
        return self._unrolled(x, *state)

    def gates(self, x: Tensor, outputs: Tensor) -> dict[str, Tensor]:
        products = self.project(x) + nn.functional.linear(outputs[:-1], self.recurrent_weight)
        i, f, o = self._open(products[..., : -self.hidden])
        return {"input": i, "forget": f, "output": o}

    def _open(self, products: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Open the gates i, f, o by the products of their rows, with any leading dimensions."""
        gates = torch.split(products.sigmoid(), self.hidden, dim=-1)
        f, o = gates[-2:]
        match self.lstm_gates:
            case "coupled":
                return 1 - f, f, o
            case "capped":
                return torch.minimum(gates[0], 1 - f), f, o
            case _:
                return gates[0], f, o

    def _unrolled(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, State]:
        outputs = []
        for projected in self.project(x):
            products = projected + nn.functional.linear(h, self.recurrent_weight)
            i, f, o = self._open(products[:, : -self.hidden])
            c = f * c + i * products[:, -self.hidden :].tanh()
            h = o * c.tanh()
            outputs.append(h)
        return torch.stack(outputs), (h, c)

    def _fused(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, State]:
        weight, bias = (_torch_order(stacked) for stacked in self.input_map(x))
        weights = [weight, _torch_order(self.recurrent_weight), bias, make_zero_bias(bias)]
        y, h, c = torch.lstm(
            x, [h[None], c[None]], weights, True, 1, 0.0, self.training, False, False
        )
        return y, (h[0], c[0])


def _can_fuse(x: Tensor) -> bool:
    """Tell whether torch's fused layer runs here; in bfloat16 many processors have none."""
    bfloat16 = x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
    return x.device.type != "cpu" or not bfloat16 or _fuses_bfloat16()


@cache
@torch.inference_mode(mode=False)
@torch.enable_grad()
def _fuses_bfloat16() -> bool:
    """Try torch's fused layer in bfloat16 on the CPU, forward and backward: it cannot be asked."""
    x, state = torch.zeros(2, 1, 1), torch.zeros(1, 1, 1)
    weights = [torch.zeros(shape, requires_grad=True) for shape in ((4, 1), (4, 1), (4,), (4,))]
    try:
        with torch.autocast("cpu", torch.bfloat16):
            y, *_ = torch.lstm(x, [state, state], weights, True, 1, 0.0, True, False, False)
            torch.autograd.grad(y.sum(), weights)
    except RuntimeError:
        return False
    return True


def _torch_order(stacked: Tensor) -> Tensor:
    """Put rows i, f, o, g in the order of torch's fused layer: i, f, g, o."""
    i, f, o, g = stacked.chunk(4)
    return torch.cat((i, f, g, o))
