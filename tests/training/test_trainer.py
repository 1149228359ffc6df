"""The trainer: events, schedule, averages, divergence, exactness."""

import copy
import itertools
import math
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.data.alphabet import Alphabet
from charrnn.data.batches import ContinuousStreams, Shape
from charrnn.data.encoded_text import ContinuousText
from charrnn.errors import DivergedError
from charrnn.evaluation.evaluate import evaluate
from charrnn.inference.torch_backend import TorchBackend
from charrnn.kernels import cross_entropy
from charrnn.models.char_model import CharModel, build_model
from charrnn.models.device import Compute
from charrnn.training.native_step import choose_step
from charrnn.training.optimizers import build_optimizers
from charrnn.training.progress import Evaluated, Evaluating, Event, SaveDue, Step
from charrnn.training.schedule import Schedule
from charrnn.training.time_budget import StepTimer
from charrnn.training.train_state import TrainState
from charrnn.training.trainer import Trainer
from charrnn.training.validation import HeldOut
from charrnn.training.weight_average import WeightAverage
from tests.support.arrangements import configure
from tests.support.kernel_cases import needs_library
from tests.support.optimizers import OPTIMIZERS_HERE


def make(
    text: str,
    *,
    arrangement: str = "lstm",
    total: int | None = 20,
    seconds: float | None = None,
    held_out: str = "",
    rate: float = 1e-2,
    clip: float = 1.0,
    clip_value: float = 0.0,
    optimizer: str = "adamw",
    dropout: float = 0.0,
    evaluations: int = 4,
    goes_back: bool = False,
) -> Trainer:
    alphabet = Alphabet.of(text + held_out)
    config = configure(arrangement, hidden=16, embedding=8)
    model = build_model(config, len(alphabet), seed=1)
    step = choose_step(
        model,
        WeightAverage(model, 0.9),
        build_optimizers(model, optimizer, 0.01),
        Compute(torch.device("cpu"), "fp32"),
        clip=clip,
        clip_value=clip_value,
    )
    train_state = TrainState(step, batch=4, dropout=dropout, weight_drop=0.0, seed=1)
    return Trainer(
        train_state,
        ContinuousStreams(ContinuousText(alphabet.encode(text)), Shape(4, 16), seed=1),
        HeldOut(ContinuousText(alphabet.encode(held_out)), config),
        Schedule(rate, 5, total),
        seconds=seconds,
        evaluations=evaluations,
        goes_back=goes_back,
    )


def steps_of(events: list[Event]) -> list[Step]:
    return [event for event in events if isinstance(event, Step)]


def evaluations_of(events: list[Event]) -> list[Evaluated]:
    return [event for event in events if isinstance(event, Evaluated)]


def test_a_run_takes_its_steps_and_ends_with_an_evaluation(text: str) -> None:
    trainer = make(text, total=10, held_out=text[:200], evaluations=4)
    events = list(trainer.fit())
    assert [step.step for step in steps_of(events)] == list(range(1, 11))
    assert [evaluation.step for evaluation in evaluations_of(events)] == [3, 6, 9, 10]
    assert isinstance(events[-1], SaveDue)
    assert isinstance(events[-2], Evaluated)
    assert trainer.finished
    assert list(trainer.fit()) == []


SLOW_TO_LEARN = ("stack", "list", "residual", "sum", "pyramid of lstm")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arrangement",
    [
        *("lstm", "gru", "rnn", "rnn, relu", "batch norm", "no norm", "orthogonal start"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_TO_LEARN),
    ],
)
def test_a_tiny_text_is_memorized(arrangement: str) -> None:
    sentence = "the heron stood in the ford and counted what went by; "
    trainer = make(sentence * 20, arrangement=arrangement, total=300, rate=2e-2)
    assert list(trainer.fit())
    alphabet = Alphabet.of(sentence)
    backend = TorchBackend(trainer.train_state.average.model)
    learned = evaluate(backend, ContinuousText(alphabet.encode(sentence * 4)), alphabet)
    # The first character and the first few words cannot be known; the rest can.
    assert learned.nats_per_char < 0.25


@needs_library
def test_a_large_alphabet_s_loss_is_learned_from_as_a_small_one_s(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = []
    for many in (cross_entropy.MANY, 1):
        monkeypatch.setattr(cross_entropy, "MANY", many)
        trainer = make(text, arrangement="stack")
        losses.append([step.nats_per_char for step in steps_of(list(trainer.fit()))])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[1] != losses[0]  # They are sums in another order.


def test_an_evaluation_scores_the_averaged_weights(text: str) -> None:
    held_out = text[:300]
    trainer = make(text, held_out=held_out)
    last = evaluations_of(list(trainer.fit()))[-1]
    alphabet = Alphabet.of(text)
    read = ContinuousText(alphabet.encode(held_out))
    averaged = evaluate(TorchBackend(trainer.train_state.average.model), read, alphabet)
    current = evaluate(TorchBackend(trainer.train_state.model), read, alphabet)
    assert last.valid_nats_per_char == pytest.approx(averaged.nats_per_char, rel=1e-6)
    assert last.valid_nats_per_char != pytest.approx(current.nats_per_char, rel=1e-5)


@pytest.mark.slow
def test_only_a_better_evaluation_counts_as_improved(text: str) -> None:
    # At a hundred times the rate that serves, the loss goes up and down.
    trainer = make(text, total=60, held_out=text[:300], rate=1.0, evaluations=30)
    evaluations = evaluations_of(list(trainer.fit()))
    best = math.inf
    for evaluation in evaluations:
        assert evaluation.valid_nats_per_char is not None
        assert evaluation.improved == (evaluation.valid_nats_per_char < best)
        best = min(best, evaluation.valid_nats_per_char)
    assert not all(evaluation.improved for evaluation in evaluations)
    assert trainer.progress.best_nats_per_char == best


def test_with_nothing_held_out_the_newest_average_is_kept(text: str) -> None:
    evaluations = evaluations_of(list(make(text).fit()))
    assert all(e.valid_nats_per_char is None and e.improved for e in evaluations)


def test_training_loss_is_the_mean_since_the_last_evaluation(text: str) -> None:
    events = list(make(text, total=6, evaluations=2).fit())
    first = events[: next(i for i, e in enumerate(events) if isinstance(e, Evaluated))]
    assert evaluations_of(events)[0].train_nats_per_char == steps_of(first)[-1].nats_per_char


@pytest.mark.slow
def test_the_state_is_carried_within_an_epoch_and_fresh_at_its_start(text: str) -> None:
    trainer = make(text, total=200)
    per_epoch = trainer.streams.windows_per_epoch
    seen: list[bool] = []
    step = trainer.train_state.step
    backpropagate = step.backpropagate

    def spy(window, states, masks):  # type: ignore[no-untyped-def]
        seen.append(bool(any(part.any() for state in states for part in state)))
        return backpropagate(window, states, masks)

    step.backpropagate = spy  # type: ignore[method-assign]
    assert len(steps_of(list(trainer.fit()))) == 200
    fresh = [step for step, carried in enumerate(seen) if not carried]
    assert per_epoch > 2
    assert fresh == [0, per_epoch, 2 * per_epoch]


def test_gradients_are_clipped_by_their_norm(text: str) -> None:
    trainer = make(text, clip=0.01, optimizer="sgd")
    step = next(iter(trainer.fit()))
    assert isinstance(step, Step)
    assert step.gradient_norm > 0.01
    gradients = [p.grad for p in trainer.train_state.model.parameters() if p.grad is not None]
    assert float(torch.nn.utils.get_total_norm(gradients)) == pytest.approx(0.01, rel=1e-3)


def gradients_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {
        name: parameter.grad.clone()
        for name, parameter in trainer.train_state.model.named_parameters()
        if parameter.grad is not None
    }


def test_gradients_are_clipped_by_value_element_for_element(text: str) -> None:
    free = make(text, clip=0.0, optimizer="sgd")
    bound = make(text, clip=0.0, clip_value=1e-3, optimizer="sgd")
    next(iter(free.fit()))
    step = next(iter(bound.fit()))
    assert isinstance(step, Step)
    assert step.gradient_norm > 1e-2
    expected = gradients_of(free)
    assert any(gradient.abs().max() > 2e-3 for gradient in expected.values())
    for name, gradient in gradients_of(bound).items():
        assert torch.equal(gradient, expected[name].clamp(-1e-3, 1e-3)), name


def test_a_bound_that_nothing_reaches_changes_nothing(text: str) -> None:
    free, bound = make(text, clip=0.0), make(text, clip=0.0, clip_value=1e6)
    assert steps_of(list(free.fit())) != []
    assert steps_of(list(bound.fit())) != []
    assert all(torch.equal(t, bound.tensors()[n]) for n, t in free.tensors().items())


@pytest.mark.parametrize("name", OPTIMIZERS_HERE)
def test_the_schedules_rate_reaches_every_group_of_every_optimizer(text: str, name: str) -> None:
    trainer = make(text, optimizer=name, total=20)
    seen = [step.learning_rate for step in steps_of(list(trainer.fit()))]
    optimizers = trainer.train_state.optimizers
    rates = {group["lr"] for optimizer in optimizers for group in optimizer.param_groups}
    assert rates == {seen[-1]}
    assert seen == [trainer.schedule.learning_rate(number) for number in range(20)]


def test_clipping_can_be_turned_off(text: str) -> None:
    trainer = make(text, clip=0.0)
    step = next(iter(trainer.fit()))
    assert isinstance(step, Step)
    gradients = [p.grad for p in trainer.train_state.model.parameters() if p.grad is not None]
    assert float(torch.nn.utils.get_total_norm(gradients)) == pytest.approx(step.gradient_norm)


@pytest.mark.parametrize("poison", ["loss", "gradient"])
def test_what_is_not_finite_stops_before_the_weights_are_touched(
    text: str, monkeypatch: pytest.MonkeyPatch, poison: str
) -> None:
    trainer = make(text)
    events = trainer.fit()
    for _ in range(3):
        next(events)
    if poison == "loss":
        with torch.no_grad():
            trainer.train_state.model.head.bias[0] = math.nan
    else:
        step = trainer.train_state.step
        backpropagate = step.backpropagate

        def poisoned(*window: Any) -> Any:
            found = backpropagate(*window)
            if (gradient := step.parameters[0].grad) is not None:
                gradient.mul_(math.inf)
            return found

        monkeypatch.setattr(step, "backpropagate", poisoned)
    before = {name: tensor.clone() for name, tensor in trainer.tensors().items()}
    with pytest.raises(DivergedError, match="at step 4"):
        next(events)
    assert trainer.progress.step == 3
    for name, tensor in trainer.tensors().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0, equal_nan=True)


def test_seconds_are_turned_into_steps_and_written_down(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock that says every step takes a hundredth of a second.
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) / 100)
    trainer = make(text, total=None, seconds=0.5)
    events = list(trainer.fit())
    fixed = events.index(SaveDue())
    assert trainer.progress.total == trainer.progress.step == trainer.schedule.total == 50
    assert all(step.total is None for step in steps_of(events[: fixed - 1]))
    assert trainer.progress.seconds == pytest.approx(0.5)


def test_a_change_of_the_plan_is_saved_before_it_is_followed(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # After 20 steps each takes three times as long.
    durations = itertools.chain([0.01] * 20, itertools.repeat(0.03))
    monkeypatch.setattr(StepTimer, "stop", lambda timer: next(durations))
    trainer = make(text, total=None, seconds=1)
    events = list(trainer.fit())
    taken = steps_of(events)
    changes = [i for i, (a, b) in enumerate(pairwise(taken)) if a.total != b.total]
    assert len(changes) > 1
    for i in changes:
        assert events[events.index(taken[i]) + 1] == SaveDue()
    assert trainer.progress.seconds == pytest.approx(1, abs=0.05)
    assert [step.seconds_left for step in taken] == pytest.approx(
        [max(1 - step.seconds, 0) for step in taken]
    )
    assert all(step.expected_total >= step.step for step in taken)
    assert taken[0].expected_total == 100


def test_seconds_too_few_for_a_step_still_end(text: str) -> None:
    trainer = make(text, total=None, seconds=1e-6)
    assert evaluations_of(list(trainer.fit()))
    assert trainer.finished


def test_leaving_an_evaluation_midway_only_postpones_it(text: str) -> None:
    held_out = text * 3
    trainer = make(text, total=4, evaluations=1, held_out=held_out)
    for event in trainer.fit():
        if isinstance(event, Evaluating):
            break
    assert trainer.progress.step == 4
    assert not trainer.finished
    (evaluation,) = evaluations_of(list(trainer.fit()))
    whole = evaluations_of(list(make(text, total=4, evaluations=1, held_out=held_out).fit()))
    assert evaluation.valid_nats_per_char == whole[0].valid_nats_per_char


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_same_seed_trains_the_same_weights(text: str, dropout: float) -> None:
    first, second = make(text, dropout=dropout), make(text, dropout=dropout)
    list(first.fit())
    list(second.fit())
    assert all(torch.equal(t, second.tensors()[n]) for n, t in first.tensors().items())


def running_statistics(model: CharModel) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


@pytest.mark.parametrize("arrangement", ["batch norm", "batch norm in a pyramid"])
def test_running_statistics_follow_the_average_as_the_weights_do(arrangement: str) -> None:
    model = build_model(configure(arrangement, hidden=4, embedding=4), 3)
    average = WeightAverage(model, 0.9)
    before = running_statistics(average.model)
    assert {name.rpartition(".")[2] for name in before} == {"running_mean", "running_var"}
    with torch.no_grad():
        for buffer in model.buffers():
            buffer.add_(1.0)
    average.update(step=10_000)
    for name, buffer in average.model.named_buffers():
        torch.testing.assert_close(buffer, before[name] + 0.1, msg=name)


def test_training_moves_the_running_statistics_and_evaluating_does_not(text: str) -> None:
    trainer = make(text, arrangement="batch norm", total=6, evaluations=1, held_out=text[:300])
    fresh = running_statistics(trainer.train_state.model)
    for event in trainer.fit():
        if isinstance(event, Step) and event.step == 6:
            break
    trained = (
        running_statistics(trainer.train_state.model),
        running_statistics(trainer.train_state.average.model),
    )
    assert not any(torch.equal(trained[0][name], fresh[name]) for name in fresh)
    assert len(evaluations_of(list(trainer.fit()))) == 1
    for model, expected in zip(
        (trainer.train_state.model, trainer.train_state.average.model), trained, strict=True
    ):
        for name, buffer in model.named_buffers():
            assert torch.equal(buffer, expected[name]), name


@pytest.mark.parametrize("arrangement", ["batch norm", "stack, rounded"])
def test_the_average_predicts_as_it_will_once_saved_even_if_nothing_is_held_out(
    text: str, arrangement: str
) -> None:
    trainer = make(text, arrangement=arrangement, total=6, evaluations=3)
    ids = torch.zeros(4, 2, dtype=torch.long)
    for event in trainer.fit():
        if isinstance(event, Evaluated):
            average = trainer.train_state.average.model
            before = running_statistics(average)
            shown, _ = average(ids, average.initial_states(2))
            saved = copy.deepcopy(average).eval()
            expected, _ = saved(ids, saved.initial_states(2))
            assert torch.equal(shown, expected)
            assert all(torch.equal(b, before[n]) for n, b in average.named_buffers())


def test_the_window_that_is_read_is_the_one_the_position_names(text: str) -> None:
    trainer = make(text)
    for _ in zip(range(3), trainer.fit(), strict=False):
        pass
    assert (trainer.progress.epoch, trainer.progress.window) == (0, 3)
    assert trainer.epochs_done == pytest.approx(3 / trainer.streams.windows_per_epoch)
    assert np.isfinite(trainer.chars_per_second)
