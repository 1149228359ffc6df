"""Every cell against the recurrence spelt out and differentiated by hand, in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.cells import REGISTRY
from charrnn.cells.contract import Cell
from tests.reference import gru, lstm, rnn

TOLERANCE = 1e-9
BATCH, INPUTS, HIDDEN = 3, 5, 4

Arrays = dict[str, NDArray[np.float64]]


def reference_lstm(x: Any, state: Any, weights: Arrays, grads: Any) -> tuple[Any, Any, Arrays]:
    y, c_last, trace = lstm.forward(x, *state, **weights)
    return y, (y[-1], c_last), lstm.backward(trace, grads[0], grads[1], grads[2])


def reference_gru(x: Any, state: Any, weights: Arrays, grads: Any) -> tuple[Any, Any, Arrays]:
    y, trace = gru.forward(x, *state, **weights)
    return y, (y[-1],), gru.backward(trace, grads[0], grads[1])


def reference_rnn(x: Any, state: Any, weights: Arrays, grads: Any) -> tuple[Any, Any, Arrays]:
    y, trace = rnn.forward(x, *state, **weights)
    return y, (y[-1],), rnn.backward(trace, grads[0], grads[1])


REFERENCES: dict[str, Callable[..., tuple[Any, Any, Arrays]]] = {
    "lstm": reference_lstm,
    "gru": reference_gru,
    "rnn": reference_rnn,
}


def random_case(name: str, steps: int) -> tuple[Cell, Tensor, list[Tensor]]:
    torch.manual_seed(7)
    cell = REGISTRY[name](INPUTS, HIDDEN).double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(steps, BATCH, INPUTS, dtype=torch.float64, requires_grad=True)
    state = [torch.randn_like(part).requires_grad_() for part in cell.initial_state(BATCH)]
    return cell, x, state


@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_cell_and_its_gradients_equal_the_recurrence_derived_by_hand(name: str, steps: int) -> None:
    cell, x, state = random_case(name, steps)
    y, after = cell(x, tuple(state))
    grads = [torch.randn_like(y), *(torch.randn_like(part) for part in after)]
    torch.autograd.backward([y, *after], grads)

    weights = {key: value.detach().numpy() for key, value in cell.named_parameters()}
    expected_y, expected_after, expected_grads = REFERENCES[name](
        x.detach().numpy(),
        [part.detach().numpy() for part in state],
        weights,
        [grad.numpy() for grad in grads],
    )

    def close(got: Tensor | None, expected: NDArray[np.float64]) -> None:
        assert got is not None
        np.testing.assert_allclose(got.detach().numpy(), expected, rtol=0, atol=TOLERANCE)

    close(y, expected_y)
    for part, expected in zip(after, expected_after, strict=True):
        close(part, expected)
    close(x.grad, expected_grads["x"])
    for part, key in zip(state, ("h0", "c0"), strict=False):
        close(part.grad, expected_grads[key])
    for key, parameter in cell.named_parameters():
        close(parameter.grad, expected_grads[key])


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_gradients_equal_central_differences(name: str) -> None:
    cell, x, state = random_case(name, 3)

    def run(x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        y, after = cell(x, state)
        return (y, *after)

    assert torch.autograd.gradcheck(run, (x, *state))
