"""The contract of every recurrent cell, and the parts that cells share.

    State = tuple[Tensor, ...]                     each (B, ...); (h,) or (h, c) or more
    cell(x (T, B, D), state) -> (y (T, B, H), state)

The caller owns the state, and time comes first. A cell stores nothing between calls, so one long
pass equals the same text in chunks with the state carried over, and one set of functions detaches,
selects, saves and restores every cell's state. The first part of a state is the output that led to
it: after a call, ``y[-1]`` is ``state[0]``. Batch normalization is the one exception, and in
training only; see ``batch_norm.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor, nn

from charrnn.config.cells import Shapes
from charrnn.models.cells.batch_norm import InputBatchNorm
from charrnn.models.threads import one_thread

State = tuple[Tensor, ...]
"""One layer's state; every tensor has the batch (B) as its first dimension."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
}
"""Functions that hidden units apply, by name."""

_DRAWN_AT_ONCE = 1 << 22

IDENTITY_INPUT_DEVIATION = 1e-3
"""Standard deviation of the input's weights where the recurrent matrix starts as the identity."""


class Cell(nn.Module, ABC):
    """A recurrent layer.

    Args:
        input_size: length D of an input vector.
        hidden: length H of an output vector.
    """

    def __init__(self, input_size: int, hidden: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden = hidden

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the state's parts that carry a gradient, in their order."""
        return ("h",)

    @property
    def period(self) -> int:
        """Characters per step of the cell: 1, unless it runs at a rate of its own."""
        return 1

    @property
    def core(self) -> Cell:
        """The cell that computes: this one, unless it runs another at a rate of its own."""
        return self

    @property
    def native_form(self) -> str:
        """The form in which the native library trains the cell; empty if it does not.

        It is one of ``charrnn.kernels.network.FORMS``.
        """
        return ""

    @classmethod
    def gains_from_bfloat16(cls, **settings: Any) -> bool:  # noqa: ARG003
        """Tell whether torch trains the cell faster in bfloat16, on a CPU that multiplies it fast.

        Args:
            settings: the cell's own.
        """
        return False

    @abstractmethod
    def initial_state(self, batch: int) -> State:
        """Return the state before any text, on the cell's own device and in its own type."""

    @abstractmethod
    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Run over x (T, B, D) from a state; return y (T, B, H) and the state after the last."""

    def run_characters(self, vectors: Tensor, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Run over characters: as :meth:`forward` over vectors (V, D) at ids (T, B), int64."""
        y, after = self(nn.functional.embedding(ids, vectors), state)
        return y, after

    def gates(self, x: Tensor, outputs: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Compute how far each gate is open at each step, from 0 (shut) to 1.

        Args:
            x: inputs (T, B, D).
            outputs: (T + 1, B, H), the one before the first step at index 0.

        Returns:
            By the gate's name, (T, B, number of such gates); empty for a cell without gates.
        """
        return {}

    def _zeros(self, batch: int, size: int) -> Tensor:
        return next(self.parameters()).new_zeros(batch, size)


class GateSettings(TypedDict):
    """Settings that every :class:`GatedCell` takes.

    Attributes:
        init: start of the recurrent matrices; see :func:`initialize`.
        init_gain: factor on that start.
        batch_norm: whether U x is batch-normalized; see :class:`InputBatchNorm`.
    """

    init: str
    init_gain: float
    batch_norm: bool


class GatedCell(Cell):
    """A cell made of gates: products with the input and with the hidden state, stacked by rows.

    Parameters: input_weight U (G * H, D), recurrent_weight W (G * H, H), bias b (G * H), and those
    that the registry lists besides. Biases start at 0, further matrices uniform.

    Args:
        input_size: length D of an input vector.
        hidden: length H of an output vector.
        shapes: of the parameters, from the registry.
        common: see :class:`GateSettings`.
    """

    input_weight: nn.Parameter
    recurrent_weight: nn.Parameter
    bias: nn.Parameter

    def __init__(
        self, input_size: int, hidden: int, shapes: Shapes, **common: Unpack[GateSettings]
    ) -> None:
        super().__init__(input_size, hidden)
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        rows = len(self.bias)
        self.input_norm = InputBatchNorm(rows) if common["batch_norm"] else None
        if self.bias.is_meta:
            return  # Shapes alone are wanted, and there is nothing to draw into.
        # Drawn for cells that lack it too, so that the draws after it are the same either way.
        recurrent = getattr(self, "recurrent_weight", torch.empty(rows, hidden))
        initialize(self.input_weight, recurrent, common["init"], common["init_gain"])
        for name, weight in self.named_parameters(recurse=False):
            if weight.dim() > 1 and name not in ("input_weight", "recurrent_weight"):
                fill_uniform(weight, hidden)

    def initial_state(self, batch: int) -> State:
        return (self._zeros(batch, self.hidden),)

    def input_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weight (G * H, D) and bias (G * H) that take the inputs into the gates."""
        if self.input_norm is None:
            return self.input_weight, self.bias
        scale, shift = self.input_norm(x, self.input_weight)
        return scale[:, None] * self.input_weight, self.bias + shift

    def project(self, x: Tensor) -> Tensor:
        """Compute the inputs' part in the gates for all steps: (T, B, D) -> (T, B, G * H)."""
        return nn.functional.linear(x, *self.input_map(x))


@torch.no_grad()
def initialize(input_weight: Tensor, recurrent_weight: Tensor, init: str, gain: float) -> None:
    """Draw the weights of a recurrence in place.

    uniform       from +-1/sqrt(H), as torch's own layers do.
    orthogonal    each gate's recurrent matrix orthogonal, so that no direction grows or shrinks
                  (Saxe, McClelland & Ganguli 2014, "Exact solutions to the nonlinear dynamics of
                  learning in deep linear neural networks"); the input's weights uniform.
    identity      the recurrent matrix the identity, so that the state stays until something
                  changes it; the input's weights normal with deviation 0.001 (Le, Jaitly & Hinton
                  2015, "A simple way to initialize recurrent networks of rectified linear units").
                  A gain below 1, as they use for speech, lets the state fade: a state that is
                  carried through a whole text and never fades grows without bound as soon as
                  training makes W a little larger.

    Args:
        input_weight: (G * H, D), one block of H rows for each of G gates.
        recurrent_weight: (G * H, H), likewise.
        init: "uniform", "orthogonal" or "identity".
        gain: factor on the recurrent weights.

    Raises:
        ValueError: no start has that name.
    """
    hidden = recurrent_weight.shape[1]
    fill_uniform(input_weight, hidden)
    match init:
        case "uniform":
            fill_uniform(recurrent_weight, hidden)
        case "orthogonal":
            with one_thread():  # The last bits depend on the number.
                for gate in torch.split(recurrent_weight, hidden):
                    nn.init.orthogonal_(gate)
        case "identity":
            nn.init.normal_(input_weight, std=IDENTITY_INPUT_DEVIATION)
            nn.init.eye_(recurrent_weight)
        case _:
            raise ValueError(f"no initialization is called {init!r}")
    recurrent_weight.mul_(gain)


@torch.no_grad()
def fill_uniform(weight: Tensor, hidden: int) -> None:
    """Fill a weight (R, C) with uniform draws from +-1/sqrt(hidden).

    The draws are those of the whole. It is filled some rows at a time, since no signal is heard
    during a call.
    """
    for rows in torch.split(weight, max(_DRAWN_AT_ONCE // weight.shape[1], 1)):
        nn.init.uniform_(rows, -(hidden**-0.5), hidden**-0.5)


def make_zero_bias(bias: Tensor) -> Tensor:
    """Make the second bias that torch's fused layers want, one for each product: zeros."""
    return torch.zeros_like(bias, requires_grad=False)


def detach_states(states: Sequence[State]) -> tuple[State, ...]:
    """Cut states from the graph that computed them, where BPTT is truncated."""
    return tuple(tuple(tensor.detach() for tensor in state) for state in states)


def count_numbers(states: Sequence[State]) -> int:
    """Count the numbers in the states, of all layers and rows together."""
    return sum(part.numel() for state in states for part in state)


def select_states(states: Sequence[State], rows: Tensor) -> tuple[State, ...]:
    """Take the states of some streams: rows (R,) of indices, repeats allowed -> batch R."""
    return tuple(tuple(tensor.index_select(0, rows) for tensor in state) for state in states)


def name_states(states: Sequence[State]) -> dict[str, Tensor]:
    """Give every tensor of the states a name of its own, to be saved."""
    return {
        f"{layer}.{part}": tensor
        for layer, state in enumerate(states)
        for part, tensor in enumerate(state)
    }


def restore_states(states: Sequence[State], named: Mapping[str, Tensor]) -> tuple[State, ...]:
    """Rebuild states like the given ones from the tensors that :func:`name_states` named.

    Raises:
        ValueError: a tensor is missing, unknown, or of another shape or type.
    """
    odd = sorted(set(named) ^ set(name_states(states)))
    if odd:
        raise ValueError(f"the states have missing or unknown tensors: {', '.join(odd)[:200]}")

    def matching(name: str, like: Tensor) -> Tensor:
        tensor = named[name]
        if tensor.shape != like.shape or tensor.dtype != like.dtype:
            raise ValueError(f"state {name} is not {like.dtype} of shape {tuple(like.shape)}")
        return tensor.to(like.device, copy=True)

    return tuple(
        tuple(matching(f"{layer}.{part}", tensor) for part, tensor in enumerate(state))
        for layer, state in enumerate(states)
    )
