"""A model's settings: defaults of each cell, and contradictions that are refused."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from charrnn.config.cells import CELLS, takers
from charrnn.config.model import ModelConfig
from charrnn.errors import UsageError


@pytest.mark.parametrize("cell", CELLS)
def test_a_cells_settings_come_back_from_json(cell: str) -> None:
    config = ModelConfig(cell=cell)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


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
        ({"layers": 2, "pyramid": 2}, ["pyramid is 2", "layers=3"]),
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


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_gets_the_defaults_of_its_own_settings_and_no_others(cell: str) -> None:
    config = ModelConfig(cell=cell)
    for field in fields(ModelConfig):
        if takers(field.name):
            assert getattr(config, field.name) == CELLS[cell].settings.get(field.name)


def test_what_each_cell_takes_where_nothing_is_said_is_told() -> None:
    (activation,) = [field for field in fields(ModelConfig) if field.name == "activation"]
    assert activation.metadata["otherwise"].startswith("tanh for rnn; sigmoid for stack")
