"""The native cross entropy equals torch's, whatever the sizes and the threads."""

import pytest
import torch
from torch import Tensor, nn

from charrnn.kernels.cross_entropy import IGNORED, MANY, can_run, cross_entropy, mean_nats
from tests.support.kernel_cases import Results, assert_identical, assert_near, needs_library

pytestmark = needs_library

SIZES = [(1, 1), (3, 2), (5, 16), (7, 65), (9, 100), (40, 1_003)]
every_size = pytest.mark.parametrize("size", SIZES)

ROUNDING = {torch.float32: 1e-6, torch.bfloat16: 2**-8}
every_type = pytest.mark.parametrize("dtype", ROUNDING)


def make(size: tuple[int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Logits (N, V) and targets (N,)."""
    random = torch.Generator().manual_seed(sum(size))
    logits = (5 * torch.randn(size, generator=random)).to(dtype)
    return logits, torch.randint(size[1], size[:1], generator=random)


def run(logits: Tensor, targets: Tensor, weight: float = 1.0) -> Results:
    """The loss and its gradient through the library."""
    logits = logits.detach().requires_grad_()
    nats = cross_entropy(logits, targets)
    (gradient,) = torch.autograd.grad(weight * nats, logits)
    return {"nats": nats.detach(), "logits": gradient}


def by_torch(logits: Tensor, targets: Tensor, weight: float = 1.0) -> Results:
    """The same through torch, in float64."""
    logits = logits.detach().double().requires_grad_()
    nats = nn.functional.cross_entropy(logits, targets)
    (gradient,) = torch.autograd.grad(weight * nats, logits)
    return {"nats": nats.detach(), "logits": gradient}


def assert_agree(got: Results, expected: Results, dtype: torch.dtype) -> None:
    # Computed at least in float32, whatever the gradient is rounded to.
    assert_near({"nats": got["nats"]}, {"nats": expected["nats"]}, 1e-6)
    largest = expected["logits"].abs().max() or 1.0
    assert_near(
        {"logits": got["logits"].double() / largest},
        {"logits": expected["logits"] / largest},
        ROUNDING[dtype],
    )


@every_type
@every_size
def test_the_loss_and_its_gradient_are_those_of_torch(
    size: tuple[int, int], dtype: torch.dtype
) -> None:
    logits, targets = make(size, dtype)
    got = run(logits, targets)
    assert got["logits"].dtype == dtype
    assert_agree(got, by_torch(logits, targets), dtype)


@every_type
def test_a_gradient_is_multiplied_by_the_one_that_reaches_the_loss(dtype: torch.dtype) -> None:
    logits, targets = make((7, 33), dtype)
    assert_agree(run(logits, targets, -3.5), by_torch(logits, targets, -3.5), dtype)


@every_type
def test_places_without_a_target_count_for_nothing(dtype: torch.dtype) -> None:
    logits, targets = make((9, 33), dtype)
    targets[2:6] = IGNORED
    got = run(logits, targets)
    assert_agree(got, by_torch(logits, targets), dtype)
    assert not got["logits"][2:6].any()
    targets[:] = IGNORED
    nothing = run(logits, targets)
    assert nothing["nats"].isnan()
    assert not nothing["logits"].any()


@every_type
def test_no_number_of_threads_changes_a_bit(dtype: torch.dtype) -> None:
    logits, targets = make((700, 101), dtype)
    alone = run(logits, targets)
    for threads in (2, 3):
        torch.set_num_threads(threads)
        assert_identical(run(logits, targets), alone)


@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_only_differences_between_logits_matter(shift: float) -> None:
    logits, targets = make((7, 33), torch.float32)
    exact = logits.round()  # A whole number that large is one in float32.
    assert_identical(run(exact + shift, targets), run(exact, targets))


@every_type
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("place", [0, 7, 32])
def test_what_is_not_finite_never_looks_sound(place: int, value: float, dtype: torch.dtype) -> None:
    logits, targets = make((7, 33), dtype)
    logits[3, place] = value
    got = run(logits, targets)
    assert not got["nats"].isfinite()
    assert not got["logits"][3].isfinite().all()
    assert got["logits"][4].isfinite().all()


@every_type
def test_what_was_thought_impossible_costs_without_end(dtype: torch.dtype) -> None:
    logits, targets = make((7, 33), dtype)
    logits[3, targets[3]] = -torch.inf
    assert run(logits, targets)["nats"] == torch.inf


def test_logits_may_lie_anywhere() -> None:
    logits, targets = make((33, 9), torch.float32)
    across = logits.T
    assert not across.is_contiguous()
    chosen = targets[:9] % 33
    assert_identical(run(across, chosen), run(across.contiguous(), chosen))


@pytest.mark.parametrize(
    ("logits", "targets"),
    [((0, 3), (0,)), ((5, 3), (4,)), ((5, 3), (5, 1)), ((5,), (5,)), ((1, 5, 3), (1,))],
)
def test_what_does_not_belong_together_is_refused(
    logits: tuple[int, ...], targets: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        cross_entropy(torch.zeros(logits), torch.zeros(targets, dtype=torch.int64))


@pytest.mark.parametrize("target", [3, -1, -101, 2**31, -(2**32)])
def test_a_target_without_logits_is_refused(target: int) -> None:
    with pytest.raises(IndexError, match=f"{target}.* of 3"):
        cross_entropy(torch.zeros(2, 3), torch.tensor([0, target]))


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.float32])
def test_targets_of_another_type_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        cross_entropy(torch.zeros(2, 3), torch.zeros(2, dtype=dtype))


def test_a_model_s_loss_is_the_same_by_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, targets = make((6, 5), torch.float32)
    targets[2] = IGNORED
    both = []
    for many in (MANY, 1):
        monkeypatch.setattr("charrnn.kernels.cross_entropy.MANY", many)
        leaf = logits.detach().requires_grad_()
        nats = mean_nats(leaf.view(2, 3, 5), targets.view(2, 3))
        (gradient,) = torch.autograd.grad(nats, leaf)
        both.append({"nats": nats.detach(), "logits": gradient})
    torch_s, ours = both
    assert torch_s["nats"].dtype == torch.float32
    assert ours["nats"].dtype == torch.float64
    assert_agree(ours, torch_s, torch.float32)


def test_types_that_it_does_not_know_are_left_to_torch() -> None:
    logits, targets = make((6, 5), torch.float32)
    assert can_run(logits)
    assert not can_run(logits.double())
    assert not can_run(logits.to("meta"))
    with pytest.raises(ValueError, match="do not belong together"):
        cross_entropy(logits.double(), targets)
