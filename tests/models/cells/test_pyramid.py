"""A slow layer against one that keeps lists of what it has read."""

import pytest
import torch
from torch import Tensor

from charrnn.config.cells import CELLS
from charrnn.models.cells.base import Cell, State, select_states
from charrnn.models.cells.pyramid import SlowLayer
from tests.support.arrangements import make_cell

INPUTS, HIDDEN = 3, 4

every_stride = pytest.mark.parametrize("stride", [2, 4, 8])


class Lists:
    """One row's slow layer: everything read so far, and the cell run for each pair at its end."""

    def __init__(self, cell: Cell, stride: int) -> None:
        self.cell = cell
        self.stride = stride
        self.read: list[Tensor] = []
        self.state: State = cell.initial_state(1)
        self.output = self.state[0][0]

    def step(self, x: Tensor) -> Tensor:
        self.read.append(x)
        if len(self.read) % self.stride == 0:
            pair = torch.cat((self.read[-1 - self.stride // 2], self.read[-1]))
            y, self.state = self.cell(pair[None, None], self.state)
            self.output = y[0, 0]
        return self.output


def make(stride: int, variant: str = "lstm") -> SlowLayer:
    return SlowLayer(make_cell(variant, 2 * INPUTS, HIDDEN), stride)


def draw(steps: int, batch: int) -> Tensor:
    return torch.randn(steps, batch, INPUTS, dtype=torch.float64)


def by_lists(slow: SlowLayer, x: Tensor) -> Tensor:
    columns = []
    for row in x.unbind(1):
        lists = Lists(slow.cell, slow.stride)
        columns.append(torch.stack([lists.step(step) for step in row]))
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize("variant", CELLS)
@every_stride
def test_outputs_equal_those_of_the_cell_run_for_each_pair(variant: str, stride: int) -> None:
    slow, x = make(stride, variant), draw(21, 2)
    y, _ = slow(x, slow.initial_state(2))
    torch.testing.assert_close(y, by_lists(slow, x), rtol=0, atol=1e-12)


@every_stride
def test_rows_in_different_phases_each_go_on_as_they_were(stride: int) -> None:
    for chunk in (1, 3, 5):
        slow, rows = make(stride), 6
        x = draw(30, rows)
        expected = by_lists(slow, x)
        states = []
        for row in range(rows):
            _, state = slow(x[: row + 1, row : row + 1], slow.initial_state(1))
            states.append(state)
        together = tuple(torch.cat(parts) for parts in zip(*states, strict=True))
        (shuffled,) = select_states([together], torch.tensor(order := [3, 0, 5, 1, 4, 2]))
        ahead = torch.stack([x[row + 1 : row + 21, row] for row in order], dim=1)
        outputs = []
        for part in torch.split(ahead, chunk):
            y, shuffled = slow(part, shuffled)
            outputs.append(y)
        for column, row in enumerate(order):
            torch.testing.assert_close(
                torch.cat(outputs)[:, column], expected[row + 1 : row + 21, row], rtol=0, atol=1e-12
            )


@every_stride
def test_the_output_changes_with_a_complete_pair_only(stride: int) -> None:
    slow = make(stride)
    y, _ = slow(draw(4 * stride + 1, 1), slow.initial_state(1))
    changed = [0, *(1 + place for place in (y[1:] != y[:-1]).any(-1).any(-1).nonzero().flatten())]
    assert changed == [0, *range(stride - 1, 4 * stride, stride)]
    assert not y[: stride - 1].any()


@every_stride
def test_the_cell_runs_once_for_each_stride(stride: int) -> None:
    for cuts in ([40], [1] * 40, [7, 1, 13, 19]):
        slow, steps = make(stride), list[int]()
        slow.cell.register_forward_pre_hook(
            lambda _, inputs, steps=steps: steps.append(len(inputs[0]))
        )
        state = slow.initial_state(2)
        for part in torch.split(draw(40, 2), cuts):
            _, state = slow(part, state)
        assert sum(steps) == 40 // stride
        assert 0 not in steps


@every_stride
def test_gradients_reach_every_input_that_was_read_into_a_pair(stride: int) -> None:
    slow, x = make(stride), draw(3 * stride - 1, 2).requires_grad_()
    y, _ = slow(x, slow.initial_state(2))
    (grad,) = torch.autograd.grad(y.sum(), x)
    (expected,) = torch.autograd.grad(by_lists(slow, x).sum(), x)
    torch.testing.assert_close(grad, expected, rtol=0, atol=1e-12)
    reached = grad.any(-1).any(-1).nonzero().flatten().tolist()
    pairs = [(end - stride // 2, end) for end in (stride - 1, 2 * stride - 1)]
    assert reached == [place for pair in pairs for place in pair]


def test_a_phase_that_no_text_leads_to_is_lived_with() -> None:
    for phase in (-3.0, 0.5, 7.0, 1e30):
        slow = make(4)
        *state, phases = slow.initial_state(2)
        y, after = slow(draw(9, 2), (*state, torch.full_like(phases, phase)))
        assert y.isfinite().all()
        assert set(after[-1].tolist()) <= {0.0, 1.0, 2.0, 3.0}
