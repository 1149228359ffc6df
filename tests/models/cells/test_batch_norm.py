"""Normalization folded into the weights, against torch's own of the product spelled out."""

import pytest
import torch
from torch import Tensor, nn

from charrnn.models.cells.base import GatedCell
from charrnn.models.cells.batch_norm import EPSILON, MOMENTUM, InputBatchNorm
from tests.support.arrangements import VARIANTS, make_cell

STEPS, BATCH, INPUTS, ROWS = 9, 4, 5, 12
TOLERANCE = 1e-10


def make() -> tuple[InputBatchNorm, nn.BatchNorm1d, Tensor]:
    """The normalization, torch's own with the same gain and no shift, and weights U."""
    torch.manual_seed(2)
    norm = InputBatchNorm(ROWS).double()
    nn.init.normal_(norm.gain)
    naive = nn.BatchNorm1d(ROWS, eps=EPSILON, momentum=MOMENTUM).double()
    naive.weight.data.copy_(norm.gain.data)
    return norm, naive, torch.randn(ROWS, INPUTS, dtype=torch.float64, requires_grad=True)


def draw_inputs() -> Tensor:
    """Inputs whose parts have means and deviations of their own."""
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    deviations, means = torch.rand(INPUTS, dtype=x.dtype), torch.randn(INPUTS, dtype=x.dtype)
    return (x * deviations + means).requires_grad_()


def folded(norm: InputBatchNorm, x: Tensor, weight: Tensor) -> Tensor:
    scale, shift = norm(x, weight)
    return torch.addcmul(shift, scale, x @ weight.T)


def spelled_out(naive: nn.BatchNorm1d, x: Tensor, weight: Tensor) -> Tensor:
    y: Tensor = naive((x @ weight.T).flatten(0, 1))
    return y.view(STEPS, BATCH, ROWS)


def close(got: Tensor | None, expected: Tensor | None) -> None:
    assert got is not None
    torch.testing.assert_close(got, expected, rtol=0, atol=TOLERANCE)


def test_training_normalizes_and_averages_as_torch_does() -> None:
    norm, naive, weight = make()
    for _ in range(5):
        x = draw_inputs()
        close(folded(norm, x, weight), spelled_out(naive, x, weight))
        close(norm.running_mean, naive.running_mean)
        close(norm.running_var, naive.running_var)


def test_evaluation_takes_the_running_averages_and_leaves_them() -> None:
    norm, naive, weight = make()
    x = draw_inputs()
    folded(norm, x, weight)
    spelled_out(naive, x, weight)
    norm.eval()
    naive.eval()
    mean = norm.running_mean.clone()
    x = draw_inputs()
    close(folded(norm, x, weight), spelled_out(naive, x, weight))
    assert torch.equal(norm.running_mean, mean)
    parts = [folded(norm, part, weight) for part in torch.split(x, 2)]
    close(torch.cat(parts), folded(norm, x, weight))


@pytest.mark.parametrize("training", [True, False])
def test_gradients_equal_those_of_the_product_spelled_out(training: bool) -> None:
    norm, naive, weight = make()
    x = draw_inputs()
    norm.train(training)
    naive.train(training)
    grad = torch.randn(STEPS, BATCH, ROWS, dtype=torch.float64)
    expected = torch.autograd.grad(spelled_out(naive, x, weight), (x, weight, naive.weight), grad)
    got = torch.autograd.grad(folded(norm, x, weight), (x, weight, norm.gain), grad)
    for one, other in zip(got, expected, strict=True):
        close(one, other)


def test_training_moves_no_gradient_into_the_running_averages() -> None:
    norm, _, weight = make()
    folded(norm, draw_inputs(), weight)
    assert not norm.running_mean.requires_grad
    assert not norm.running_var.requires_grad


def test_mixed_precision_leaves_the_statistics_in_float32() -> None:
    torch.manual_seed(2)
    plain, mixed = InputBatchNorm(ROWS), InputBatchNorm(ROWS)
    weight = torch.randn(ROWS, INPUTS)
    x = torch.randn(STEPS, BATCH, INPUTS).bfloat16()
    expected = plain(x.float(), weight)
    with torch.autocast("cpu", torch.bfloat16):
        got = mixed(x, weight)
    for one, other in zip(got, expected, strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)
    assert mixed.running_var.dtype == torch.float32
    assert torch.equal(mixed.running_var, plain.running_var)


def test_a_gate_that_the_inputs_do_not_move_stays_finite() -> None:
    torch.manual_seed(2)
    direction, size = torch.randn(64, dtype=torch.float64), 256
    weight = torch.randn(size, 64, dtype=torch.float64)
    weight -= (weight @ direction)[:, None] * direction / direction.square().sum()
    signs = torch.randn(500, 1, 1, dtype=torch.float64).sign()
    for x in (signs * direction, torch.ones(7, 3, 64), torch.randn(1, 1, 64)):
        norm = InputBatchNorm(size)
        scale, shift = norm(x.float(), weight.float())
        assert scale.isfinite().all()
        assert shift.isfinite().all()
        assert norm.running_var.isfinite().all()
        assert (norm.running_var >= 0).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_cells_normalize_the_inputs_part_of_their_gates(variant: str) -> None:
    cell = make_cell(variant, INPUTS, 3, norm="batch").train()
    assert isinstance(cell, GatedCell)
    nn.init.normal_(cell.bias)
    x = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    naive = nn.BatchNorm1d(len(cell.bias)).double()
    products = (x @ cell.input_weight.T).flatten(0, 1)
    close(cell.project(x).flatten(0, 1), naive(products) + cell.bias)
