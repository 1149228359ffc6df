"""The native training network computes the gradients that autograd derives in float64."""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from charrnn.config.model import ModelConfig
from charrnn.data.batches import NO_TARGET
from charrnn.kernels.library import load_kernels
from charrnn.kernels.training_network import (
    Adam,
    AdamArrays,
    AdamSettings,
    TrainingNetwork,
)
from charrnn.models.cells.base import State
from charrnn.models.char_model import CharModel, build_model
from charrnn.models.native_network import build_training_network, pair_gradients
from tests.support.arrangements import VARIANTS
from tests.support.kernel_cases import FORMS, needs_library

pytestmark = needs_library

every_form = pytest.mark.parametrize("form", [*FORMS, "rnn", "rnn, relu", "rnn, sigmoid"])

ROUNDING = 1e-5
"""Tolerance of float32 sums over a window, relative to the largest gradient of a parameter, or to a
hundredth of the largest of all."""

BFLOAT16_ROUNDING = 0.1
"""Tolerance of bfloat16, relative to the norm of a parameter's gradient, or to a hundredth of the
largest norm: of single numbers rounding decides which derivative a gate at its cap, or a rectifier
near 0, takes."""

SIZES = {
    "odd": {"alphabet": 65, "steps": 20, "batch": 9, "embedding": 17, "hidden": 33, "layers": 2},
    "by rows": {"alphabet": 7, "steps": 9, "batch": 40, "embedding": 64, "hidden": 64, "layers": 3},
    "text": {"alphabet": 500, "steps": 5, "batch": 7, "embedding": 9, "hidden": 16, "layers": 2},
    "long": {"alphabet": 11, "steps": 301, "batch": 7, "embedding": 8, "hidden": 8, "layers": 1},
    "one": {"alphabet": 2, "steps": 1, "batch": 1, "embedding": 1, "hidden": 1, "layers": 1},
}
"""Windows longer than what is packed at a time, shorter than the alphabet, of single numbers."""


@dataclass(frozen=True)
class Lesson:
    """A model, and a window for it to learn from."""

    model: CharModel
    ids: Tensor
    targets: Tensor
    masks: Sequence[Tensor] | None
    states: tuple[State, ...]

    def build(self, *, bfloat16: bool = False) -> TrainingNetwork:
        steps, batch = self.ids.shape
        return build_training_network(self.model, steps=steps + 1, batch=batch, bfloat16=bfloat16)

    def learn(self, network: TrainingNetwork, threads: int = 2) -> dict[str, Tensor]:
        nats, states = network.learn(self.ids, self.targets, self.masks, self.states, threads)
        names = [name for name, _ in self.model.named_parameters()]
        gradients = [gradient for _, gradient in pair_gradients(self.model, network)]
        found = dict(zip(names, gradients, strict=True))
        return self._results(torch.tensor(nats, dtype=torch.float64), states, found)

    def derive(self) -> dict[str, Tensor]:
        """The same through autograd."""
        model = self.model.double()
        masks = None if self.masks is None else [mask.double() for mask in self.masks]
        states = [tuple(part.double() for part in state) for state in self.states]
        logits, after = model(self.ids, states, masks)
        nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), self.targets.flatten())
        torch.autograd.backward(nats)
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        self.model.float()
        return self._results(nats.detach(), after, gradients)

    @staticmethod
    def _results(
        nats: Tensor, states: Sequence[State], gradients: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        named = {f"state {n}.{k}": p for n, state in enumerate(states) for k, p in enumerate(state)}
        return {"loss": nats, **named, **{n: g.clone() for n, g in gradients.items()}}


def make_lesson(
    form: str,
    size: str,
    *,
    connect: str = "stack",
    norm: str = "layer",
    dropout: float = 0.0,
    scale: float = 1.0,
) -> Lesson:
    sizes = SIZES[size]
    shape = {name: sizes[name] for name in ("embedding", "hidden", "layers")}
    settings: dict[str, Any] = {"cell": form, **VARIANTS[form], **shape, "norm": norm}
    if sizes["hidden"] == 1:
        settings["norm"] = "none"  # It would leave nothing of a single number.
    if sizes["layers"] > 1:
        settings["connect"] = connect
    model = build_model(ModelConfig(**settings), sizes["alphabet"], seed=1)
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random) * 0.1).mul_(scale)
    window = (sizes["steps"], sizes["batch"])
    ids = torch.randint(sizes["alphabet"], window, generator=random)
    targets = torch.randint(sizes["alphabet"], window, generator=random)
    if window[0] > 3:
        targets[-2:, ::2] = NO_TARGET
    masks = model.draw_masks(window[1], dropout, random)
    states = tuple(
        tuple(torch.randn(part.shape, generator=random).tanh() for part in state)
        for state in model.initial_states(window[1])
    )
    return Lesson(model, ids, targets, masks, states)


def assert_near(got: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert got.keys() == expected.keys()
    least = max(tensor.abs().max().item() for tensor in expected.values()) / 100
    for name, tensor in expected.items():
        largest = max(tensor.abs().max().item(), least)
        off = (got[name].double() - tensor.double()).abs().max().item()
        assert off <= tolerance * largest, (name, off, largest)


@every_form
@pytest.mark.parametrize("size", SIZES)
def test_loss_states_and_gradients_equal_those_derived_in_float64(form: str, size: str) -> None:
    lesson = make_lesson(form, size)
    assert_near(lesson.learn(lesson.build()), lesson.derive(), ROUNDING)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("norm", ["layer", "none"])
@pytest.mark.parametrize("connect", ["stack", "residual", "sum"])
def test_layers_are_normalized_masked_and_joined(connect: str, norm: str, dropout: float) -> None:
    for form, size in (("lstm", "odd"), ("gru", "by rows")):
        lesson = make_lesson(form, size, connect=connect, norm=norm, dropout=dropout)
        assert_near(lesson.learn(lesson.build()), lesson.derive(), ROUNDING)


@every_form
def test_products_in_bfloat16_are_near(form: str) -> None:
    for size in SIZES:
        lesson = make_lesson(form, size, connect="residual")
        got = lesson.learn(lesson.build(bfloat16=True))
        expected = lesson.derive()
        norms = {name: tensor.norm().item() for name, tensor in expected.items()}
        least = max(norms.values()) / 100
        for name, tensor in expected.items():
            off = (got[name].double() - tensor).norm().item()
            assert off <= BFLOAT16_ROUNDING * max(norms[name], least), (size, name)


@every_form
@pytest.mark.parametrize("bfloat16", [False, True])
def test_results_are_the_same_to_the_last_bit_on_any_number_of_threads(
    form: str, bfloat16: bool
) -> None:
    for size in ("odd", "by rows", "text", "long"):
        lesson = make_lesson(form, size, connect="sum", dropout=0.2)
        network = lesson.build(bfloat16=bfloat16)
        alone = lesson.learn(network, threads=1)
        for threads in (2, 3, 7):
            assert_same(lesson.learn(network, threads), alone)


def test_a_shorter_window_leaves_nothing_of_the_longer_one_before_it() -> None:
    long, short = make_lesson("lstm", "odd"), make_lesson("lstm", "odd")
    short = Lesson(short.model, short.ids[:3], short.targets[:3], None, short.states)
    network = short.build()
    expected = short.learn(network)
    used = Lesson(short.model, long.ids, long.targets, None, long.states).build()
    used.learn(long.ids, long.targets, None, long.states, 2)
    nats, _ = used.learn(short.ids, short.targets, None, short.states, 2)
    assert nats == expected["loss"].item()
    for one, other in zip(used.gradients.listed(), network.gradients.listed(), strict=True):
        assert one is other is None or (one is not None and other is not None)
        assert one is None or other is None or torch.equal(one, other)


def test_large_weights_give_large_gradients_or_none_but_no_wrong_ones() -> None:
    for form in FORMS:
        lesson = make_lesson(form, "odd", scale=30.0)
        got, expected = lesson.learn(lesson.build()), lesson.derive()
        assert got["loss"].item() == pytest.approx(expected["loss"].item(), rel=1e-3)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_reaches_the_loss_and_the_norm(number: float) -> None:
    for name in ("embedding.weight", "cells.0.recurrent_weight", "head.bias"):
        lesson = make_lesson("gru", "odd")
        with torch.no_grad():
            dict(lesson.model.named_parameters())[name].view(-1)[0] = number
        network = lesson.build()
        got = lesson.learn(network)
        norm = network.measure_norm(2)
        assert not (got["loss"].isfinite() and torch.tensor(norm).isfinite()), name


def test_the_norm_is_that_of_all_gradients_on_any_number_of_threads() -> None:
    lesson = make_lesson("lstm", "by rows")
    network = lesson.build()
    lesson.learn(network)
    gradients = [g.flatten() for g in network.gradients.listed() if g is not None]
    norms = {network.measure_norm(threads) for threads in (1, 2, 5)}
    assert len(norms) == 1
    assert norms.pop() == pytest.approx(torch.cat(gradients).double().norm().item(), rel=1e-6)


@pytest.mark.parametrize("bound", [0.0, 0.3])
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_a_step_of_adam_is_that_of_torch_in_float64(name: str, bound: float) -> None:
    kernels = load_kernels()
    assert kernels is not None
    random = torch.Generator().manual_seed(0)
    shapes, decays = [(3, 5), (7,), (90, 100)], [0.1, 0.0, 0.1]
    weights = [torch.randn(shape, generator=random) for shape in shapes]
    means, squares, averages = ([torch.zeros(s) for s in shapes] for _ in range(3))
    steps = [torch.zeros(()) for _ in shapes]
    reference = [weight.double().requires_grad_() for weight in weights]
    groups = [{"params": [p], "weight_decay": d} for p, d in zip(reference, decays, strict=True)]
    optimizer = getattr(torch.optim, name)(groups, lr=0.02, betas=(0.9, 0.99))
    expected = [torch.zeros(s).double() for s in shapes]
    settings = AdamSettings(0.02, (0.9, 0.99), 1e-8, name == "AdamW", 0.5, bound, 0.25)
    gradients = [torch.empty(shape) for shape in shapes]
    adam = Adam(kernels, AdamArrays(weights, gradients, means, squares, averages, steps, decays))
    for _ in range(5):
        for gradient in gradients:
            gradient.copy_(torch.randn(gradient.shape, generator=random))
        adam.step(settings, threads=2)
        for parameter, gradient in zip(reference, gradients, strict=True):
            halved = gradient.double() / 2
            parameter.grad = halved.clamp(-bound, bound) if bound else halved
        optimizer.step()
        for average, parameter in zip(expected, reference, strict=True):
            average.lerp_(parameter.detach(), 0.25)
    for got, want in zip((*weights, *averages), (*reference, *expected), strict=True):
        torch.testing.assert_close(got.double(), want.detach(), rtol=1e-5, atol=1e-6)
    assert {step.item() for step in steps} == {5.0}


def test_what_does_not_belong_together_is_refused_and_nothing_is_read() -> None:
    lesson = make_lesson("lstm", "odd")
    network = lesson.build()
    given: dict[str, Any] = {
        "ids": lesson.ids,
        "targets": lesson.targets,
        "masks": None,
        "states": lesson.states,
        "threads": 1,
    }
    odd: list[tuple[type[Exception], dict[str, Any]]] = [
        (IndexError, {"ids": lesson.ids + 60}),
        (IndexError, {"ids": lesson.ids - 60}),
        (IndexError, {"targets": lesson.targets + 60}),
        (ValueError, {"targets": lesson.targets[1:]}),
        (ValueError, {"ids": lesson.ids[:, 1:], "targets": lesson.targets[:, 1:]}),
        (ValueError, {"ids": lesson.ids.repeat(2, 1), "targets": lesson.targets.repeat(2, 1)}),
        (ValueError, {"ids": lesson.ids[:0], "targets": lesson.targets[:0]}),
        (ValueError, {"states": lesson.states[:1]}),
        (ValueError, {"states": [[p[1:] for p in state] for state in lesson.states]}),
        (ValueError, {"states": [[p.double() for p in state] for state in lesson.states]}),
        (ValueError, {"masks": [torch.ones(1, 9, 33)]}),
    ]
    for error, change in odd:
        with pytest.raises(error):
            network.learn(**{**given, **change})
    assert network.learn(**given)[0] > 0


def test_two_that_learn_at_the_same_time_do_not_disturb_one_another() -> None:
    lessons = [make_lesson("lstm", "by rows"), make_lesson("gru", "odd")]
    networks = [lesson.build() for lesson in lessons]
    expected = [lesson.learn(n, 1) for lesson, n in zip(lessons, networks, strict=True)]
    found: list[list[dict[str, Tensor]]] = [[], []]

    def learn(number: int) -> None:
        found[number] = [lessons[number].learn(networks[number], 2) for _ in range(10)]

    threads = [threading.Thread(target=learn, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in (0, 1):
        assert len(found[number]) == 10
        for results in found[number]:
            assert_same(results, expected[number])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_process_learns_though_it_has_none_of_the_threads() -> None:
    lesson = make_lesson("lstm", "by rows")
    network = lesson.build()
    expected = lesson.learn(network, threads=2)["loss"]
    child = os.fork()
    if not child:
        same = lesson.learn(network, threads=2)["loss"].item() == expected.item()
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


def assert_same(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert got.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(got[name], tensor), name
