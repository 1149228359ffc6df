"""The two conventions of the update gate."""

import pytest
import torch
from torch import Tensor, nn

from charrnn.models.cells.gru import GRU
from tests.support.arrangements import make_cell

STEPS, BATCH, INPUTS, HIDDEN = 7, 3, 4, 5


def step_letting_the_new_in(cell: GRU, x: Tensor, h: Tensor) -> Tensor:
    """A step with h' = (1 - z) * h + z * n, as in Chung et al. 2014."""
    r, z, n = (x @ cell.input_weight.T + cell.bias).chunk(3, dim=1)
    recurrent = torch.split(cell.recurrent_weight, HIDDEN)
    r = (r + h @ recurrent[0].T).sigmoid()
    z = (z + h @ recurrent[1].T).sigmoid()
    if cell.candidate_bias is None:
        n = (n + (r * h) @ recurrent[2].T).tanh()
    else:
        n = (n + r * (h @ recurrent[2].T + cell.candidate_bias)).tanh()
    return (1 - z) * h + z * n


@pytest.mark.parametrize("variant", ["gru", "gru, reset before"])
def test_negating_the_update_gate_turns_one_convention_into_the_other(variant: str) -> None:
    cell, other = (make_cell(variant, INPUTS, HIDDEN) for _ in range(2))
    assert isinstance(cell, GRU)
    assert isinstance(other, GRU)
    for parameter in cell.parameters():
        nn.init.normal_(parameter)
    other.load_state_dict(cell.state_dict())
    update = slice(HIDDEN, 2 * HIDDEN)
    with torch.no_grad():
        for weights in (other.input_weight, other.recurrent_weight, other.bias):
            weights[update].neg_()
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    h = torch.randn(BATCH, HIDDEN, dtype=torch.float64)
    y, _ = cell(x, (h,))
    for step, expected in zip(x, y, strict=True):
        h = step_letting_the_new_in(other, step, h)
        torch.testing.assert_close(h, expected, rtol=0, atol=1e-12)


def test_the_two_places_of_the_reset_are_different_functions() -> None:
    after, before = (make_cell(name, INPUTS, HIDDEN) for name in ("gru", "gru, reset before"))
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    weights = {k: v for k, v in after.state_dict().items() if k != "candidate_bias"}
    before.load_state_dict(weights)
    one, _ = after(x, after.initial_state(BATCH))
    other, _ = before(x, before.initial_state(BATCH))
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("variant", ["gru", "gru, reset before"])
def test_an_update_gate_that_is_open_keeps_the_state(variant: str) -> None:
    cell = make_cell(variant, INPUTS, HIDDEN)
    with torch.no_grad():
        cell.get_parameter("bias")[HIDDEN : 2 * HIDDEN] = 1000.0
    h = torch.randn(BATCH, HIDDEN, dtype=torch.float64)
    y, _ = cell(torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64), (h,))
    torch.testing.assert_close(y[-1], h, rtol=0, atol=1e-14)
