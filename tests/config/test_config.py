"""Every setting is checked against its declaration, and the message tells what is allowed."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Any

import pytest

from charrnn.config.cells import CELLS, takers
from charrnn.config.inference import SampleConfig
from charrnn.config.model import ModelConfig
from charrnn.config.settings import Config, setting
from charrnn.config.training import OPTIMIZERS, ComputeConfig, SourceConfig, TrainConfig
from charrnn.errors import UsageError

CONFIGS: tuple[type[Config], ...] = (
    ModelConfig,
    TrainConfig,
    ComputeConfig,
    SourceConfig,
    SampleConfig,
)
SETTINGS = [(config, field) for config in CONFIGS for field in fields(config)]
NUMBERS = [(config, field) for config, field in SETTINGS if field.metadata["least"] is not None]
CHOICES = [(config, field) for config, field in SETTINGS if field.metadata["choices"]]


@dataclass(frozen=True)
class HalfBounded(Config):
    """No setting of charrnn's own is bounded on one side only, yet ``setting`` offers it."""

    floor: float = setting(5.0, "Bounded below.", least=1)
    ceiling: float = setting(5.0, "Bounded above.", most=9)


def test_every_setting_is_described_in_a_sentence() -> None:
    described = {field.name: field.metadata["description"] for _, field in SETTINGS}
    assert [name for name, words in described.items() if not words.endswith(".")] == []


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_comes_back_from_json(config: type[Config]) -> None:
    assert config.from_dict(json.loads(json.dumps(config().to_dict()))) == config()


def test_values_other_than_the_defaults_come_back_from_json() -> None:
    config = SampleConfig(temp=0.3, stop=("\n\n", "The end"))
    assert SampleConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ModelConfig().hidden = 3  # type: ignore[misc]


BESIDE: dict[str, dict[str, Any]] = {
    "stacks": {"cell": "stack"},
    "stack_depth": {"cell": "stack"},
    "pyramid": {"layers": 64},
    "clip": {"clip_value": 0.0},
}
"""Settings that a setting needs beside it to make sense."""


def test_the_bounds_themselves_are_allowed() -> None:
    for config, field in NUMBERS:
        for value in (field.metadata["least"], field.metadata["most"]):
            beside = BESIDE.get(field.name, {})
            assert getattr(config(**beside, **{field.name: value}), field.name) == value


def test_a_number_beyond_its_bounds_is_refused() -> None:
    for config, field in NUMBERS:
        for value in (field.metadata["least"] - 1, field.metadata["most"] + 1):
            with pytest.raises(UsageError, match=f"^{field.name} is .* must be from"):
                config(**{field.name: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(value: float) -> None:
    for config, field in NUMBERS:
        if "float" in field.type:
            with pytest.raises(UsageError, match=f"^{field.name} is"):
                config(**{field.name: value})


def test_a_word_that_is_no_choice_is_refused_with_the_choices() -> None:
    for config, field in CHOICES:
        with pytest.raises(UsageError) as raised:
            config(**{field.name: "transformer"})
        message = str(raised.value)
        assert message.startswith(f"{field.name} is 'transformer'")
        assert all(choice in message for choice in field.metadata["choices"])


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        (ModelConfig, "hidden", "128"),
        (ModelConfig, "hidden", 128.0),
        (ModelConfig, "hidden", True),
        (ModelConfig, "hidden", None),
        (ModelConfig, "dropout", "0"),
        (ModelConfig, "cell", 1),
        (ModelConfig, "cell", ["lstm"]),
        (TrainConfig, "steps", 1.5),
        (SourceConfig, "paths", "tales.txt"),
        (SourceConfig, "paths", (1,)),
        (SampleConfig, "stop", ["a"]),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(config: type[Config], name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"^{name} is .* must be of type"):
        config(**{name: value})


def test_a_whole_number_passes_for_a_float() -> None:
    assert SampleConfig(temp=1).temp == 1


@pytest.mark.parametrize(
    "given", [{"cell": "x" * 10_000}, {"hidden": 10**4000}, {"layers": "9" * 999}]
)
def test_a_very_long_value_is_cut_short_in_the_message(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as raised:
        ModelConfig(**given)
    assert len(str(raised.value)) < 200


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


def test_out_of_bounds_is_a_user_mistake_even_in_a_file() -> None:
    with pytest.raises(UsageError, match=r"^layers is 65"):
        ModelConfig.from_dict({**ModelConfig().to_dict(), "layers": 65})


@pytest.mark.parametrize("cell", CELLS)
def test_a_cells_settings_come_back_from_json(cell: str) -> None:
    config = ModelConfig(cell=cell)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    "config",
    [*(ModelConfig(cell=cell) for cell in CELLS), TrainConfig(), ComputeConfig()],
    ids=[*CELLS, "training", "computing"],
)
def test_what_was_settled_cannot_come_back_open(config: Config) -> None:
    # A default may have become another since the file was written.
    settled = config.to_dict()
    for name, value in settled.items():
        if value is not None:
            with pytest.raises(ValueError, match=f"^{name} is None; it must be"):
                type(config).from_dict({**settled, name: None})


def test_what_is_open_comes_back_open() -> None:
    assert [TrainConfig().to_dict()[name] for name in ("epochs", "steps", "minutes")] == [None] * 3
    assert TrainConfig.from_dict(TrainConfig().to_dict()) == TrainConfig()


@pytest.mark.parametrize(
    ("name", "value", "bound"),
    [("floor", 0, "1"), ("floor", math.nan, "1"), ("ceiling", 10, "9"), ("ceiling", math.nan, "9")],
)
def test_a_bound_on_one_side_only_is_told(name: str, value: float, bound: str) -> None:
    with pytest.raises(UsageError, match=rf"^{name} is {value}; it must be at .* {bound}$"):
        HalfBounded(**{name: value})


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"cell": "lstm", "activation": "relu"}, ["activation", "rnn", "stack", "lstm"]),
        ({"cell": "gru", "forget_bias": 2.0}, ["forget_bias", "lstm", "gru"]),
        ({"cell": "rnn", "lstm_gates": "capped"}, ["lstm_gates", "lstm", "rnn"]),
        ({"cell": "lstm", "gru_reset": "before"}, ["gru_reset", "gru", "lstm"]),
        ({"cell": "rnn", "stacks": 3}, ["stacks", "stack", "rnn"]),
        ({"cell": "lstm", "stack_round": True}, ["stack_round", "stack", "lstm"]),
        ({"cell": "gru", "init": "identity"}, ["init is identity", "gru", "each gate"]),
        ({"layers": 2, "pyramid": 2}, ["pyramid is 2", "layers 3"]),
        ({"layers": 2, "pyramid": 1, "connect": "stack"}, ["connect and pyramid", "is stack"]),
        (
            {"layers": 2, "pyramid": 1, "connect": "residual"},
            ["connect and pyramid", "is residual"],
        ),
        ({"layers": 1, "connect": "sum"}, ["connect is sum", "one layer"]),
        ({"layers": 1, "connect": "residual"}, ["connect is residual", "one layer"]),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_the_reason(
    settings: dict[str, Any], named: list[str]
) -> None:
    with pytest.raises(UsageError) as raised:
        ModelConfig(**settings)
    assert all(part in str(raised.value) for part in named), raised.value


def test_two_bounds_on_the_gradient_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^clip and clip_value both"):
        TrainConfig(clip=1.0, clip_value=5.0)
    assert TrainConfig(clip_value=5.0).clip == 0.0
    assert TrainConfig().clip == 1.0


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_gets_the_defaults_of_its_own_settings_and_no_others(cell: str) -> None:
    config = ModelConfig(cell=cell)
    for field in fields(ModelConfig):
        if takers(field.name):
            assert getattr(config, field.name) == CELLS[cell].settings.get(field.name)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_has_defaults_of_its_own(name: str) -> None:
    config = TrainConfig(optimizer=name)
    assert (config.learning_rate, config.weight_decay) == OPTIMIZERS[name]
    assert TrainConfig(optimizer=name, learning_rate=0.5).learning_rate == 0.5


def test_what_each_cell_takes_where_nothing_is_said_is_told() -> None:
    (activation,) = [field for field in fields(ModelConfig) if field.name == "activation"]
    assert activation.metadata["otherwise"].startswith("tanh for rnn; sigmoid for stack")
