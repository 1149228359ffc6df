"""Every cell and its gradients against its equations spelled out in float64."""

import pytest
import torch
from torch import Tensor

from charrnn.models.cells.base import Cell
from tests.support.arrangements import make_cell
from tests.support.plain_cells import run_plain_cell

TOLERANCE = 1e-9
BATCH, INPUTS, HIDDEN = 3, 5, 4


def random_case(name: str, steps: int) -> tuple[Cell, Tensor, list[Tensor]]:
    cell = make_cell(name, INPUTS, HIDDEN, seed=7)
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(steps, BATCH, INPUTS, dtype=torch.float64)
    return cell, x, [torch.randn_like(part) for part in cell.initial_state(BATCH)]


def gradients(results: list[Tensor], leaves: list[Tensor], grads: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(results, leaves, grads, allow_unused=True)
    # A weight that a cell does not read has no gradient at all.
    return [
        torch.zeros_like(leaf) if grad is None else grad
        for grad, leaf in zip(found, leaves, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("lstm", "lstm, coupled", "lstm, capped"),
        *("gru", "gru, reset before"),
        *("rnn", "rnn, relu", "rnn, sigmoid"),
        *("stack, shallow", "stack, nothing else", "stack, no-op"),
    ],
)
def test_cell_and_its_gradients_equal_its_equations(name: str) -> None:
    for steps in (1, 2, 9):
        cell, x, state = random_case(name, steps)
        weights: dict[str, Tensor] = dict(cell.named_parameters())
        leaves = [x.requires_grad_(), *(part.requires_grad_() for part in state), *weights.values()]
        y, after = cell(x, tuple(state))
        grads = [torch.randn_like(part) for part in (y, *after)]
        plain_y, plain_after = run_plain_cell(name, x, tuple(state), weights)
        got, expected = [y, *after], [plain_y, *plain_after]
        torch.testing.assert_close(got, expected, rtol=0, atol=TOLERANCE)
        torch.testing.assert_close(
            gradients(got, leaves, grads),
            gradients(expected, leaves, grads),
            rtol=0,
            atol=TOLERANCE,
        )
