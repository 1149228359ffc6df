"""The recurrences in float64: as derived by hand, and with the roundings of bfloat16 products."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.reference import gru, gru_before, lstm, lstm_capped, lstm_coupled
from tests.support.kernel_cases import Case, Results, name_results

_REFERENCES: dict[str, Any] = {
    "lstm": lstm,
    "lstm, coupled": lstm_coupled,
    "lstm, capped": lstm_capped,
    "gru": gru,
    "gru, reset before": gru_before,
}


def by_hand(case: Case) -> Results:
    """Run tests.reference on a case, the inputs led in by the identity."""
    reference = _REFERENCES[case.form]
    given = {name: tensor.double().numpy() for name, tensor in case.tensors.items()}
    inputs = given["inputs"]
    x = inputs if case.chosen is None else inputs[case.chosen.numpy()]
    width = x.shape[-1]
    bias = {"candidate_bias": given["candidate_bias"]} if "candidate_bias" in given else {}
    states = [given["h"], *([given["c"]] if case.is_lstm else [])]
    y, *last, trace = reference.forward(
        x,
        *states,
        input_weight=np.eye(width),
        recurrent_weight=given["weight"],
        bias=np.zeros(width),
        **bias,
    )
    gradients = reference.backward(trace, *(g.double().numpy() for g in case.gradients))
    results: dict[str, NDArray[np.float64]] = {"y": y, "h'": y[-1]}
    names = {"weight": "recurrent_weight", "h": "h0", "candidate_bias": "candidate_bias"}
    if case.is_lstm:
        results["c'"] = last[0]
        names["c"] = "c0"
    for name, theirs in names.items():
        if name in given:
            results[name] = gradients[theirs]
    results["inputs"] = gradients["x"]
    if case.chosen is not None:
        results["inputs"] = np.zeros_like(inputs)
        np.add.at(results["inputs"], case.chosen.numpy(), gradients["x"])
    return {name: torch.from_numpy(result) for name, result in results.items()}


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


def in_bfloat16(case: Case) -> Results:
    """A case in float64 with every operand of a product rounded to bfloat16."""
    leaves = {name: t.double().requires_grad_() for name, t in case.tensors.items()}
    inputs = _rounded(leaves["inputs"])
    x = inputs if case.chosen is None else inputs[case.chosen]
    weight = _rounded(leaves["weight"])
    h, outputs = leaves["h"], []
    c = leaves.get("c", h)
    before = _rounded(h)
    for here in x:
        if case.is_lstm:
            h, c = _lstm_step(case.gates, _back(here + before @ weight.T), c)
        else:
            h = _gru_step(here, before, h, weight, leaves.get("candidate_bias"))
        before = _rounded(h)
        outputs.append(before)
    # An LSTM's output goes on as it feeds the next product, a GRU's state whole.
    results = (torch.stack(outputs), before, c) if case.is_lstm else (torch.stack(outputs), h)
    rounded = (case.gradients[0].bfloat16(), *case.gradients[1:])
    torch.autograd.backward(results, [gradient.double() for gradient in rounded])
    gradients = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    gradients["weight"] = gradients["weight"].bfloat16().double()
    return {**name_results(results), **gradients}


def _lstm_step(gates: str, products: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    *i, f, o, g = torch.split(products, c.shape[1], dim=1)
    f = f.sigmoid()
    match gates:
        case "coupled":
            admitted = 1 - f
        case "capped":
            admitted = torch.minimum(i[0].sigmoid(), 1 - f)
        case _:
            admitted = i[0].sigmoid()
    c = f * c + admitted * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru_step(
    x: Tensor, before: Tensor, h: Tensor, weight: Tensor, candidate_bias: Tensor | None
) -> Tensor:
    units = h.shape[1]
    gates, candidate = weight[: 2 * units], weight[2 * units :]
    r, z = _back(x[:, : 2 * units] + before @ gates.T).sigmoid().chunk(2, dim=1)
    if candidate_bias is None:
        n = _back(x[:, 2 * units :] + _rounded(r * h) @ candidate.T).tanh()
    else:
        # Its input and its product have gradients of their own: r stands between them.
        n = (_back(x[:, 2 * units :]) + r * _back(before @ candidate.T + candidate_bias)).tanh()
    return n + z * (h - n)
