"""A native training step changes a model as torch's does, to rounding."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from charrnn.data.batches import ContinuousStreams, Position, Shape
from charrnn.data.encoded_text import ContinuousText
from charrnn.kernels.training_network import TrainingNetwork
from charrnn.models import native_network
from charrnn.models.char_model import build_model
from charrnn.models.device import Compute
from charrnn.training import native_step
from charrnn.training.native_step import NativeStep, choose_step
from charrnn.training.optimizers import build_optimizers
from charrnn.training.torch_step import TorchStep
from charrnn.training.train_state import TrainState
from charrnn.training.weight_average import WeightAverage
from tests.support.arrangements import ARRANGEMENTS, configure
from tests.support.kernel_cases import needs_library
from tests.support.optimizers import OPTIMIZERS_HERE

pytestmark = needs_library

CPU = Compute(torch.device("cpu"), "fp32")
NATIVE = (
    *("lstm", "gru", "lstm, coupled", "lstm, capped", "gru, reset before"),
    *("rnn", "rnn, relu", "rnn, sigmoid"),
    *("residual", "sum", "no norm", "orthogonal start"),
)
"""The arrangements that the native library trains."""


def make(
    arrangement: str,
    optimizer: str = "adamw",
    clip: float = 0.5,
    clip_value: float = 0.0,
    make_step: Callable[..., TorchStep] = choose_step,
) -> TrainState:
    model = build_model(configure(arrangement, hidden=16, embedding=8), 9, seed=1)
    optimizers = build_optimizers(model, optimizer, 0.01)
    average = WeightAverage(model, 0.9)
    step = make_step(model, average, optimizers, CPU, clip=clip, clip_value=clip_value)
    return TrainState(step, batch=4, dropout=0.2, weight_drop=0.3, seed=1)


def learn(state: TrainState, steps: int = 6) -> list[tuple[float, float]]:
    numbers = torch.randint(9, (400,), generator=torch.Generator().manual_seed(4))
    streams = ContinuousStreams(ContinuousText(numbers.numpy()), Shape(4, 12), seed=1)
    position, found = Position(), []
    for step in range(steps):
        fresh = streams.starts_fresh(position) or not step
        found.append(state.learn(streams.read(position), fresh=fresh, step=step, rate=3e-3))
        position = streams.after(position)
    return found


def test_the_library_trains_what_it_can_and_torch_the_rest() -> None:
    for arrangement in ARRANGEMENTS:
        kind = NativeStep if arrangement in NATIVE else TorchStep
        assert type(make(arrangement).step) is kind, arrangement


@pytest.mark.parametrize("arrangement", NATIVE)
def test_steps_agree_with_torchs(arrangement: str) -> None:
    native, plain = make(arrangement), make(arrangement, make_step=TorchStep)
    assert type(plain.step) is TorchStep
    assert_agree(native, plain)


@pytest.mark.parametrize(("clip", "clip_value"), [(0.0, 0.0), (0.05, 0.0), (0.0, 1e-3), (1, 0.01)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS_HERE)
def test_every_optimizer_and_clipping_agrees_with_torchs(
    optimizer: str, clip: float, clip_value: float
) -> None:
    native = make("lstm", optimizer, clip, clip_value)
    plain = make("lstm", optimizer, clip, clip_value, TorchStep)
    assert_agree(native, plain)


def assert_agree(native: TrainState, plain: TrainState) -> None:
    for (nats, norm), (expected_nats, expected_norm) in zip(
        learn(native), learn(plain), strict=True
    ):
        assert nats == pytest.approx(expected_nats, rel=1e-4)
        assert norm == pytest.approx(expected_norm, rel=1e-3)
    got, expected = native.tensors(), plain.tensors()
    assert got.keys() == expected.keys()
    for name, tensor in expected.items():
        if tensor.is_floating_point():
            # A gradient near 0, whose sign is rounding alone, moves a weight by Adam's full rate.
            torch.testing.assert_close(got[name], tensor, rtol=1e-2, atol=2e-3, msg=name)
        else:
            assert torch.equal(got[name], tensor), name


def test_no_step_takes_more_threads_than_there_are_processors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 999)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(native_step, "count_processors", lambda: 3)
    sizes: list[int] = []
    state = make("lstm")
    learn_natively = TrainingNetwork.learn

    def follow(network: TrainingNetwork, *arguments: Any) -> Any:
        sizes.append(arguments[-1])
        return learn_natively(network, *arguments)

    monkeypatch.setattr(TrainingNetwork, "learn", follow)
    learn(state)
    assert max(sizes) == 3


def test_windows_may_become_longer() -> None:
    state = make("lstm")
    for length in (3, 12, 5):
        ids = torch.randint(9, (length, 4)).numpy()
        nats, _ = state.learn((ids, ids), fresh=True, step=0, rate=1e-3)
        assert nats > 0


def test_without_the_library_torch_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_network, "load_shared_kernels", lambda: None)
    assert type(make("lstm").step) is TorchStep
