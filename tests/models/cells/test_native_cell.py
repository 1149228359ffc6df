"""A cell's two ways of running, through the native library and through torch, give the same."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from charrnn.models.cells.base import State
from charrnn.models.cells.native_cell import NativeCell
from tests.support.arrangements import make_cell
from tests.support.kernel_cases import assert_near, every_form, every_precision, needs_library

pytestmark = needs_library

STEPS, BATCH, INPUTS, HIDDEN, ALPHABET = 9, 5, 7, 33, 11

Run = Callable[[NativeCell, Tensor, State], tuple[Tensor, State]]


def make(form: str, norm: str = "layer") -> NativeCell:
    """A cell in float32, so that the library runs it."""
    cell = make_cell(form, INPUTS, HIDDEN, norm=norm).float().train()
    assert isinstance(cell, NativeCell)
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.2)
    return cell


def results_of(cell: NativeCell, x: Tensor, run: Run) -> dict[str, Tensor]:
    """Outputs, last state, and gradients of the vectors and all parameters."""
    cell.zero_grad()
    vectors = x.to(cell.bias).clone().requires_grad_()
    y, after = run(cell, vectors, cell.initial_state(BATCH))
    weights = torch.linspace(-1, 1, y.numel()).view_as(y)
    torch.autograd.backward([(y * weights).sum(), *(part.sum() for part in after)])
    assert vectors.grad is not None
    gradients = {name: p.grad for name, p in cell.named_parameters() if p.grad is not None}
    assert set(gradients) == {name for name, _ in cell.named_parameters()}
    parts = {f"part {n}": part.detach() for n, part in enumerate(after)}
    return {"y": y.detach(), **parts, "vectors": vectors.grad, **gradients}


def through_torch(cell: NativeCell, x: Tensor, state: State) -> tuple[Tensor, State]:
    return cell.run_torch(x, state)


def natively(cell: NativeCell, x: Tensor, state: State) -> tuple[Tensor, State]:
    def refuse(*arguments: object) -> tuple[Tensor, State]:
        raise AssertionError("torch ran the window")

    vars(cell)["run_torch"] = refuse
    try:
        y, after = cell(x, state)
    finally:
        del vars(cell)["run_torch"]
    return y, after


@every_precision
@pytest.mark.parametrize("norm", ["layer", "batch"])
@every_form
def test_a_window_of_vectors(form: str, norm: str, precision: str) -> None:
    cell = make(form, norm)
    x = torch.randn(STEPS, BATCH, INPUTS)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        native = results_of(cell, x, natively)
    plain = results_of(cell.double(), x.double(), through_torch)
    assert_near(native, plain, 3e-6 if precision == "fp32" else 0.03)


@every_precision
@every_form
def test_a_window_of_characters(form: str, precision: str) -> None:
    cell = make(form)
    vectors, ids = torch.randn(ALPHABET, INPUTS), torch.randint(ALPHABET, (STEPS, BATCH))

    def look_up(cell: NativeCell, x: Tensor, state: State) -> tuple[Tensor, State]:
        return cell.run_characters(x, ids, state)

    def embed(cell: NativeCell, x: Tensor, state: State) -> tuple[Tensor, State]:
        return cell.run_torch(nn.functional.embedding(ids, x), state)

    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        native = results_of(cell, vectors, look_up)
    plain = results_of(cell.double(), vectors.double(), embed)
    assert_near(native, plain, 3e-6 if precision == "fp32" else 0.03)


@every_form
def test_a_single_step_through_torch_goes_on_from_a_window_through_the_library(form: str) -> None:
    cell = make(form)
    x = torch.randn(STEPS, BATCH, INPUTS)
    whole, _ = cell(x, cell.initial_state(BATCH))
    state, outputs = cell.initial_state(BATCH), []
    for part in torch.split(x, [4, 1, 4]):
        y, state = cell(part, state)
        outputs.append(y)
    torch.testing.assert_close(torch.cat(outputs), whole, rtol=0, atol=1e-5)


@every_form
def test_whoever_watches_a_cell_sees_the_windows_of_characters_too(form: str) -> None:
    cell = make(form)
    vectors, ids = torch.randn(ALPHABET, INPUTS), torch.randint(ALPHABET, (STEPS, BATCH))
    seen: list[Tensor] = []
    watch = cell.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    y, _ = cell.run_characters(vectors, ids, cell.initial_state(BATCH))
    watch.remove()
    unseen, _ = cell.run_characters(vectors, ids, cell.initial_state(BATCH))
    assert [x.shape for x in seen] == [(STEPS, BATCH, INPUTS)]
    torch.testing.assert_close(y, unseen, rtol=0, atol=1e-5)
