"""What every recurrent cell keeps to: the caller owns the state, and time comes first.

    State = tuple[Tensor, ...]                     each (B, ...); (h,) or (h, c) or more
    cell(x (T, B, D), state) -> (y (T, B, H), state)

A cell stores nothing between calls, so one long pass equals the same text in chunks with the state
handed over, and one set of functions detaches, selects, saves and restores every cell's state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
"""One layer's state; every tensor has the batch (B) as its first dimension."""


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

    @abstractmethod
    def initial_state(self, batch: int) -> State:
        """The state before any text, on the cell's own device and in its own type."""

    @abstractmethod
    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Run over x (T, B, D) from a state; the outputs (T, B, H) and the state after the last."""

    def _zeros(self, batch: int, size: int) -> Tensor:
        return next(self.parameters()).new_zeros(batch, size)


def uniform_(weights: Sequence[Tensor], hidden: int) -> None:
    """Fill with uniform draws from +-1/sqrt(hidden), the usual start of recurrent weights."""
    bound = hidden**-0.5
    for weight in weights:
        nn.init.uniform_(weight, -bound, bound)


def detach_states(states: Sequence[State]) -> tuple[State, ...]:
    """The same states, cut from the graph that computed them: where BPTT is truncated."""
    return tuple(tuple(tensor.detach() for tensor in state) for state in states)


def select_states(states: Sequence[State], rows: Tensor) -> tuple[State, ...]:
    """The states of some streams: rows (R,) of indices, repeats allowed -> batch R."""
    return tuple(tuple(tensor.index_select(0, rows) for tensor in state) for state in states)


def name_states(states: Sequence[State]) -> dict[str, Tensor]:
    """Every tensor of the states under a name of its own, to be saved."""
    return {
        f"{layer}.{part}": tensor
        for layer, state in enumerate(states)
        for part, tensor in enumerate(state)
    }


def restore_states(states: Sequence[State], named: Mapping[str, Tensor]) -> tuple[State, ...]:
    """States like the given ones, with the tensors that :func:`name_states` named.

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


def zero_bias(bias: Tensor) -> Tensor:
    """A second bias of zeros, for torch's fused layers, which want one for each product."""
    return torch.zeros_like(bias, requires_grad=False)
