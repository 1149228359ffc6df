"""The forms of the LSTM's input gate, and where its forget gate starts."""

import pytest
import torch
from torch import nn

from tests.support.arrangements import make_cell

INPUTS, HIDDEN, BATCH = 4, 6, 5
FORMS = ("lstm", "lstm, coupled", "lstm, capped")


@pytest.mark.parametrize("variant", ["lstm, coupled", "lstm, capped"])
@pytest.mark.parametrize("deviation", [0.3, 3.0, 100.0])
def test_memory_that_forgets_what_it_writes_never_passes_one(
    variant: str, deviation: float
) -> None:
    cell = make_cell(variant, INPUTS, HIDDEN)
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=deviation)
    state = cell.initial_state(BATCH)
    for _ in range(50):
        _, state = cell(torch.randn(1, BATCH, INPUTS, dtype=torch.float64), state)
        assert state[1].abs().max() <= 1 + 1e-12


def test_memory_with_gates_of_its_own_may_pass_one() -> None:
    cell = make_cell("lstm", INPUTS, HIDDEN)
    nn.init.constant_(cell.get_parameter("bias"), 5.0)
    x = torch.zeros(20, BATCH, INPUTS, dtype=torch.float64)
    _, (_, c) = cell(x, cell.initial_state(BATCH))
    assert c.min() > 5


@pytest.mark.parametrize("variant", FORMS)
@pytest.mark.parametrize("start", [-2.0, 0.0, 1.0, 7.5])
def test_the_forget_gate_alone_starts_at_its_bias(variant: str, start: float) -> None:
    cell = make_cell(variant, INPUTS, HIDDEN, forget_bias=start)
    nothing = torch.zeros(1, 1, INPUTS, dtype=torch.float64)
    gates = cell.gates(nothing, torch.zeros(2, 1, HIDDEN, dtype=torch.float64))
    forget = torch.tensor(start).double().sigmoid()
    written = {"lstm": torch.tensor(0.5), "lstm, coupled": 1 - forget}.get(
        variant, (1 - forget).clamp(max=0.5)
    )
    expected = {"input": written, "forget": forget, "output": torch.tensor(0.5)}
    for name, value in expected.items():
        torch.testing.assert_close(gates[name][0, 0], value.double().expand(HIDDEN))
    assert cell.get_parameter("bias").count_nonzero() == (HIDDEN if start else 0)


@pytest.mark.parametrize("variant", FORMS)
def test_a_forget_gate_that_is_open_keeps_the_memory(variant: str) -> None:
    cell = make_cell(variant, INPUTS, HIDDEN)
    rows = -3 * HIDDEN
    with torch.no_grad():
        bias = cell.get_parameter("bias")
        bias[:rows] = -1000.0
        bias[rows : rows + HIDDEN] = 1000.0
    h, c = torch.randn(2, BATCH, HIDDEN, dtype=torch.float64)
    _, (_, after) = cell(torch.randn(9, BATCH, INPUTS, dtype=torch.float64), (h, c))
    assert torch.equal(after, c)


def test_coupled_gates_have_no_rows_for_the_input() -> None:
    shapes = [make_cell(form, INPUTS, HIDDEN).get_parameter("bias").shape[0] for form in FORMS]
    assert shapes == [4 * HIDDEN, 3 * HIDDEN, 4 * HIDDEN]
