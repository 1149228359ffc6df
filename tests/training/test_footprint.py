"""The memory that training takes, from sizes alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from charrnn.config.model import ModelConfig
from charrnn.config.training import OPTIMIZERS, ComputeConfig, TrainConfig
from charrnn.data.batches import Shape
from charrnn.errors import UsageError
from charrnn.models.char_model import build_model
from charrnn.training import footprint
from charrnn.training.auto_config import complete_settings
from charrnn.training.footprint import (
    OPTIMIZER_NUMBERS,
    check_settings_size,
    check_training_size,
    count_activations,
    count_weights,
)
from charrnn.training.optimizers import build_optimizers, name_optimizer_tensors
from charrnn.training.preparation import prepare_run
from tests.support.arrangements import ARRANGEMENTS, configure


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that were asked for."""
    asked: list[int] = []
    monkeypatch.setattr(footprint, "check_memory", lambda size, *_: asked.append(size))
    return asked


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_weights_are_counted_as_they_are_made(arrangement: str) -> None:
    config = configure(arrangement, hidden=8, embedding=6)
    tensors = build_model(config, 11).state_dict().values()
    assert count_weights(config, 11) == sum(tensor.numel() for tensor in tensors)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimizer_keeps_less_than_is_counted(name: str) -> None:
    model = build_model(ModelConfig(hidden=8, embedding=6), 11)
    optimizers = build_optimizers(model, name, 0.0)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for optimizer in optimizers:
        optimizer.step()
    kept = sum(tensor.numel() for tensor in name_optimizer_tensors(model, optimizers).values())
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert OPTIMIZER_NUMBERS.get(name, 1) * weights <= kept


def test_a_large_batch_alphabet_or_stack_counts(taken: list[int]) -> None:
    train, compute = TrainConfig(), ComputeConfig(device="cpu", precision="fp32")
    plain, stack = ModelConfig(), ModelConfig(cell="stack", stack_depth=20_000)
    for model, alphabet_size, shape in (
        (plain, 50, Shape(1, 1)),
        (plain, 50, Shape(65_536, 4096)),
        (plain, 1_000_000, Shape(32, 128)),
        (stack, 50, Shape(32, 128)),
    ):
        check_training_size(model, train, compute, alphabet_size, shape)
    small, *large = taken
    assert small < 1 << 24
    assert all(size > 1 << 31 for size in large)
    assert count_activations(plain, 50, Shape(2, 3)) == 6 * count_activations(
        plain, 50, Shape(1, 1)
    )


def test_what_another_device_or_precision_may_spare_does_not_count(taken: list[int]) -> None:
    large = Shape(4096, 4096)
    for device, precision in (
        *(("auto", "auto"), ("auto", "fp32"), ("cuda", "auto")),
        *(("cpu", "bf16"), ("cpu", "auto"), ("cpu", "fp32")),
    ):
        compute = ComputeConfig(device=device, precision=precision)
        check_training_size(ModelConfig(), TrainConfig(), compute, 50, large)
    assert len(set(taken[:3])) == len(set(taken[3:5])) == 1
    elsewhere, half, whole = taken[0], taken[3], taken[5]
    assert elsewhere < 1 << 24
    assert whole == pytest.approx(2 * half, rel=0.01)


def test_what_is_too_large_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARRNN_MEMORY", "1G")
    settings = complete_settings({"hidden": 16384, "layers": 10})
    with pytest.raises(UsageError, match=r"10 x 16,384 units") as raised:
        check_settings_size(settings)
    assert "hidden" in str(raised.value)
    settings = complete_settings({"hidden": 256, "layers": 2, "device": "cpu"})
    check_settings_size(settings, 60, Shape(32, 128))
    with pytest.raises(UsageError) as raised:
        check_settings_size(settings, 60, Shape(4096, 4096))
    assert "batch" in str(raised.value)
    monkeypatch.setenv("CHARRNN_MEMORY", "1T")
    with pytest.raises(UsageError, match="CHARRNN_MODEL_BYTES=305G"):
        check_settings_size(complete_settings({"hidden": 16384, "layers": 10}))
    monkeypatch.setenv("CHARRNN_MODEL_BYTES", "305G")
    check_settings_size(complete_settings({"hidden": 16384, "layers": 10}))


def test_a_network_that_is_too_large_is_refused_before_the_text_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_MEMORY", "1G")
    monkeypatch.setattr(
        "charrnn.training.preparation.gather_sources", lambda *_: pytest.fail("it was read")
    )
    path = tmp_path / "a.txt"
    path.write_text("abc")
    settings = complete_settings({"hidden": 16384, "layers": 10})
    with (
        pytest.raises(UsageError, match="may be used"),
        prepare_run([str(path)], tmp_path / "run", settings),
    ):
        pass
