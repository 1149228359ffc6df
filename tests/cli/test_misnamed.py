"""A thing that is given in the wrong place is called by its kind, with the way out."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support.called import called


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A folder with a text, its run, and other things."""
    for name in ("herons.txt", "runs"):
        (tmp_path / name).symlink_to(trained / name)
    (tmp_path / "models").mkdir()
    shutil.copy(trained / "runs/herons/best.safetensors", tmp_path / "models/m.safetensors")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.txt").write_text("Another text, of which nothing was learnt.\n" * 20)
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def refusal(folder: Path, *words: str) -> str:
    """The message of a command that is refused."""
    result = called(*words, cwd=folder)
    assert result.returncode in (2, 3, 4), result
    assert result.stdout == b""
    return result.stderr.decode().removeprefix("charrnn: ").removesuffix("\n")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("herons.txt", "herons.txt: is a text, not a model\n  Name the run: herons"),
        ("other.txt", "other.txt: is a text, not a model\n  Train a model on it: charrnn train "),
        ("pipe", "pipe: is a pipe, and a model is a file or the directory of a run\n  Save"),
        ("/dev/null", "/dev/null: is a device, and a model is"),
        ("-", "-: is standard input, and a model is"),
        (
            "models",
            "models: is a folder that holds no model\n  Name one in it: models/m.safetensors",
        ),
        ("runs", "runs: is a folder that holds no model\n  Name one in it: runs/herons"),
        ("empty", "empty: is a folder that holds no model\n  Name a run directory or a model file"),
    ],
)
def test_what_is_no_model_is_called_what_it_is(folder: Path, named: str, said: str) -> None:
    assert refusal(folder, "sample", named).startswith(said)


@pytest.mark.parametrize(
    "command",
    [
        *("eval", "score", "inspect surprisal", "inspect neurons", "inspect gates"),
        "inspect calibration",
        *("inspect gradients", "train --resume"),
    ],
)
@pytest.mark.parametrize("model", ["herons", "runs/herons", "models/m.safetensors"])
def test_a_model_comes_before_the_texts(folder: Path, command: str, model: str) -> None:
    assert refusal(folder, *command.split(), "other.txt", model) == (
        f"{model} is a model and comes first, before the texts: {model} other.txt"
    )


def test_a_model_is_not_trained_on(folder: Path) -> None:
    said = refusal(folder, "train", "herons")
    assert said.startswith("herons is a model, and a text is asked for.\n")
    assert said.endswith(
        "charrnn train --resume herons, or train on a text from it: "
        "charrnn train TEXT --from herons"
    )
    said = refusal(folder, "train", "other.txt", "models/m.safetensors")
    assert said.endswith("Train on a text from it: charrnn train TEXT --from models/m.safetensors")
    assert "is a model, and a text is asked for" in refusal(folder, "corpus", "show", "runs/herons")


def test_a_bundled_text_is_trained_on_although_a_run_has_its_name(folder: Path) -> None:
    (folder / "runs").unlink()
    shutil.copytree(folder / "models", folder / "runs/tales")
    (folder / "runs/tales/m.safetensors").rename(folder / "runs/tales/best.safetensors")
    assert "already holds a run" in called("train", "tales", cwd=folder).stderr.decode()


@pytest.mark.parametrize("command", ["eval", "inspect surprisal", "sample --novelty"])
def test_the_place_of_a_text_that_has_moved_is_named(folder: Path, command: str) -> None:
    (folder / "runs").unlink()
    text = folder / "text.txt"
    shutil.copy(folder / "herons.txt", text)
    small = ("--steps", "2", "--hidden", "4", "--layers", "1", "--run", "runs/text")
    assert called("train", "text.txt", *small, cwd=folder).returncode == 0
    text.rename(folder / "moved.txt")
    words = command.split()
    said = refusal(folder, words[0], *words[1:2], *words[2:])
    assert said.endswith("Put it back, or name the place where it is now with --corpus TEXT")
    assert called(*words, "--corpus", "moved.txt", cwd=folder).returncode == 0
    assert "charrnn train --resume runs/text TEXT" in refusal(folder, "train", "--resume")


def test_a_file_by_itself_reads_the_held_out_text_where_its_text_is_named(folder: Path) -> None:
    said = refusal(folder, "eval", "models/m.safetensors")
    assert said.endswith("Give a text to read, or name its training text with --corpus TEXT")
    named = called("eval", "models/m.safetensors", "--corpus", "herons.txt", cwd=folder)
    whole = called("eval", "herons", cwd=folder)
    assert named.stdout.splitlines()[1:] == whole.stdout.splitlines()[1:]
    assert "leave it out" in refusal(folder, "score", "herons", "other.txt", "--corpus", "x.txt")


def test_resuming_with_another_text_names_the_way_to_learn_it(folder: Path) -> None:
    assert refusal(folder, "train", "--resume", "herons", "other.txt").endswith(
        "or train on another from its model: charrnn train TEXT --from runs/herons --run NEW"
    )


def test_a_file_is_no_run(folder: Path) -> None:
    assert refusal(folder, "compare", "herons.txt", "herons").endswith("\n  Name the run: herons")


def test_verify_speaks_of_commands(folder: Path) -> None:
    result = called("verify", "other.txt", cwd=folder)
    assert result.stderr.decode().startswith("charrnn: other.txt: is a text, not a model\n")
    assert "charrnn train other.txt" in result.stderr.decode()
