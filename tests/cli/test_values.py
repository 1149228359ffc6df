"""No value is changed or passed over without a word: it is taken as it stands, or refused."""

from contextlib import suppress
from pathlib import Path

import pytest

from charrnn import api
from charrnn.config.inference import ReadConfig, SampleConfig, UnitConfig, UseConfig
from charrnn.config.model import ModelConfig
from charrnn.config.settings import Config
from charrnn.config.training import ComputeConfig, TrainConfig
from charrnn.errors import CharrnnError, CheckpointError, UsageError
from tests.cli.test_options import run
from tests.support import GOLDEN

MODEL = str(GOLDEN / "format-1" / "lstm-best.safetensors")
CONFIGS: tuple[type[Config], ...] = (
    *(ModelConfig, TrainConfig, ComputeConfig),
    *(UseConfig, ReadConfig, UnitConfig, SampleConfig),
)
ODD = (-1, 0, 1, 10**30, -0.5, 0.5, float("nan"), float("inf"), True, "", "nan", ("a",), 1.5)


@pytest.mark.parametrize("config", CONFIGS)
def test_every_setting_keeps_a_value_as_it_is_or_refuses_it(config: type[Config]) -> None:
    for name, field in config.__dataclass_fields__.items():
        for value in ODD:
            with suppress(UsageError):
                made = getattr(config(**{name: value}), name)
                assert made == value, (name, value)
                assert type(made) is type(value) or "float" in str(field.type), (name, value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("sample --raw --json", "--raw is for text on a terminal"),
        ("corpus show herons.txt --bytes --encoding utf-8", "give one of them"),
        ("corpus export tales --overwrite", "--overwrite replaces a file"),
        (f"inspect neurons {MODEL} herons.txt --unknown skip --unit 1 --top 2", "--unit shows one"),
        (f"inspect neurons {MODEL} herons.txt --unknown skip --unit 1 --length 0", "--unit shows"),
        (f"eval {MODEL} --formal anbn --baselines", "--formal fits no baselines"),
        (f"eval {MODEL} --formal anbn --corpus herons.txt", "--formal fits no baselines"),
        (f"eval {MODEL} herons.txt --no-baselines --corpus herons.txt", "leave it out"),
        ("train herons.txt --layers 0", "--layers is 0; it must be from 1"),
        (f"inspect neurons {MODEL} herons.txt --layer 0", "--layer"),
        (f"score {MODEL} herons.txt --worst 0", "--worst"),
        (f"score {MODEL} herons.txt --window 5", "--window needs --by window"),
        ("train herons.txt --save-every nan", "--save-every"),
        ("train herons.txt --minutes nan", "--minutes is nan"),
        (f"sample {MODEL} --temp nan", "--temp is nan"),
        (f"sample {MODEL} --corpus herons.txt", "--corpus names the text"),
        (f"sample {MODEL} --stop=", "--stop is empty"),
        (f"sample {MODEL} --unique", "is not a model of records"),
    ],
)
def test_an_option_without_effect_or_out_of_bounds_is_refused(
    text_file: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, said: str
) -> None:
    monkeypatch.chdir(text_file.parent)
    code, told = run(*arguments.split())
    assert code == 2, told
    assert said in told


@pytest.mark.parametrize("command", ["sample", "verify", "inspect", "train --resume"])
def test_an_empty_name_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, told = run(*command.split(), "")
    assert code in (3, 4)
    assert "is empty" in told


def test_an_empty_name_is_refused_by_the_api(
    text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(text_file.parent)
    with pytest.raises(CheckpointError, match="is empty"):
        api.load("")
    with pytest.raises(CheckpointError, match="is empty"):
        api.train(text_file, base="")
    with pytest.raises(UsageError, match="run is empty"):
        api.train(text_file, run="")
    with pytest.raises(CharrnnError, match="empty"):
        api.resume("")
    assert list(text_file.parent.iterdir()) == [text_file]


def test_an_encoding_with_nothing_to_decode_is_refused(text_file: Path) -> None:
    model = api.load(MODEL)
    for text in (None, "the heron"):
        with pytest.raises(UsageError, match="encoding is 'latin-1', but"):
            model.read(text, encoding="latin-1")
    with pytest.raises(UsageError, match="encoding is 'latin-1', but"):
        list(model.score("the heron", encoding="latin-1"))
    assert model.read(text_file, encoding="latin-1", unknown="skip").text


def test_a_training_text_that_is_named_is_read_or_refused(text_file: Path) -> None:
    other = text_file.with_name("other.txt")
    other.write_text("the heron\n" * 9)
    model = api.load(MODEL, corpus=(str(other),))
    assert model.evaluate("the heron").baselines is None
    with pytest.raises(CharrnnError, match=r"other\.txt: is not the text"):
        model.evaluate("the heron", baselines=True)
