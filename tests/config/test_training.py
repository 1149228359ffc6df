"""A run's settings: lengths, bounds on the gradient, and defaults of each optimizer."""

from __future__ import annotations

from typing import Any

import pytest

from charrnn.config.training import OPTIMIZERS, TrainConfig
from charrnn.errors import UsageError


@pytest.mark.parametrize(
    "given", [{"epochs": 1, "steps": 1}, {"steps": 1, "minutes": 1}, {"epochs": 1, "minutes": 1}]
)
def test_two_lengths_of_a_run_are_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as raised:
        TrainConfig(**given)
    assert raised.value.settings == tuple(given)


@pytest.mark.parametrize("given", [{"epochs": 1}, {"steps": 1}, {"minutes": 0.5}])
def test_one_length_of_a_run_is_enough(given: dict[str, Any]) -> None:
    assert TrainConfig(**given).to_dict() == {**TrainConfig().to_dict(), **given}


def test_two_bounds_on_the_gradient_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^clip and clip_value both"):
        TrainConfig(clip=1.0, clip_value=5.0)
    assert TrainConfig(clip_value=5.0).clip == 0.0
    assert TrainConfig().clip == 1.0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_has_defaults_of_its_own(name: str) -> None:
    config = TrainConfig(optimizer=name)
    assert (config.learning_rate, config.weight_decay) == OPTIMIZERS[name]
    assert TrainConfig(optimizer=name, learning_rate=0.5).learning_rate == 0.5


def test_what_is_open_comes_back_open() -> None:
    assert [TrainConfig().to_dict()[name] for name in ("epochs", "steps", "minutes")] == [None] * 3
    assert TrainConfig.from_dict(TrainConfig().to_dict()) == TrainConfig()
