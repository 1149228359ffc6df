"""The forms of the LSTM's input gate, and where its forget gate starts."""

import pytest
import torch
from torch import Tensor, nn

from charrnn.models.cells import lstm
from charrnn.models.cells.lstm import LSTM
from tests.support.arrangements import make_cell

INPUTS, HIDDEN, BATCH = 4, 6, 5
FORMS = ("lstm", "lstm, coupled", "lstm, capped")


@pytest.mark.parametrize("variant", ["lstm, coupled", "lstm, capped"])
def test_memory_that_forgets_what_it_writes_never_passes_one(variant: str) -> None:
    for deviation in (0.3, 3.0, 100.0):
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
def test_the_forget_gate_alone_starts_at_its_bias(variant: str) -> None:
    for start in (-2.0, 0.0, 1.0, 7.5):
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


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fused", ["if it can be", "never"])
def test_bfloat16_runs_through_torch_on_every_processor(
    monkeypatch: pytest.MonkeyPatch, training: bool, fused: str
) -> None:
    # Torch's fused layer fails in bfloat16 where oneDNN has none for the processor.
    if fused == "never":
        monkeypatch.setattr(lstm, "_fuses_bfloat16", lambda: False)
    cell = make_cell("lstm", INPUTS, HIDDEN).float().train(training)
    assert isinstance(cell, LSTM)
    x = torch.randn(9, BATCH, INPUTS)
    state = cell.initial_state(BATCH)

    def run(bfloat16: bool) -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            y, after = cell.run_torch(x, state)
        gradients = torch.autograd.grad(y.float().sum(), list(cell.parameters()))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            unwatched, _ = cell.run_torch(x, state)
        return [y.float(), unwatched.float(), *after, *gradients]

    for rounded, exact in zip(run(bfloat16=True), run(bfloat16=False), strict=True):
        bound = 0.03 * float(exact.detach().abs().max())
        torch.testing.assert_close(rounded, exact, rtol=0, atol=bound)
