"""Every cell against the recurrence spelt out and differentiated by hand, in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.models.cells.base import Cell
from tests.reference import gru, gru_before, lstm, lstm_capped, lstm_coupled, rnn, stack
from tests.support.arrangements import make_cell

TOLERANCE = 1e-9
BATCH, INPUTS, HIDDEN = 3, 5, 4

Arrays = dict[str, NDArray[np.float64]]
Reference = Callable[[Any, Any, Arrays, Any], tuple[Any, Any, Arrays]]


def with_h(module: Any, **options: Any) -> Reference:
    def run(x: Any, state: Any, weights: Arrays, grads: Any) -> tuple[Any, Any, Arrays]:
        y, trace = module.forward(x, *state, **weights, **options)
        return y, (y[-1],), module.backward(trace, grads[0], grads[1])

    return run


def with_h_and_more(module: Any, **options: Any) -> Reference:
    def run(x: Any, state: Any, weights: Arrays, grads: Any) -> tuple[Any, Any, Arrays]:
        y, last, trace = module.forward(x, *state, **weights, **options)
        return y, (y[-1], last), module.backward(trace, *grads)

    return run


REFERENCES: dict[str, Reference] = {
    "lstm": with_h_and_more(lstm),
    "lstm, coupled": with_h_and_more(lstm_coupled),
    "lstm, capped": with_h_and_more(lstm_capped),
    "gru": with_h(gru),
    "gru, reset before": with_h(gru_before),
    "rnn": with_h(rnn, activation="tanh"),
    "rnn, relu": with_h(rnn, activation="relu"),
    "rnn, sigmoid": with_h(rnn, activation="sigmoid"),
    "stack, shallow": with_h_and_more(stack, activation="sigmoid"),
    "stack, nothing else": with_h_and_more(stack, activation="sigmoid", recurrent_weight=None),
    "stack, no-op": with_h_and_more(stack, activation="sigmoid"),
}

every_reference = pytest.mark.parametrize("name", REFERENCES)


def random_case(name: str, steps: int) -> tuple[Cell, Tensor, list[Tensor]]:
    cell = make_cell(name, INPUTS, HIDDEN, seed=7)
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(steps, BATCH, INPUTS, dtype=torch.float64, requires_grad=True)
    state = [torch.randn_like(part).requires_grad_() for part in cell.initial_state(BATCH)]
    return cell, x, state


@pytest.mark.parametrize("steps", [1, 2, 9])
@every_reference
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
    for part, key in zip(state, ("h0", "stacks0" if "stack" in name else "c0"), strict=False):
        # A weight that a cell does not read has no gradient at all.
        close(torch.zeros_like(part) if part.grad is None else part.grad, expected_grads[key])
    for key, parameter in cell.named_parameters():
        close(parameter.grad, expected_grads[key])


@every_reference
def test_gradients_equal_central_differences(name: str) -> None:
    cell, x, state = random_case(name, 3)

    def run(x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        y, after = cell(x, state)
        return (y, *after)

    assert torch.autograd.gradcheck(run, (x, *state))
