"""Saturation of gates, against gates computed from the equations one step at a time."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from charrnn.analysis.gates import MOST_CHARACTERS, OPEN, SHUT, Saturation, measure_saturation
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Ids
from charrnn.data.encoded_text import ContinuousText, RecordText
from charrnn.errors import UsageError
from charrnn.models.cells.base import GatedCell
from charrnn.models.cells.stack_rnn import StackRNN
from charrnn.models.char_model import CharModel, build_model
from tests.support.arrangements import ARRANGEMENTS, configure

ALPHABET, HIDDEN = 7, 5

Gates = dict[str, Tensor]


def build(config: ModelConfig) -> CharModel:
    return build_model(config, ALPHABET, seed=4).double().eval().requires_grad_(False)


def arrange(arrangement: str) -> CharModel:
    """A network whose weights are so large that its gates shut and open."""
    model = build(configure(arrangement, hidden=HIDDEN, embedding=3))
    for name, weight in model.named_parameters():
        if "cells" in name:
            weight.mul_(6)
    return model


def random_ids(characters: int) -> Ids:
    drawn = np.random.default_rng(6).integers(ALPHABET, size=characters)
    return drawn.astype(np.uint8)


def lstm_gates(cell: GatedCell, x: Tensor, h: Tensor) -> Gates:
    *first, f, o, _ = products(cell, x, h)
    f, o = f.sigmoid(), o.sigmoid()
    i = first[0].sigmoid() if first else 1 - f
    capped = getattr(cell, "lstm_gates", None) == "capped"
    return {"input": torch.minimum(i, 1 - f) if capped else i, "forget": f, "output": o}


def gru_gates(cell: GatedCell, x: Tensor, h: Tensor) -> Gates:
    r, z, _ = products(cell, x, h)
    return {"reset": r.sigmoid(), "update": z.sigmoid()}


def products(cell: GatedCell, x: Tensor, h: Tensor) -> list[Tensor]:
    total = cell.input_weight @ x + cell.recurrent_weight @ h + cell.bias
    return list(torch.split(total, cell.hidden))


EQUATIONS = {
    "lstm": lstm_gates,
    "lstm, coupled": lstm_gates,
    "lstm, capped": lstm_gates,
    "gru": gru_gates,
    "gru, reset before": gru_gates,
    "residual": lstm_gates,
}


def saturations(gates: list[list[Gates]]) -> list[Saturation]:
    """From every layer's gates at each of its steps to the shares of the steps."""
    return [
        Saturation(
            layer,
            name,
            tuple(torch.stack([step[name] < SHUT for step in steps]).double().mean(0).tolist()),
            tuple(torch.stack([step[name] > OPEN for step in steps]).double().mean(0).tolist()),
        )
        for layer, steps in enumerate(gates, 1)
        for name in steps[0]
    ]


@pytest.mark.parametrize("arrangement", EQUATIONS)
def test_shares_equal_those_of_gates_computed_from_the_equations(arrangement: str) -> None:
    model, ids = arrange(arrangement), random_ids(80)
    states = model.initial_states(1)
    gates: list[list[Gates]] = [[] for _ in states]
    for character in ids.tolist():
        before = states
        _, states = model(torch.tensor([[character]]), states)
        x = model.embedding.weight[character]
        for layer, cell in enumerate(model.layers()):
            assert isinstance(cell, GatedCell)
            gates[layer].append(EQUATIONS[arrangement](cell, x, before[layer][0][0]))
            y = model.norms[layer](states[layer][0][0])
            x = y + x if layer and model.connect == "residual" else y
    measured = measure_saturation(model, ContinuousText(ids))
    assert measured == saturations(gates)
    assert any(0 < share < 1 for one in measured for share in one.shut)
    assert any(0 < share < 1 for one in measured for share in one.open)


@pytest.mark.parametrize("arrangement", ["stack", "stack, no-op", "stack, rounded"])
def test_the_gates_of_a_stack_are_its_actions(arrangement: str) -> None:
    model, ids = arrange(arrangement), random_ids(60)
    states = model.initial_states(1)
    gates: list[list[Gates]] = [[] for _ in states]
    for character in ids.tolist():
        _, states = model(torch.tensor([[character]]), states)
        for layer, cell in enumerate(model.layers()):
            assert isinstance(cell, StackRNN)
            scores = (cell.action_weight @ states[layer][0][0]).view(cell.stacks, -1)
            shares = scores.softmax(-1)
            if cell.stack_round:
                shares = (scores == scores.max(-1, keepdim=True).values).double()
            gates[layer].append(dict(zip(cell.actions, shares.T, strict=True)))
    assert measure_saturation(model, ContinuousText(ids)) == saturations(gates)


def test_slow_layers_are_counted_at_their_own_pace() -> None:
    model, ids = arrange("pyramid of lstm"), random_ids(43)
    seen: list[list[Tensor]] = [[], [], []]
    for layer, cell in enumerate(model.layers()):
        norm = model.norms[layer]
        cell.register_forward_hook(
            lambda _, inputs, output, layer=layer, norm=norm: seen[layer].append(norm(output[0]))
        )
    measured = measure_saturation(model, ContinuousText(ids))
    inputs = [model.embedding.weight[ids.tolist()], *(torch.cat(ys)[:, 0] for ys in seen[:-1])]
    gates: list[list[Gates]] = []
    for layer, (cell, below) in enumerate(zip(model.layers(), inputs, strict=True)):
        core, stride = cell.core, 2**layer
        assert isinstance(core, GatedCell)
        ends = range(stride - 1, len(ids), stride)
        pairs = [torch.cat((below[end - stride // 2], below[end])) for end in ends]
        x = torch.stack(pairs) if layer else below
        state = core.initial_state(1)
        gates.append([])
        for step in x:
            gates[layer].append(lstm_gates(core, step, state[0][0]))
            _, state = core(step[None, None], state)
    assert [len(steps) for steps in gates] == [43, 21, 10]
    assert measured == saturations(gates)


def test_biases_open_and_shut_gates_for_good() -> None:
    model = build(ModelConfig(layers=1, hidden=HIDDEN, embedding=3))
    for parameter in model.cells.parameters():
        nn.init.zeros_(parameter)
    bias = model.get_parameter("cells.0.bias")
    bias[:HIDDEN], bias[HIDDEN : 2 * HIDDEN] = -10, 10
    shut, not_shut = (1.0,) * HIDDEN, (0.0,) * HIDDEN
    assert measure_saturation(model, ContinuousText(random_ids(9))) == [
        Saturation(1, "input", shut, not_shut),
        Saturation(1, "forget", not_shut, shut),
        Saturation(1, "output", not_shut, not_shut),
    ]


@pytest.mark.parametrize("arrangement", ["rnn", "rnn, relu", "pyramid of rnn"])
def test_cells_without_gates_are_refused(arrangement: str) -> None:
    model = arrange(arrangement)
    with pytest.raises(UsageError, match="have no gates; those of every kind but rnn have"):
        measure_saturation(model, ContinuousText(random_ids(30)))


@pytest.mark.parametrize("arrangement", [name for name in ARRANGEMENTS if "rnn" not in name])
def test_every_arrangement_with_gates_is_measured(arrangement: str) -> None:
    model = arrange(arrangement)
    measured = measure_saturation(model, ContinuousText(random_ids(30)))
    assert {one.layer for one in measured} == set(range(1, len(model.cells) + 1))
    core = model.layers()[0].core
    with torch.no_grad():
        x = model.embedding(torch.from_numpy(random_ids(30).astype(np.int64)))[:, None]
        y, _ = core(x, core.initial_state(1))
        gates = core.gates(x, torch.cat((core.initial_state(1)[0][None], y)))
    lowest = [one for one in measured if one.layer == 1]
    assert [one.gate for one in lowest] == list(gates)
    for one, gate in zip(lowest, gates.values(), strict=True):
        assert one.shut == tuple((gate[:, 0] < SHUT).double().mean(0).tolist())
        assert one.open == tuple((gate[:, 0] > OPEN).double().mean(0).tolist())


def test_windows_do_not_show_in_the_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = arrange("pyramid of lstm"), random_ids(43)
    whole = measure_saturation(model, ContinuousText(ids))
    monkeypatch.setattr("charrnn.analysis.gates._WINDOW", 5)
    assert measure_saturation(model, ContinuousText(ids)) == whole


def test_a_long_text_is_looked_at_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = arrange("lstm"), random_ids(60)
    assert MOST_CHARACTERS > 50_000
    monkeypatch.setattr("charrnn.analysis.gates.MOST_CHARACTERS", 20)
    text = ContinuousText(ids)
    assert measure_saturation(model, text) == measure_saturation(model, text[:20])


def test_progress_is_told_to_the_end_of_the_text() -> None:
    ids, told = random_ids(2500), list[int]()
    measure_saturation(arrange("lstm"), ContinuousText(ids), told.append)
    assert told == [1024, 2048, 2500]


def test_the_model_is_left_as_it_was() -> None:
    model, ids = arrange("batch norm in a pyramid"), random_ids(20)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measure_saturation(model, ContinuousText(ids))
    ids[3] = ALPHABET
    with pytest.raises(IndexError):
        measure_saturation(model, ContinuousText(ids))
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("arrangement", ["lstm", "pyramid of lstm", "stack"])
def test_of_records_the_shares_are_those_of_each_by_itself(arrangement: str) -> None:
    model, end = arrange(arrangement), ALPHABET - 1
    lengths = (4, 8, 16)
    texts = [np.append(end, random_ids(length - 1) % end) for length in lengths]
    ids = np.concatenate(texts)
    together = measure_saturation(model, RecordText(ids, end))
    alone = [measure_saturation(model, ContinuousText(text)) for text in texts]
    for whole, *each in zip(together, *alone, strict=True):
        shut = np.average([one.shut for one in each], axis=0, weights=lengths)
        assert whole.shut == pytest.approx(shut.tolist())
    assert together != measure_saturation(model, ContinuousText(ids))
