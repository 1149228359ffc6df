"""Reach of the gradient, against losses of states that are moved a little by hand."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from charrnn.analysis.gradients import CONTEXT, count_places, measure_reach
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Ids
from charrnn.errors import CorpusError, PredictionError
from charrnn.models.cells.base import Cell, State
from charrnn.models.cells.pyramid import SlowLayer
from charrnn.models.cells.stack_rnn import EMPTY, StackRNN
from charrnn.models.char_model import CharModel, build_model
from tests.support.arrangements import configure

ALPHABET, STEPS = 7, 6
SPAN = CONTEXT + STEPS + 2
"""Characters of a text that has a single place to look at."""

MOVE = 1e-5


def build(config: ModelConfig) -> CharModel:
    return build_model(config, ALPHABET, seed=4).double().eval().requires_grad_(False)


def arrange(arrangement: str) -> CharModel:
    return build(configure(arrangement, hidden=4, embedding=3))


def random_ids(characters: int = SPAN) -> Ids:
    drawn = np.random.default_rng(6).integers(ALPHABET, size=characters)
    return drawn.astype(np.uint8)


def move(cell: Cell, before: State, after: State, part: int, element: int, by: float) -> State:
    """A step's result with one number moved, and what the step itself computes from it."""
    moved = [tensor.clone() for tensor in after]
    moved[part].view(-1)[element] += by
    at_rest = isinstance(cell, SlowLayer) and torch.equal(before[0], after[0])
    if cell.parts[part] == "c" and not at_rest:
        moved[0] = after[0] / after[1].tanh() * moved[1].tanh()
    if isinstance(cell, StackRNN) and part == 0:
        moved[1] = act(cell, moved[0], before[1])
    return tuple(moved)


def act(cell: StackRNN, h: Tensor, stacks: Tensor) -> Tensor:
    """The stacks after the actions that h calls for."""
    gates = cell.gates(h, torch.stack((h, h)))
    value = (h @ cell.push_weight.T).sigmoid()[..., None]
    bottom = torch.full_like(value, EMPTY)
    results = {
        "push": torch.cat((value, stacks[..., :-1]), dim=-1),
        "pop": torch.cat((stacks[..., 1:], bottom), dim=-1),
        "no-op": stacks,
    }
    shares = {action: gate[0, :, :, None] for action, gate in gates.items()}
    return torch.stack([share * results[action] for action, share in shares.items()]).sum(0)


def last_loss(model: CharModel, ids: Ids, step: int, layer: int, *where: Any) -> float:
    """The cost of a text's last character if a layer's state is moved after the character ``step``.

    What the layer puts out there moves along.
    """

    def hook(cell: Any, inputs: tuple[Tensor, State], output: tuple[Tensor, State]) -> Any:
        state = move(cell, inputs[1], output[1], *where)
        return state[0][None], state

    text = torch.from_numpy(ids.astype(np.int64))[:, None]
    _, states = model(text[:step], model.initial_states(1))
    handle = model.layers()[layer].register_forward_hook(hook)
    logits, states = model(text[step : step + 1], states)
    handle.remove()
    if step + 2 < len(text):
        logits, _ = model(text[step + 1 : -1], states)
    return float(nn.functional.cross_entropy(logits[-1], text[-1]))


def norm_by_differences(model: CharModel, ids: Ids, layer: int, part: int, back: int) -> float:
    cell = model.layers()[layer]
    step = len(ids) - 2 - back
    slopes = [
        last_loss(model, ids, step, layer, part, element, MOVE)
        - last_loss(model, ids, step, layer, part, element, -MOVE)
        for element in range(cell.initial_state(1)[part].numel())
    ]
    return float(np.linalg.norm(slopes)) / (2 * MOVE)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arrangement",
    [
        "lstm",
        "lstm, capped",
        "gru",
        "gru, reset before",
        "rnn",
        "stack, no-op",
        "residual",
        "sum",
        "pyramid of lstm",
        "batch norm in a pyramid",
    ],
)
def test_norms_equal_central_differences(arrangement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context = 3
    monkeypatch.setattr("charrnn.analysis.gradients.CONTEXT", context)
    model, ids = arrange(arrangement), random_ids(context + STEPS + 2)
    reaches = measure_reach(model, ids, STEPS)
    parts = [cell.parts for cell in model.layers()]
    assert [(reach.layer, reach.part) for reach in reaches] == [
        (layer, part) for layer, names in enumerate(parts, 1) for part in names
    ]
    for reach in reaches:
        part = parts[reach.layer - 1].index(reach.part)
        expected = [
            norm_by_differences(model, ids, reach.layer - 1, part, back)
            for back in range(STEPS + 1)
        ]
        assert reach.norms == pytest.approx(expected, rel=1e-5, abs=1e-8), reach


def plain(scale: float, activation: str = "relu") -> CharModel:
    """One plain layer without normalization whose recurrent matrix is a multiple of the identity.

    Its biases keep rectified units positive.
    """
    config = ModelConfig(
        cell="rnn",
        activation=activation,
        init="identity",
        init_gain=scale,
        layers=1,
        hidden=4,
        embedding=3,
        norm="none",
    )
    model = build(config)
    nn.init.ones_(model.get_parameter("cells.0.bias"))
    return model


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.0, 1.25])
def test_norms_of_positive_rectified_units_change_by_the_recurrent_scale(scale: float) -> None:
    (reach,) = measure_reach(plain(scale), random_ids(300), 20, places=5)
    expected = [reach.norms[0] * scale**back for back in range(21)]
    assert reach.norms == pytest.approx(expected, rel=1e-9)


def test_norms_of_rectified_units_that_are_off_are_nothing() -> None:
    model = plain(1.0)
    nn.init.constant_(model.get_parameter("cells.0.bias"), -5.0)
    (reach,) = measure_reach(model, random_ids(), STEPS)
    assert reach.norms[0] > 0
    assert reach.norms[1:] == (0.0,) * STEPS


def first_and_last(**settings: Any) -> tuple[float, float]:
    config = ModelConfig(**{"layers": 1, "hidden": 16, "embedding": 8, **settings})
    *_, reach = measure_reach(build(config), random_ids(400), 60, places=8)
    return reach.norms[1], reach.norms[-1]


def test_the_gradient_vanishes_where_recurrent_weights_are_small() -> None:
    first, last = first_and_last(cell="rnn", init_gain=0.3)
    assert 0 < last < 1e-20 * first


def test_the_gradient_explodes_where_recurrent_weights_are_large() -> None:
    first, last = first_and_last(cell="rnn", activation="relu", init_gain=4.0)
    assert last > 1e6 * first


def test_the_gradient_of_an_open_memory_survives() -> None:
    first, last = first_and_last(cell="lstm", forget_bias=8.0)
    assert last > 0.2 * first


def test_norms_are_the_mean_over_the_places_of_a_text() -> None:
    model, ids = arrange("lstm"), random_ids(SPAN + 4)
    together = measure_reach(model, ids, STEPS, places=3)
    told: list[int] = []
    assert measure_reach(model, ids, STEPS, 3, told.append) == together
    assert told[-1] == 3
    alone = [measure_reach(model, ids[begin : begin + SPAN], STEPS) for begin in (0, 2, 4)]
    for reach, *singles in zip(together, *alone, strict=True):
        expected = np.mean([single.norms for single in singles], axis=0)
        assert reach.norms == pytest.approx(expected.tolist(), rel=1e-12)


@pytest.mark.parametrize(("characters", "places"), [(SPAN, 1), (SPAN + 4, 5), (1000, 64)])
def test_a_short_text_has_fewer_places(characters: int, places: int) -> None:
    assert count_places(characters, STEPS) == places


@pytest.mark.parametrize("characters", [0, 1, SPAN - 1])
def test_a_text_too_short_to_look_back_is_refused(characters: int) -> None:
    with pytest.raises(CorpusError, match=f"too short to look {STEPS} back: it takes {SPAN}"):
        measure_reach(arrange("lstm"), random_ids(characters), STEPS)


def test_a_model_that_predicts_nothing_finite_is_refused() -> None:
    model = arrange("lstm")
    model.head.bias[0] = torch.nan
    with pytest.raises(PredictionError, match="not finite"):
        measure_reach(model, random_ids(), STEPS)


def hooks(model: CharModel) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize("wanted", [True, False])
def test_the_model_is_left_as_it_was(wanted: bool) -> None:
    model = arrange("batch norm").requires_grad_(wanted)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measure_reach(model, random_ids(), STEPS)
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(weight.grad is None for weight in model.parameters())
    assert all(weight.requires_grad is wanted for weight in model.parameters())
    assert hooks(model) == 0


def test_an_error_on_the_way_leaves_no_hook_behind() -> None:
    model, ids = arrange("lstm"), random_ids()
    ids[CONTEXT + 3] = ALPHABET
    with pytest.raises(IndexError):
        measure_reach(model, ids, STEPS)
    assert hooks(model) == 0


@pytest.mark.parametrize("arrangement", ["lstm", "stack", "pyramid of lstm"])
def test_norms_do_not_depend_on_whether_the_weights_want_a_gradient(arrangement: str) -> None:
    model, ids = arrange(arrangement), random_ids()
    without = measure_reach(model, ids, STEPS)
    model.requires_grad_(True)
    for one, other in zip(without, measure_reach(model, ids, STEPS), strict=True):
        assert one.norms == pytest.approx(other.norms, rel=1e-12)


def test_float32_weights_give_the_curve_of_float64_however_small_it_gets() -> None:
    model, ids = arrange("rnn"), random_ids(CONTEXT + 90)
    single = copy.deepcopy(model).float()
    double = copy.deepcopy(single).double()
    curves = zip(measure_reach(single, ids, 80), measure_reach(double, ids, 80), strict=True)
    for one, other in curves:
        assert one.norms == pytest.approx(other.norms, rel=1e-12, abs=0)
        assert 0 < one.norms[-1] < 1e-10


@pytest.mark.slow
def test_a_pyramid_is_met_at_every_point_of_its_steps() -> None:
    model, ids = arrange("pyramid of lstm"), random_ids(CONTEXT + 300)
    first = [reach.norms[0] for reach in measure_reach(model, ids, 20, places=64)]
    for steps in (21, 22, 23):
        again = [reach.norms[0] for reach in measure_reach(model, ids, steps, places=64)]
        assert again == pytest.approx(first, rel=0.3)
    for reach in measure_reach(model, ids, 20, places=64):
        assert min(reach.norms[1:8]) > 0
