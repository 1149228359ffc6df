"""The command that trains a run again."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.checkpoints.model_file import read_model
from charrnn.cli.training_command import shell, training_command
from charrnn.config.training import SourceConfig, TrainConfig
from charrnn.training.run_summary import Summary, read_summary
from tests.support.forked import forked
from tests.support.program import explain


def asked(trained: Path, **train: object) -> Summary:
    run = read_summary(trained / "runs/herons")
    settings = {**run.request.train.to_dict(), **train}
    return replace(run, request=replace(run.request, train=TrainConfig(**settings)))


def reading(trained: Path, source: SourceConfig) -> list[str]:
    run = read_summary(trained / "runs/herons")
    return training_command(replace(run, request=replace(run.request, source=source)))


@pytest.mark.slow
def test_it_trains_the_same_weights(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "herons.txt").write_bytes((trained / "herons.txt").read_bytes())
    words = training_command(read_summary(trained / "runs/herons"))
    assert words[:3] == ["charrnn", "train", "herons.txt"]
    result = forked(*words[1:], cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    again, before = (
        read_model(folder / "runs/herons/best.safetensors") for folder in (tmp_path, trained)
    )
    assert again.model == before.model
    for name, weights in before.weights.items():
        assert (again.weights[name] == weights).all(), name


@pytest.mark.slow
def test_a_run_that_went_on_from_a_model_goes_on_from_it_again(
    trained: Path, tmp_path: Path
) -> None:
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        shutil.copytree(trained / "runs/herons", folder / "runs/herons")
        (folder / "reeds.txt").write_text("the reeds stood in the ford and whispered\n" * 30)
    begun = forked("train", "reeds.txt", "--from", "herons", "--steps", "3", cwd=folders[0])
    assert begun.returncode == 0, explain(begun)
    words = training_command(read_summary(folders[0] / "runs/reeds"))
    assert words[words.index("--from") + 1] == "herons"
    again = forked(*words[1:], cwd=folders[1])
    assert again.returncode == 0, explain(again)
    one, other = (read_model(folder / "runs/reeds/last.safetensors") for folder in folders)
    for name, weights in one.weights.items():
        assert (other.weights[name] == weights).all(), name
    told = forked("compare", "reeds", "herons", cwd=folders[0])
    assert "--from" in told.stdout.decode(), explain(told)


def test_a_run_by_the_clock_is_asked_for_its_steps(trained: Path) -> None:
    words = training_command(asked(trained, steps=None, minutes=3.0))
    assert words[words.index("--steps") + 1] == "120"
    assert "--minutes" not in words


def test_what_a_command_would_do_by_itself_is_left_out(trained: Path) -> None:
    words = training_command(asked(trained, seed=7))
    assert words[words.index("--seed") + 1] == "7"
    assert {"--dropout", "--layers", "--hidden"} <= set(words)
    assert not {"--pyramid", "--seed"} & set(training_command(asked(trained)))


def test_the_owners_folders_are_not_named(trained: Path) -> None:
    assert str(trained) not in shell(training_command(read_summary(trained / "runs/herons")))


def test_texts_are_read_as_they_were(trained: Path) -> None:
    copy = "corpus-0123456789ab-0.txt"
    assert reading(trained, SourceConfig(paths=("/a/b.txt", copy)))[2:4] == ["b.txt", f"RUN/{copy}"]
    assert "--bytes" in reading(trained, SourceConfig(paths=("/a/b",), encoding=None))
    words = reading(trained, SourceConfig(paths=("/a/b",), encoding="cp1252"))
    assert words[words.index("--encoding") + 1] == "cp1252"


def test_it_can_be_pasted_into_a_shell() -> None:
    typed = shell(["charrnn", "train", "my text.txt", "--steps", "3", "--bytes"])
    assert typed == "charrnn train 'my text.txt' \\\n    --steps 3 \\\n    --bytes"
