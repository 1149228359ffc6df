"""Windows for the native library to run, and what it makes of them."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from charrnn.kernels import library
from charrnn.kernels.recurrence import Inputs, gru, lstm

FORMS = ("lstm", "lstm, coupled", "lstm, capped", "gru", "gru, reset before")
"""The recurrences that the library knows, by the names of support.arrangements.VARIANTS."""

PRECISIONS = ("fp32", "bf16")

USABLE = [build for build in library.BUILDS if not library.find_obstacle(build)]
"""Builds that this machine can run, the fastest first."""

needs_library = pytest.mark.skipif(
    not USABLE or library.load_kernels() is None,
    reason="there is no native library, or it is not wanted",
)
every_form = pytest.mark.parametrize("form", FORMS)
every_precision = pytest.mark.parametrize("precision", PRECISIONS)

Results = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """A window of a recurrence.

    Attributes:
        form: one of FORMS.
        tensors: what has a gradient: inputs, weight, h, for an LSTM c, for a GRU with the reset
            after the product candidate_bias.
        chosen: rows of inputs, if they are a table.
        gradients: of the outputs and of the parts of the last state.
    """

    form: str
    tensors: dict[str, Tensor]
    chosen: Tensor | None
    gradients: tuple[Tensor, ...]

    @property
    def is_lstm(self) -> bool:
        return self.form.startswith("lstm")

    @property
    def gates(self) -> str:
        """The kind of an LSTM's input gate."""
        return self.form.partition(", ")[2] or "separate"


def make_case(
    form: str, steps: int, batch: int, units: int, *, table: int = 0, scale: float = 1.0
) -> Case:
    """A window of random numbers, the same for the same arguments."""
    random = torch.Generator().manual_seed(steps + 10 * batch + 1000 * units)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    products = 3 if form.startswith("gru") or form == "lstm, coupled" else 4
    place = (table,) if table else (steps, batch)
    tensors = {
        "inputs": draw(*place, products * units) * scale,
        "weight": draw(products * units, units) * scale / units**0.5,
        "h": draw(batch, units).tanh(),
    }
    if form.startswith("lstm"):
        tensors["c"] = draw(batch, units)
    if form == "gru":
        tensors["candidate_bias"] = draw(units)
    chosen = torch.randint(table, (steps, batch), generator=random) if table else None
    states = 1 + form.startswith("lstm")
    gradients = (draw(steps, batch, units), *(draw(batch, units) for _ in range(states)))
    return Case(form, tensors, chosen, gradients)


def forward(case: Case, tensors: dict[str, Tensor], precision: str) -> tuple[Tensor, ...]:
    """Outputs and last state through the library."""
    inputs = Inputs(tensors["inputs"], case.chosen)
    weight, h = tensors["weight"], tensors["h"]
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        if case.is_lstm:
            return lstm(inputs, weight, h, tensors["c"], gates=case.gates)
        return gru(inputs, weight, tensors.get("candidate_bias"), h)


def run(case: Case, precision: str = "fp32", threads: int = 1) -> Results:
    """Outputs "y", last state "h'" and "c'", and gradients under the names of the tensors."""
    torch.set_num_threads(threads)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in case.tensors.items()}
    results = forward(case, leaves, precision)
    torch.autograd.backward(
        results, [g.to(r.dtype) for r, g in zip(results, case.gradients, strict=True)]
    )
    torch.set_num_threads(1)
    found = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    assert set(found) == set(leaves)
    return {**name_results(results), **found}


def name_results(results: tuple[Tensor, ...]) -> Results:
    return {name: r.detach() for name, r in zip(("y", "h'", "c'"), results, strict=False)}


def assert_identical(got: Results, expected: Results) -> None:
    assert set(got) == set(expected)
    for name, tensor in expected.items():
        assert got[name].dtype == tensor.dtype, name
        assert torch.equal(got[name], tensor), (name, distance(got[name], tensor))


def assert_near(got: Results, expected: Results, most: float) -> None:
    """No value is further off than that share of the tensor's largest one."""
    assert set(got) == set(expected)
    for name, tensor in expected.items():
        off = distance(got[name], tensor)
        assert off <= most, (name, off)


def distance(got: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest value; of 1, if all are smaller."""
    assert got.shape == expected.shape
    largest = expected.double().abs().max().item()
    return (got.double() - expected.double()).abs().max().item() / max(largest, 1.0)


def changed(case: Case, name: str, value: Tensor) -> Case:
    """The case with another tensor."""
    return replace(case, tensors={**case.tensors, name: value})
