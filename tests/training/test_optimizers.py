"""The optimizers: what they do to weights, and a state that comes back or is refused."""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn, optim

from charrnn.config.training import OPTIMIZERS
from charrnn.errors import UsageError
from charrnn.models.char_model import CharModel, build_model
from charrnn.training.optimizers import (
    Optimizers,
    build_optimizers,
    load_optimizers,
    name_optimizer_tensors,
)
from tests.support.arrangements import configure
from tests.support.optimizers import HAS_MUON, OPTIMIZERS_HERE
from tests.support.program import ENVIRONMENT

ALPHABET = 5
IDS = torch.arange(60).reshape(20, 3) % ALPHABET

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS_HERE)
needs_muon = pytest.mark.skipif(not HAS_MUON, reason="this torch has no Muon")


def make(arrangement: str = "lstm") -> CharModel:
    return build_model(configure(arrangement, hidden=8, embedding=4), ALPHABET, seed=1)


def backward(model: CharModel, ids: Tensor = IDS) -> float:
    """Leave the gradients of a window in the model; its loss in nats per character."""
    model.zero_grad()
    logits, _ = model(ids[:-1], model.initial_states(ids.shape[1]))
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids[1:].flatten())
    torch.autograd.backward(loss)
    return loss.item()


def step(optimizers: Optimizers, rate: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()


def take_steps(
    model: CharModel, optimizers: Optimizers, count: int, rate: float = 1e-2, ids: Tensor = IDS
) -> list[float]:
    losses = []
    for _ in range(count):
        losses.append(backward(model, ids))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        step(optimizers, rate)
    return losses


def cloned(named: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in named.items()}


def assert_identical(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert set(got) == set(expected)
    for name, tensor in expected.items():
        assert got[name].dtype == tensor.dtype, name
        assert torch.equal(got[name], tensor), name


@every_optimizer
def test_the_loss_falls_at_the_optimizers_own_learning_rate(name: str) -> None:
    model = make()
    defaults = OPTIMIZERS[name]
    optimizers = build_optimizers(model, name, defaults.weight_decay)
    losses = take_steps(model, optimizers, 60, defaults.learning_rate)
    assert losses[-1] < losses[0] / 2


@every_optimizer
def test_matrices_decay_and_biases_do_not(name: str) -> None:
    model = make()
    optimizers = build_optimizers(model, name, 0.5)
    before = cloned(dict(model.named_parameters()))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    step(optimizers, 1e-3)
    for parameter_name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            assert parameter.norm() < before[parameter_name].norm(), parameter_name
        else:
            assert torch.equal(parameter, before[parameter_name]), parameter_name


@every_optimizer
def test_without_decay_and_gradient_nothing_moves(name: str) -> None:
    model = make()
    optimizers = build_optimizers(model, name, 0.0)
    before = cloned(dict(model.named_parameters()))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    step(optimizers, 1e-1)
    assert_identical(dict(model.named_parameters()), before)


@every_optimizer
def test_the_state_comes_back_by_name_and_the_next_steps_are_bit_identical(name: str) -> None:
    model = make()
    optimizers = build_optimizers(model, name, 0.01)
    take_steps(model, optimizers, 3)
    saved = cloned(name_optimizer_tensors(model, optimizers))
    assert any(tensor.any() for tensor in saved.values())

    twin = copy.deepcopy(model)
    fresh = build_optimizers(twin, name, 0.01)
    load_optimizers(twin, fresh, saved, begun=True)
    assert_identical(name_optimizer_tensors(twin, fresh), saved)
    assert take_steps(model, optimizers, 2) == take_steps(twin, fresh, 2)
    assert_identical(dict(twin.named_parameters()), dict(model.named_parameters()))
    assert_identical(name_optimizer_tensors(twin, fresh), name_optimizer_tensors(model, optimizers))


@every_optimizer
def test_what_was_loaded_is_a_copy(name: str) -> None:
    model = make()
    optimizers = build_optimizers(model, name, 0.01)
    take_steps(model, optimizers, 1)
    named = name_optimizer_tensors(model, optimizers)
    before = cloned(named)
    twin = copy.deepcopy(model)
    fresh = build_optimizers(twin, name, 0.01)
    load_optimizers(twin, fresh, named, begun=True)
    take_steps(twin, fresh, 1)
    assert_identical(named, before)


@every_optimizer
def test_parameters_without_a_gradient_so_far_come_back_as_well(name: str) -> None:
    # In a window of one character nothing is read from the stacks after they were written.
    model = make("stack")
    optimizers = build_optimizers(model, name, 0.01)
    take_steps(model, optimizers, 2, ids=IDS[:2])
    assert any(parameter.grad is None for parameter in model.parameters())
    twin = copy.deepcopy(model)
    fresh = build_optimizers(twin, name, 0.01)
    load_optimizers(twin, fresh, name_optimizer_tensors(model, optimizers), begun=True)
    assert take_steps(model, optimizers, 3) == take_steps(twin, fresh, 3)
    assert_identical(dict(twin.named_parameters()), dict(model.named_parameters()))


@every_optimizer
def test_the_state_before_the_first_step_comes_back(name: str) -> None:
    model = make()
    optimizers = build_optimizers(model, name, 0.01)
    saved = cloned(name_optimizer_tensors(model, optimizers))
    # Adagrad alone begins with sums.
    assert bool(saved) == (name == "adagrad")
    twin = copy.deepcopy(model)
    fresh = build_optimizers(twin, name, 0.01)
    load_optimizers(twin, fresh, saved, begun=False)
    assert take_steps(model, optimizers, 2) == take_steps(twin, fresh, 2)
    assert_identical(dict(twin.named_parameters()), dict(model.named_parameters()))


def begun_state(name: str) -> tuple[CharModel, dict[str, Tensor]]:
    model = make()
    optimizers = build_optimizers(model, name, 0.01)
    take_steps(model, optimizers, 1)
    return model, cloned(name_optimizer_tensors(model, optimizers))


def refused(model: CharModel, name: str, named: dict[str, Tensor], *, begun: bool = True) -> str:
    fresh = build_optimizers(model, name, 0.01)
    with pytest.raises(ValueError, match="the optimizer") as caught:
        load_optimizers(model, fresh, named, begun=begun)
    return str(caught.value)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS_HERE if name != "adagrad"])
def test_tensors_for_a_run_that_had_not_begun_are_refused(name: str) -> None:
    model, state = begun_state(name)
    assert "missing or unknown" in refused(model, name, state, begun=False)


@every_optimizer
def test_a_run_that_had_begun_without_tensors_is_refused(name: str) -> None:
    assert "missing or unknown" in refused(make(), name, {})


BIAS = "head.bias"
FAULTS: dict[str, Callable[[dict[str, Tensor], str], object]] = {
    "missing": lambda state, name: state.pop(name),
    "of no parameter": lambda state, name: state.update({f"{name}.odd": state[name]}),
    "of no quantity": lambda state, name: state.update({f"odd.{BIAS}": state[name]}),
    "a scalar, or none": lambda state, name: state.update(
        {name: torch.zeros(() if state[name].ndim else (1,))}
    ),
    "too short": lambda state, name: state.update({name: torch.zeros(ALPHABET - 1)}),
    "too deep": lambda state, name: state.update({name: state[name][None]}),
    "in float64": lambda state, name: state.update({name: state[name].double()}),
    "in bfloat16": lambda state, name: state.update({name: state[name].bfloat16()}),
    "in bytes": lambda state, name: state.update({name: state[name].to(torch.uint8)}),
}


@every_optimizer
def test_a_tensor_that_is_not_the_optimizers_is_refused(name: str) -> None:
    model, state = begun_state(name)
    places = [place for place in state if place.endswith(f".{BIAS}")]
    assert places
    for damage in FAULTS.values():
        for place in places:
            damaged = dict(state)
            damage(damaged, place)
            assert BIAS in refused(model, name, damaged)


@pytest.mark.parametrize("name", OPTIMIZERS_HERE)
def test_the_state_of_another_optimizer_is_refused(name: str) -> None:
    model, state = begun_state(name)
    # Adam and AdamW keep the same and cannot be told apart by it.
    others = [other for other in OPTIMIZERS_HERE if {name, other} != {"adam", "adamw"}]
    for other in others:
        if other != name:
            refused(model, other, state)


def kind_of(optimizers: Optimizers) -> dict[nn.Parameter, list[str]]:
    """The optimizers that hold each parameter."""
    kinds: dict[nn.Parameter, list[str]] = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                kinds.setdefault(parameter, []).append(type(optimizer).__name__)
    return kinds


@every_optimizer
def test_every_parameter_is_held_exactly_once(name: str) -> None:
    for arrangement in ("lstm", "stack, no-op", "batch norm in a pyramid", "no norm"):
        model = make(arrangement)
        kinds = kind_of(build_optimizers(model, name, 0.01))
        assert set(kinds) == set(model.parameters())
        assert all(len(held) == 1 for held in kinds.values())


@needs_muon
@pytest.mark.parametrize("arrangement", ["lstm", "stack, no-op", "batch norm in a pyramid"])
def test_muon_takes_the_matrices_of_the_cells_and_leaves_the_rest_to_adamw(
    arrangement: str,
) -> None:
    model = make(arrangement)
    kinds = kind_of(build_optimizers(model, "muon", 0.01))
    by_muon = {name for name, p in model.named_parameters() if kinds[p] == ["Muon"]}
    by_adamw = {name for name, p in model.named_parameters() if kinds[p] == ["AdamW"]}
    assert all(name.endswith("_weight") and name.startswith("cells.") for name in by_muon)
    assert {name for name in by_adamw if name.endswith("_weight")} == set()
    assert {"embedding.weight", "head.weight", "head.bias"} <= by_adamw


@needs_muon
def test_a_step_of_muon_is_as_long_as_one_of_adamw() -> None:
    # One learning rate for both takes updates of one size: about 0.2 times the rate in the mean.
    model = make()
    optimizers = build_optimizers(model, "muon", 0.0)
    backward(model)
    before = cloned(dict(model.named_parameters()))
    step(optimizers, 1e-2)
    for name, parameter in model.named_parameters():
        if name.endswith("_weight"):
            moved = (parameter - before[name]).detach().square().mean().sqrt().item()
            assert 0.1e-2 < moved < 0.4e-2, name


@pytest.mark.parametrize("version", ["2.8.0+cpu"])
def test_a_torch_without_muon_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.delattr(optim, "Muon", raising=False)
    monkeypatch.setattr(torch, "__version__", version)
    with pytest.raises(UsageError, match=r"^optimizer is muon, .* newer torch than 2\.8.* 2\.9"):
        build_optimizers(make(), "muon", 0.01)


def test_a_name_of_no_optimizer_is_a_programmers_mistake() -> None:
    with pytest.raises(ValueError, match="'lion'"):
        build_optimizers(make(), "lion", 0.01)


WITHOUT_THE_COMPILER = """
import sys
import charrnn
for name in sys.argv[1:]:
    settings = {"layers": 1, "hidden": 8, "embedding": 4, "batch": 2, "window": 8, "steps": 2}
    charrnn.train("tales", run=f"runs/{name}", optimizer=name, **settings)
print(*sorted({"torch._dynamo", "torch._inductor", "sympy"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_training_does_not_import_torchs_compiler(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_COMPILER, *OPTIMIZERS_HERE],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == b"", done.stdout


@every_optimizer
def test_steps_are_those_of_torchs_own_optimizer(name: str) -> None:
    """Bit for bit, although some of torch's decorators are left out."""
    model, other = make(), make()
    optimizers, theirs = (build_optimizers(one, name, 0.1) for one in (model, other))
    for optimizer in theirs:
        optimizer.__class__ = type(optimizer).__mro__[1]
        assert type(optimizer).__module__.startswith("torch.optim")
    assert take_steps(model, optimizers, 5) == take_steps(other, theirs, 5)
    assert_identical(model.state_dict(), other.state_dict())
    assert_identical(
        name_optimizer_tensors(model, optimizers), name_optimizer_tensors(other, theirs)
    )
