"""Every setting is an option, told with its default; those that do not go together are refused."""

import re
from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from charrnn.cli.main import app
from charrnn.cli.messages import option_name
from charrnn.config.model import ModelConfig
from charrnn.config.settings import Config
from charrnn.config.training import ComputeConfig, TrainConfig
from tests.support import GOLDEN
from tests.support.forked import forked
from tests.support.program import explain

FIRST_FORMAT = GOLDEN / "format-1"
CONFIGS: tuple[type[Config], ...] = (ModelConfig, TrainConfig, ComputeConfig)
SETTINGS = [field for config in CONFIGS for field in fields(config)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The text of ``charrnn train --help`` on each option, on one line."""
    result = forked("train", "--help", cwd=tmp_path_factory.mktemp("help"))
    assert result.returncode == 0, explain(result)
    rows = re.sub(r"[^\x00-\x7f]", " ", result.stdout.decode())
    told: dict[str, str] = {}
    name = ""
    for row in rows.splitlines():
        if begun := re.match(r" {1,3}(--[a-z-]+)", row):
            name = begun[1]
        elif not row.startswith("     "):
            name = ""
        if name:
            told[name] = " ".join([*told.get(name, "").split(), *row.split()])
    return told


def test_every_setting_is_an_option_with_its_description_and_choices(told: dict[str, str]) -> None:
    for field in SETTINGS:
        says = told[option_name(field.name)]
        assert field.metadata["description"] in says
        assert "|".join(field.metadata["choices"]) in says


def test_the_default_of_every_setting_or_what_it_comes_to_is_told(told: dict[str, str]) -> None:
    for field in SETTINGS:
        says = told[option_name(field.name)]
        default = field.metadata["otherwise"] or field.default
        if field.metadata["automatic"]:
            assert "[default: (chosen for the text and the time)]" in says
        elif default is None:
            assert "[default" not in says
        else:
            (shown,) = re.findall(r"\[default: (.*)\]$", says)
            assert shown.strip("()") == str(default)


def test_the_learning_rate_has_a_short_name(told: dict[str, str]) -> None:
    assert "--lr" in told["--learning-rate"]


def run(*arguments: str) -> tuple[int, str]:
    """Run the program in this process and return its exit code and output."""
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def value_of(field: Field[Any]) -> Iterator[str]:
    """A sound value for an option, none for a switch."""
    if field.metadata["choices"]:
        yield field.metadata["choices"][0]
    elif "bool" not in field.type:
        yield str(field.metadata["least"] or 1)


@pytest.mark.slow
def test_a_resumed_run_keeps_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for field in SETTINGS:
        monkeypatch.chdir(tmp_path)
        option = option_name(field.name)
        code, said = run("train", "--resume", "none", option, *value_of(field))
        if field.name in ("device", "threads"):
            assert (code, "there is no" in said) == (4, True), said
        else:
            assert code == 2, said
            assert f"so {option} cannot be given with --resume" in said
        assert list(tmp_path.iterdir()) == []


def test_all_settings_that_a_resumed_run_refuses_are_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ("--stack-noop", "--connect", "sum", "--lr", "0.1", "--bytes")
    code, said = run("train", "--resume", *given)
    assert code == 2
    named = ("--stack-noop", "--connect", "--learning-rate", "--bytes")
    assert all(name in said for name in named)


CONTRADICTIONS = [
    ("--cell gru --forget-bias 1", "--forget-bias applies to lstm, not to gru"),
    ("--activation relu", "--activation applies to rnn or stack or list, not to lstm"),
    ("--cell rnn --stack-noop", "--stack-noop applies to stack or list, not to rnn"),
    (
        "--init identity",
        "--init is identity, which sets the one recurrent matrix of a plain network; lstm",
    ),
    ("--layers 0", "--layers is 0; it must be from 1 to 64"),
    ("--pyramid 2 --layers 2", "Have more layers with --layers 3"),
    ("--pyramid 1 --connect residual", "so the head must read the sum of all layers"),
    ("--layers 1 --connect sum", "--connect is sum, which joins layers, and there is one"),
    ("--clip 1 --clip-value 1", "--clip and --clip-value both bound the gradient"),
    ("--steps 5 --minutes 1", "--steps and --minutes both set the length"),
    ("--pyramid 1 --window 1", "windows of 1 characters"),
    ("--optimizer lion", "it must be one of adamw, adam, rmsprop, sgd, adagrad, muon"),
    ("--cell stack --stack-depth 1", "--stack-depth is 1; it must be from 3 to"),
    ("--cell list --stacks 1024 --stack-depth 65536", "at most 2,097,152 are allowed"),
    ("--cell stack --stack-only --init orthogonal", "--init and --stack-only do not go together"),
    (
        "--norm batch --window 1 --batch 1",
        "--norm is batch, which takes means over several characters",
    ),
    ("--bytes --encoding latin-1", "--bytes reads bytes"),
    ("--run=", "--run is empty"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("given", "said"), CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_refused_with_the_reason(
    text_file: Path, monkeypatch: pytest.MonkeyPatch, given: str, said: str
) -> None:
    monkeypatch.chdir(text_file.parent)
    code, output = run("train", str(text_file), *given.split())
    assert code == 2
    assert output.count("\n") <= 2, output
    assert said in output
    assert list(text_file.parent.iterdir()) == [text_file]


@pytest.mark.slow
@pytest.mark.parametrize(("given", "said"), CONTRADICTIONS[::5])
def test_the_real_program_refuses_contradictions_with_exit_code_2_and_writes_nothing(
    text_file: Path, given: str, said: str
) -> None:
    folder = text_file.parent
    result = forked("train", text_file, *given.split(), cwd=folder)
    assert (result.returncode, result.stdout) == (2, b""), explain(result)
    assert said in result.stderr.decode()
    assert len(result.stderr.splitlines()) <= 2
    assert list(folder.iterdir()) == [text_file]


@pytest.mark.parametrize("option", ["--stack-round", "--no-stack-round"])
@pytest.mark.parametrize("command", ["sample", "eval"])
def test_a_model_without_stacks_has_nothing_to_round(command: str, option: str) -> None:
    model = str(FIRST_FORMAT / "gru-best.safetensors")
    code, said = run(command, model, option)
    assert (code, said.count("\n")) == (2, 1), said
    assert "--stack-round applies to stack or list, not to gru" in said


@pytest.mark.slow
def test_a_pyramid_is_given_the_layers_that_it_needs(
    text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(text_file.parent)
    code, said = run("train", str(text_file), "--pyramid", "2", "--hidden", "8", "--steps", "2")
    assert code == 0, said
    assert "lstm 3 x 8" in said
