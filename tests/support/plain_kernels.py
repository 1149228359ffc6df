"""The native recurrences in float64, exact and with the roundings of bfloat16 products."""

from typing import Any

import torch
from torch import Tensor

from tests.support.kernel_cases import Case, Results, name_results
from tests.support.plain_cells import Map, leave, step_gru, step_lstm


class _Rounded(torch.autograd.Function):
    """Round the input of a product to bfloat16 going forward, and not going backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.bfloat16().double()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class _RoundedBack(torch.autograd.Function):
    """A product's result: untouched on the way there, its gradient rounded to bfloat16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.bfloat16().double()


def _rounded(x: Tensor) -> Tensor:
    result: Tensor = _Rounded.apply(x)  # type: ignore[no-untyped-call]
    return result


def _back(x: Tensor) -> Tensor:
    result: Tensor = _RoundedBack.apply(x)  # type: ignore[no-untyped-call]
    return result


def in_float64(case: Case) -> Results:
    """Run a case in float64."""
    return _run(case, case.gradients, leave, leave)


def in_bfloat16(case: Case) -> Results:
    """Run a case in float64 with every operand of a product rounded to bfloat16."""
    gradients = (case.gradients[0].bfloat16(), *case.gradients[1:])
    results = _run(case, gradients, _rounded, _back)
    return {**results, "weight": results["weight"].bfloat16().double()}


def _run(case: Case, gradients: tuple[Tensor, ...], rounded: Map, back: Map) -> Results:
    leaves = {name: t.double().requires_grad_() for name, t in case.tensors.items()}
    inputs = rounded(leaves["inputs"])
    x = inputs if case.chosen is None else inputs[case.chosen]
    weight = rounded(leaves["weight"])
    h, outputs = leaves["h"], []
    c = leaves.get("c", h)
    before = rounded(h)
    for here in x:
        if case.is_lstm:
            h, c = step_lstm(case.gates, back(here + before @ weight.T), c)
        else:
            bias = leaves.get("candidate_bias")
            h = step_gru(here, before, h, weight, bias, rounded, back)
        before = rounded(h)
        outputs.append(before)
    # An LSTM's output goes on as it feeds the next product, a GRU's state whole.
    results = (torch.stack(outputs), before, c) if case.is_lstm else (torch.stack(outputs), h)
    torch.autograd.backward(results, [gradient.double() for gradient in gradients])
    found = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    return {**name_results(results), **found}
