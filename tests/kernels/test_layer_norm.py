"""The native layer normalization equals torch's, whatever the sizes and the threads."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from charrnn.kernels.layer_norm import EPSILON, SHARED, can_run, layer_norm
from charrnn.models.layer_norm import LayerNorm
from tests.support.kernel_cases import Results, assert_identical, assert_near, needs_library

pytestmark = needs_library

SIZES = [(2, 1, 3), (1, 5, 1), (3, 4, 16), (9, 7, 17), (4, 13, 33), (40, 11, 100)]
every_size = pytest.mark.parametrize("size", SIZES)
masked_or_not = pytest.mark.parametrize("masked", [False, True])

ROUNDING = {torch.float32: 2e-6, torch.bfloat16: 2**-7}
every_type = pytest.mark.parametrize("dtype", ROUNDING)


class Case(NamedTuple):
    """The input, the mask, and the gradient of the result."""

    x: Tensor
    gain: Tensor
    shift: Tensor
    mask: Tensor | None
    gradient: Tensor


def make(size: tuple[int, int, int], dtype: torch.dtype, *, masked: bool) -> Case:
    """Random numbers, as a recurrence leaves them: in rows of an even width."""
    random = torch.Generator().manual_seed(sum(size))
    steps, batch, units = size

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    x = (3 * draw(steps + 1, batch, units + units % 2) + 1).to(dtype)[1:, :, :units]
    mask = (torch.rand(1, batch, units, generator=random) > 0.3) / 0.7 if masked else None
    return Case(x, draw(units), draw(units), mask, draw(*size).to(dtype))


def run(case: Case) -> Results:
    """Outputs and gradients through the library."""
    x, gain, shift = (t.detach().requires_grad_() for t in (case.x, case.gain, case.shift))
    y = layer_norm(x, gain, shift, case.mask)
    gradients = torch.autograd.grad(y, (x, gain, shift), case.gradient)
    return dict(zip(("y", "x", "gain", "shift"), (y.detach(), *gradients), strict=True))


def by_torch(case: Case) -> Results:
    """The same through torch, in float64."""
    x, gain, shift = (t.detach().double().requires_grad_() for t in case[:3])
    y = nn.functional.layer_norm(x, gain.shape, gain, shift, EPSILON)
    y = y if case.mask is None else y * case.mask.double()
    gradients = torch.autograd.grad(y, (x, gain, shift), case.gradient.double())
    return dict(zip(("y", "x", "gain", "shift"), (y.detach(), *gradients), strict=True))


@every_type
@masked_or_not
@every_size
def test_outputs_and_gradients_are_those_of_torch(
    size: tuple[int, int, int], masked: bool, dtype: torch.dtype
) -> None:
    case = make(size, dtype, masked=masked)
    got, expected = run(case), by_torch(case)
    # One unit is its own mean: of the gradients that lead back to it nothing but rounding is left.
    if size[-1] == 1:
        del got["x"], expected["x"]
    assert_near(got, expected, ROUNDING[dtype])
    assert got["y"].dtype == dtype


@every_type
@masked_or_not
def test_threads_change_a_sum_s_order_and_no_run_differs_from_another(
    masked: bool, dtype: torch.dtype
) -> None:
    case = make((90, 32, 100), dtype, masked=masked)
    assert case.x.numel() > SHARED
    alone = run(case)
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        several = run(case)
        assert_identical(run(case), several)
        sums = {name: several.pop(name) for name in ("gain", "shift")}
        assert_near(sums, {name: alone[name] for name in sums}, 2e-6)
        assert_identical(several, {name: alone[name] for name in several})


@pytest.mark.parametrize("steps", [1, 6])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("layout", ["transposed", "reversed", "every other unit"])
def test_rows_and_weights_may_lie_anywhere(layout: str, batch: int, steps: int) -> None:
    random = torch.Generator().manual_seed(1)
    x = torch.randn(steps, batch, 8, generator=random)
    scattered = {
        "transposed": x.transpose(0, 1),
        "reversed": x.transpose(0, 2),
        "every other unit": x[..., ::2],
    }[layout]
    gain, shift = torch.randn(scattered.shape[-1], 2, generator=random).T
    plain = nn.LayerNorm(len(gain), eps=EPSILON)
    plain.load_state_dict({"weight": gain, "bias": shift})
    expected = plain(scattered)
    assert torch.allclose(layer_norm(scattered, gain, shift, None), expected, atol=1e-6)
    scattered = scattered.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(
        layer_norm(scattered, gain, shift, None).square().sum(), scattered
    )
    (wanted,) = torch.autograd.grad(plain(scattered).square().sum(), scattered)
    assert torch.allclose(gradient, wanted, atol=1e-4)


def test_a_variance_that_is_hardly_any_is_divided_by_what_torch_adds() -> None:
    x = 1e-3 * torch.randn(3, 4, 33, generator=torch.Generator().manual_seed(1))
    ones, zeros = torch.ones(33), torch.zeros(33)
    expected = nn.LayerNorm(33)(x)
    assert torch.allclose(layer_norm(x, ones, zeros, None), expected, atol=1e-6)


def test_what_is_not_a_number_stays_so_in_its_row_alone() -> None:
    x = torch.randn(3, 4, 33)
    x[1, 2, 7] = torch.nan
    wrong = layer_norm(x, torch.ones(33), torch.zeros(33), None).isnan()
    assert wrong[1, 2].all()
    assert wrong.sum() == 33


@pytest.mark.parametrize(
    ("gain", "shift", "mask"), [(4, 5, None), (5, 4, None), (5, 5, (1, 2, 5)), (5, 5, (2, 3, 5))]
)
def test_what_does_not_belong_together_is_refused(
    gain: int, shift: int, mask: tuple[int, ...] | None
) -> None:
    masks = None if mask is None else torch.ones(mask)
    with pytest.raises(ValueError, match="do not belong together"):
        layer_norm(torch.ones(2, 3, 5), torch.ones(gain), torch.ones(shift), masks)


@pytest.mark.parametrize(
    ("x", "gain", "shift"),
    [
        ("float16", "float32", "float32"),
        ("float32", "float64", "float32"),
        ("float32", "float32", "bfloat16"),
    ],
)
def test_types_that_it_does_not_know_are_refused(x: str, gain: str, shift: str) -> None:
    one, two, three = (getattr(torch, name) for name in (x, gain, shift))
    with pytest.raises(ValueError, match="do not belong together"):
        layer_norm(
            torch.ones(2, 3, 5, dtype=one),
            torch.ones(5, dtype=two),
            torch.ones(5, dtype=three),
            None,
        )


def test_what_the_library_does_not_normalize_is_left_to_torch() -> None:
    ours = LayerNorm(8).double()
    assert not can_run(torch.ones(2, 3, 8).double(), ours.weight)
    x, mask = torch.randn(2, 3, 8).double(), torch.rand(1, 3, 8).double()
    expected = nn.functional.layer_norm(x, (8,), eps=EPSILON) * mask
    assert torch.allclose(ours(x, mask), expected, rtol=1e-12)
    assert not can_run(torch.ones(2, 3, 8, device="meta"), torch.ones(8, device="meta"))
    assert can_run(torch.ones(2, 3, 8), torch.ones(8))
