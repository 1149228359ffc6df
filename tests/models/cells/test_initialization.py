"""The start of a recurrence's weights."""

import pytest
import torch
from torch import Tensor

from charrnn.models.cells.base import IDENTITY_INPUT_DEVIATION, initialize
from tests.support.arrangements import make_cell

INPUTS, HIDDEN, GATES = 6, 40, 4


def draw(init: str, gain: float = 1.0, gates: int = GATES) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    input_weight = torch.empty(gates * HIDDEN, INPUTS, dtype=torch.float64)
    recurrent_weight = torch.empty(gates * HIDDEN, HIDDEN, dtype=torch.float64)
    initialize(input_weight, recurrent_weight, init, gain)
    return input_weight, recurrent_weight


def assert_uniform(weight: Tensor) -> None:
    bound = HIDDEN**-0.5
    assert weight.abs().max() <= bound
    assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.1)


@pytest.mark.parametrize("gain", [1.0, 0.5, 3.0])
def test_every_gates_recurrent_matrix_is_orthogonal_times_the_gain(gain: float) -> None:
    input_weight, recurrent_weight = draw("orthogonal", gain)
    square = gain**2 * torch.eye(HIDDEN, dtype=torch.float64)
    for gate in torch.split(recurrent_weight, HIDDEN):
        torch.testing.assert_close(gate @ gate.T, square, rtol=0, atol=1e-12)
    assert_uniform(input_weight)


def test_orthogonal_gates_are_drawn_one_by_one() -> None:
    first, second, *_ = torch.split(draw("orthogonal")[1], HIDDEN)
    assert (first - second).abs().max() > 0.1


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_the_identity_is_scaled_by_the_gain_and_its_inputs_are_small(gain: float) -> None:
    input_weight, recurrent_weight = draw("identity", gain, gates=1)
    assert torch.equal(recurrent_weight, gain * torch.eye(HIDDEN, dtype=torch.float64))
    assert input_weight.std() == pytest.approx(IDENTITY_INPUT_DEVIATION, rel=0.1)


@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_uniform_weights_lie_within_their_bound_times_the_gain(gain: float) -> None:
    input_weight, recurrent_weight = draw("uniform", gain)
    assert_uniform(input_weight)
    assert_uniform(recurrent_weight / gain)


def test_a_start_of_another_name_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="'zeros'"):
        draw("zeros")


@pytest.mark.parametrize("variant", ["lstm", "lstm, coupled", "gru", "rnn", "stack"])
def test_cells_take_their_start_and_its_gain(variant: str) -> None:
    cell = make_cell(variant, INPUTS, HIDDEN, init="orthogonal", init_gain=0.5)
    square = 0.25 * torch.eye(HIDDEN, dtype=torch.float64)
    for gate in torch.split(cell.get_parameter("recurrent_weight"), HIDDEN):
        torch.testing.assert_close(gate @ gate.T, square, rtol=0, atol=1e-6)


def test_rectified_units_of_the_identity_keep_their_state() -> None:
    cell = make_cell("rnn, relu", INPUTS, HIDDEN, init_gain=1.0)
    h = torch.rand(3, HIDDEN, dtype=torch.float64)
    y, _ = cell(torch.zeros(20, 3, INPUTS, dtype=torch.float64), (h,))
    assert torch.equal(y[-1], h)
