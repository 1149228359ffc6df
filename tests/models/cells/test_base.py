"""The contract of every cell, and the start of a recurrence's weights."""

from itertools import cycle

import pytest
import torch
from torch import Tensor, nn

from charrnn.config.cells import CELLS
from charrnn.models.cells import base, cell_class
from charrnn.models.cells.base import (
    IDENTITY_INPUT_DEVIATION,
    Cell,
    detach_states,
    fill_uniform,
    initialize,
    name_states,
    restore_states,
    select_states,
)
from charrnn.models.cells.native_cell import NativeCell
from tests.support.arrangements import STRIDES, VARIANTS, make_cell, make_slow

STEPS, BATCH, INPUTS, HIDDEN = 17, 3, 5, 8

# A pyramid's slow layer and batch normalization know a cell by its state alone.
SLOW = [f"{cell}, every {stride}" for cell, stride in zip(CELLS, cycle(STRIDES), strict=False)]
NORMALIZED = [f"{cell}, batch norm" for cell in CELLS]

every_cell = pytest.mark.parametrize("name", [*VARIANTS, *SLOW, *NORMALIZED])


def make(name: str) -> Cell:
    variant, _, stride = name.partition(", every ")
    if stride:
        return make_slow(variant, INPUTS, HIDDEN, int(stride))
    variant, batch_norm, _ = name.partition(", batch norm")
    return make_cell(variant, INPUTS, HIDDEN, norm="batch" if batch_norm else "layer")


def test_every_cell_of_the_registry_is_among_those_tested() -> None:
    assert set(CELLS) <= set(VARIANTS)


def test_the_registry_tells_which_cells_train_natively() -> None:
    for cell in CELLS:
        assert CELLS[cell].native_training == issubclass(cell_class(cell), NativeCell), cell


@every_cell
def test_one_pass_equals_chunks_with_the_state_carried(name: str) -> None:
    cell = make(name)
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    whole, after_whole = cell(x, cell.initial_state(BATCH))
    for cuts in ([1] * STEPS, [4, 1, 12], [16, 1], [5, 5, 7]):
        state, chunks = cell.initial_state(BATCH), []
        for chunk in torch.split(x, cuts):
            y, state = cell(chunk, state)
            chunks.append(y)
        torch.testing.assert_close(torch.cat(chunks), whole, rtol=0, atol=1e-12)
        for part, expected in zip(state, after_whole, strict=True):
            torch.testing.assert_close(part, expected, rtol=0, atol=1e-12)


@every_cell
def test_batch_rows_do_not_touch_one_another(name: str) -> None:
    cell = make(name)
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    together, _ = cell(x, cell.initial_state(BATCH))
    changed = x.clone()
    changed[:, 0] += 1
    others, _ = cell(changed, cell.initial_state(BATCH))
    assert not torch.equal(together[:, 0], others[:, 0])
    assert torch.equal(together[:, 1:], others[:, 1:])


@every_cell
def test_an_output_depends_on_nothing_that_comes_later(name: str) -> None:
    cell = make(name)
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    before, _ = cell(x, cell.initial_state(BATCH))
    x[9:] += 1
    after, _ = cell(x, cell.initial_state(BATCH))
    assert torch.equal(before[:9], after[:9])
    assert not torch.equal(before[9:], after[9:])


@every_cell
def test_a_call_leaves_no_trace_in_the_cell(name: str) -> None:
    cell = make(name)
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    state = cell.initial_state(BATCH)
    first, _ = cell(x, state)
    again, _ = cell(x, state)
    assert torch.equal(first, again)
    assert all(torch.equal(a, b) for a, b in zip(state, cell.initial_state(BATCH), strict=True))


@every_cell
def test_detached_states_carry_no_gradient(name: str) -> None:
    cell = make(name)
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    _, state = cell(x, cell.initial_state(BATCH))
    assert any(part.requires_grad for part in state)
    (detached,) = detach_states([state])
    assert all(not part.requires_grad for part in detached)


@every_cell
def test_selected_rows_continue_as_they_would_have(name: str) -> None:
    cell = make(name)
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    _, state = cell(x, cell.initial_state(BATCH))
    rows = torch.tensor([2, 0, 2])
    (chosen,) = select_states([state], rows)
    onward, _ = cell(x, state)
    selected, _ = cell(x[:, rows], chosen)
    torch.testing.assert_close(selected, onward[:, rows], rtol=0, atol=1e-12)


@every_cell
def test_saved_states_come_back(name: str) -> None:
    cell = make(name)
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    _, state = cell(x, cell.initial_state(BATCH))
    named = {key: tensor.clone() for key, tensor in name_states([state]).items()}
    (restored,) = restore_states([cell.initial_state(BATCH)], named)
    assert all(torch.equal(a, b) for a, b in zip(state, restored, strict=True))


def test_a_state_of_another_shape_is_refused() -> None:
    cell = make("gru")
    with pytest.raises(ValueError, match="shape"):
        restore_states([cell.initial_state(2)], name_states([cell.initial_state(3)]))


@every_cell
def test_the_state_begins_with_the_last_output(name: str) -> None:
    cell = make(name)
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    y, state = cell(x, cell.initial_state(BATCH))
    torch.testing.assert_close(state[0], y[-1], rtol=0, atol=1e-15)


INIT_INPUTS, INIT_HIDDEN, GATES = 6, 40, 4


def draw(init: str, gain: float = 1.0, gates: int = GATES) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    input_weight = torch.empty(gates * INIT_HIDDEN, INIT_INPUTS, dtype=torch.float64)
    recurrent_weight = torch.empty(gates * INIT_HIDDEN, INIT_HIDDEN, dtype=torch.float64)
    initialize(input_weight, recurrent_weight, init, gain)
    return input_weight, recurrent_weight


@pytest.mark.parametrize("shape", [(1, 5), (100, 33), (7, 1)])
def test_uniform_weights_are_drawn_in_parts_as_the_whole_would_be(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]
) -> None:
    found, expected = torch.zeros(shape), torch.zeros(shape)
    torch.manual_seed(1)
    nn.init.uniform_(expected, -0.5, 0.5)
    after = torch.rand(1)
    torch.manual_seed(1)
    monkeypatch.setattr(base, "_DRAWN_AT_ONCE", 70)
    fill_uniform(nn.Parameter(found), 4)
    assert torch.equal(found, expected)
    assert torch.equal(torch.rand(1), after)


def assert_uniform(weight: Tensor) -> None:
    bound = INIT_HIDDEN**-0.5
    assert weight.abs().max() <= bound
    assert weight.std() == pytest.approx(bound / 3**0.5, rel=0.1)


@pytest.mark.parametrize("gain", [1.0, 0.5, 3.0])
def test_every_gates_recurrent_matrix_is_orthogonal_times_the_gain(gain: float) -> None:
    input_weight, recurrent_weight = draw("orthogonal", gain)
    square = gain**2 * torch.eye(INIT_HIDDEN, dtype=torch.float64)
    for gate in torch.split(recurrent_weight, INIT_HIDDEN):
        torch.testing.assert_close(gate @ gate.T, square, rtol=0, atol=1e-12)
    assert_uniform(input_weight)


def test_orthogonal_weights_do_not_depend_on_the_number_of_threads() -> None:
    threads = torch.get_num_threads()
    drawn = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            torch.manual_seed(1)
            weights = torch.empty(300, 70), torch.empty(520, 130)
            initialize(*weights, "orthogonal", 1.0)
            drawn.append(weights[1])
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])


def test_orthogonal_gates_are_drawn_one_by_one() -> None:
    first, second, *_ = torch.split(draw("orthogonal")[1], INIT_HIDDEN)
    assert (first - second).abs().max() > 0.1


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_the_identity_is_scaled_by_the_gain_and_its_inputs_are_small(gain: float) -> None:
    input_weight, recurrent_weight = draw("identity", gain, gates=1)
    assert torch.equal(recurrent_weight, gain * torch.eye(INIT_HIDDEN, dtype=torch.float64))
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
    cell = make_cell(variant, INIT_INPUTS, INIT_HIDDEN, init="orthogonal", init_gain=0.5)
    square = 0.25 * torch.eye(INIT_HIDDEN, dtype=torch.float64)
    for gate in torch.split(cell.get_parameter("recurrent_weight"), INIT_HIDDEN):
        torch.testing.assert_close(gate @ gate.T, square, rtol=0, atol=1e-6)


def test_rectified_units_of_the_identity_keep_their_state() -> None:
    cell = make_cell("rnn, relu", INIT_INPUTS, INIT_HIDDEN, init_gain=1.0)
    h = torch.rand(3, INIT_HIDDEN, dtype=torch.float64)
    y, _ = cell(torch.zeros(20, 3, INIT_INPUTS, dtype=torch.float64), (h,))
    assert torch.equal(y[-1], h)
