"""Settings are checked against their declarations; tables come back from a header as they were."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config.cells import CELLS
from charrnn.config.inference import SampleConfig
from charrnn.config.model import ModelConfig
from charrnn.config.settings import Config, Plain, setting
from charrnn.config.training import ComputeConfig, SourceConfig, TrainConfig
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
    config = SampleConfig(temperature=0.3, stop=("\n\n", "The end"))
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


def test_a_setting_of_a_whole_number_passes_for_a_float() -> None:
    assert SampleConfig(temperature=1).temperature == 1


@pytest.mark.parametrize(
    "given", [{"cell": "x" * 10_000}, {"hidden": 10**4000}, {"layers": "9" * 999}]
)
def test_a_very_long_value_is_cut_short_in_the_message(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as raised:
        ModelConfig(**given)
    assert len(str(raised.value)) < 200


def test_out_of_bounds_is_a_user_mistake_even_in_a_file() -> None:
    with pytest.raises(UsageError, match=r"^layers is 65"):
        ModelConfig.from_dict({**ModelConfig().to_dict(), "layers": 65})


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


@pytest.mark.parametrize(
    ("name", "value", "bound"),
    [("floor", 0, "1"), ("floor", math.nan, "1"), ("ceiling", 10, "9"), ("ceiling", math.nan, "9")],
)
def test_a_bound_on_one_side_only_is_told(name: str, value: float, bound: str) -> None:
    with pytest.raises(UsageError, match=rf"^{name} is {value}; it must be at .* {bound}$"):
        HalfBounded(**{name: value})


@dataclass(frozen=True)
class Table(Plain):
    """A field of every kind."""

    count: int
    share: float
    name: str
    best: float | None
    paths: tuple[str, ...]


TABLE = Table(3, 0.5, "tales", None, ("a.txt", "b.txt"))


@settings(deadline=None)
@given(
    st.builds(
        Table,
        count=st.integers(),
        share=st.floats(allow_nan=False, allow_infinity=False),
        name=st.text(),
        best=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        paths=st.lists(st.text()).map(tuple),
    )
)
def test_a_table_comes_back_from_json(table: Table) -> None:
    assert Table.from_dict(json.loads(json.dumps(table.to_dict()))) == table


def test_a_table_becomes_plain_data_under_its_field_names() -> None:
    assert TABLE.to_dict() == {
        "count": 3,
        "share": 0.5,
        "name": "tales",
        "best": None,
        "paths": ("a.txt", "b.txt"),
    }


def test_a_list_comes_back_as_a_tuple() -> None:
    table = Table.from_dict({**TABLE.to_dict(), "paths": ["a.txt", "b.txt"]})
    assert table.paths == ("a.txt", "b.txt")


def test_a_missing_entry_is_refused() -> None:
    data = TABLE.to_dict()
    del data["share"]
    with pytest.raises(ValueError, match="needs exactly: count, share, name, best, paths"):
        Table.from_dict(data)


def test_an_unknown_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="needs exactly"):
        Table.from_dict({**TABLE.to_dict(), "extra": 1})


@pytest.mark.parametrize("data", [None, [], "count", 3, [["count", 3]]])
def test_what_is_not_a_table_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="Table needs exactly"):
        Table.from_dict(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 3.0),
        ("count", True),
        ("count", "3"),
        ("count", None),
        ("share", "0.5"),
        ("share", False),
        ("share", None),
        ("share", 2**53 + 1),
        ("share", -(10**400)),
        ("name", 3),
        ("name", ["tales"]),
        ("name", []),
        ("best", "none"),
        ("best", {}),
        ("paths", "a.txt"),
        ("paths", None),
        ("paths", [1]),
        ("paths", [["a.txt"]]),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} is .* must be"):
        Table.from_dict({**TABLE.to_dict(), name: value})


def test_a_whole_number_passes_for_a_float() -> None:
    assert Table.from_dict({**TABLE.to_dict(), "share": 1, "best": 2}).best == 2


def test_a_huge_value_is_cut_short_in_the_message() -> None:
    with pytest.raises(ValueError, match="count") as raised:
        Table.from_dict({**TABLE.to_dict(), "count": "x" * 10_000})
    assert len(str(raised.value)) < 200
