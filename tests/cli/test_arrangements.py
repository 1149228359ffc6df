"""Networks of every kind through the whole program: trained, read back, sampled, evaluated."""

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from charrnn.cli.main import app
from charrnn.config.cells import CELLS
from charrnn.config.model import ModelConfig
from charrnn.training.run_config import read_request
from tests.support import GOLDEN
from tests.support.arrangements import as_options
from tests.support.optimizers import OPTIMIZERS_HERE

TEXT = GOLDEN / "format-1" / "reeds.txt"
SMALL = ("--embedding", "4", "--batch", "4", "--window", "16", "--steps", "4", "--threads", "1")

CASES: dict[str, dict[str, Any]] = {
    "lstm, capped": {
        "cell": "lstm",
        "lstm_gates": "capped",
        "forget_bias": 2.0,
        "init": "orthogonal",
        "init_gain": 0.9,
        "optimizer": "rmsprop",
        "clip_value": 0.5,
    },
    "pyramid of gru, reset before, batch norm": {
        "cell": "gru",
        "gru_reset": "before",
        "layers": 3,
        "pyramid": 2,
        "norm": "batch",
        "dropout": 0.1,
        "optimizer": "adagrad",
    },
    "residual rnn, relu": {
        "cell": "rnn",
        "activation": "relu",
        "init": "identity",
        "layers": 3,
        "connect": "residual",
        "norm": "none",
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 0.01,
        "clip": 0.5,
    },
    "sum of stacks, no-op": {
        "cell": "stack",
        "activation": "tanh",
        "stacks": 3,
        "stack_depth": 8,
        "stack_only": True,
        "stack_noop": True,
        "stack_round": True,
        "connect": "sum",
        "optimizer": "adam",
    },
    "lstm, coupled": {"cell": "lstm", "lstm_gates": "coupled", "optimizer": OPTIMIZERS_HERE[-1]},
    "dropped weights": {"cell": "gru", "weight_drop": 0.3},
    "list": {"cell": "list", "layers": 1, "stacks": 2, "stack_depth": 6},
}
ALWAYS = {"hidden", "embedding"}


def run(*arguments: str) -> str:
    """Run the program in this process and return its output."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_setting_of_a_model_is_among_those_tried() -> None:
    tried = {name for settings in CASES.values() for name in settings}
    assert {field.name for field in fields(ModelConfig)} <= tried | ALWAYS
    assert {settings.get("cell", ModelConfig.cell) for settings in CASES.values()} == set(CELLS)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_network_is_trained_read_back_sampled_and_evaluated(here: Path, case: str) -> None:
    settings = {"hidden": 8, **CASES[case]}
    run("train", str(TEXT), *SMALL, *as_options(settings))
    request, _ = read_request(here / "runs" / "reeds" / "last.safetensors")
    kept = {**request.model.to_dict(), **request.train.to_dict()}
    assert {name: kept[name] for name in settings} == settings

    drawn = run("sample", "--length", "30", "--seed", "1")
    assert len(drawn) == 30
    assert drawn == run("sample", "--length", "30", "--seed", "1")
    alone = json.loads(run("eval", "--json"))
    named = json.loads(run("eval", "runs/reeds", str(TEXT), "--json"))
    for scores in (alone, named):
        assert 0 < scores["nats_per_char"] < 2 * math.log(18)
    assert named["characters"] == len(TEXT.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_rounding_is_as_trained_unless_chosen_anew(here: Path) -> None:
    settings = {"hidden": 8, "cell": "stack", "stacks": 3, "stack_depth": 8, "stack_round": True}
    run("train", str(TEXT), *SMALL, *as_options(settings))
    evaluated = [
        json.loads(run("eval", str(TEXT), "--json", *chosen))["nats_per_char"]
        for chosen in ((), ("--stack-round",), ("--no-stack-round",))
    ]
    assert evaluated[0] == evaluated[1] != evaluated[2]
    drawn = [
        run("sample", "--length", "200", "--seed", "1", *chosen)
        for chosen in ((), ("--stack-round",), ("--no-stack-round",))
    ]
    assert drawn[0] == drawn[1] != drawn[2]
