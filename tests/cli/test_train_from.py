"""train --from, through the real program."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.forked import forked
from tests.support.program import explain

OTHER = "The owl, äugend, saw the heron in the ford. It said nothing: 7 frogs!\n" * 20


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A folder with the trained run and another text."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    (tmp_path / "owls.txt").write_text(OTHER, encoding="utf-8")
    return tmp_path


def records(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_another_text_is_gone_on_with(folder: Path) -> None:
    result = forked("train", "owls.txt", "--from", "herons", "--steps", "12", cwd=folder)
    assert result.returncode == 0, explain(result)
    said = result.stderr.decode()
    assert "fine-tunes runs/herons/best.safetensors, trained on herons:" in said
    assert "characters kept" in said
    assert "added" in said
    first = records(folder / "runs/owls")[0]
    assert (first["step"], first["train_nats_per_char"]) == (0, None)
    summary = forked("inspect", "owls", "--json", cwd=folder)
    assert summary.returncode == 0, explain(summary)
    sampled = forked("sample", "owls", "--prime", "äug", "--length", "20", cwd=folder)
    assert sampled.returncode == 0, explain(sampled)
    scored = json.loads(forked("eval", "owls", "--json", cwd=folder).stdout)
    assert scored["nats_per_char"] > 0


@pytest.mark.slow
def test_the_run_goes_on_when_the_model_is_gone(folder: Path) -> None:
    forked("train", "owls.txt", "--from", "herons", "--steps", "12", cwd=folder)
    shutil.rmtree(folder / "runs/herons")
    result = forked("train", "--resume", "owls", cwd=folder)
    assert result.returncode == 0, explain(result)
    assert b"nothing left to train" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--from", "herons", "--hidden", "99"), 2, "the model to fine-tune has 16"),
        (("--from", "herons", "--cell", "gru"), 2, "the model to fine-tune has lstm"),
        (("--from", "herons", "--bytes"), 2, "Read the text as characters, not bytes"),
        (("--from", "heron"), 4, "did you mean herons?"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_begun(
    folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = forked("train", "owls.txt", *arguments, cwd=folder)
    assert result.returncode == code, explain(result)
    assert message in result.stderr.decode()
    assert not (folder / "runs/owls").exists()


@pytest.mark.slow
def test_what_the_network_has_anyway_may_be_said(folder: Path) -> None:
    given = ("--hidden", "16", "--dropout", "0.1", "--steps", "3")
    result = forked("train", "owls.txt", "--from", "herons", *given, cwd=folder)
    assert result.returncode == 0, explain(result)


@pytest.mark.slow
def test_held_out_text_that_the_model_has_read_is_marked_wherever_it_is_scored(
    folder: Path, trained: Path
) -> None:
    text = trained / "herons.txt"
    arguments = ("train", text, "--from", "herons", "--steps", "3", "--run", "runs/more")
    result = forked(*arguments, "--valid", "0.3", "--json", cwd=folder)
    assert result.returncode == 0, explain(result)
    assert "the base model was trained on about 67% of it" in result.stderr.decode()
    assert "held out" in result.stderr.decode()
    assert json.loads(result.stdout)["held_out_learnt"] == pytest.approx(2 / 3)
    mark = "trained on about 67% of it"
    for command in ("eval", "inspect", "verify"):
        assert mark in forked(command, "runs/more", cwd=folder).stdout.decode()
    compared = forked("compare", "herons", "more", "--json", cwd=folder)
    assert mark in compared.stderr.decode()
    shares = [run["held_out_learnt"] for run in json.loads(compared.stdout)["runs"]]
    assert shares == [0, pytest.approx(2 / 3)]
    scored = json.loads(forked("eval", "runs/more", "--json", cwd=folder).stdout)
    assert scored["held_out_learnt"] == pytest.approx(2 / 3)
    assert forked("report", "runs/more", cwd=folder).returncode == 0
    assert mark in (folder / "runs/more/report.html").read_text()
    same = forked(*arguments[:-1], "runs/same", cwd=folder)
    assert b"held out the part that is held out now" in same.stderr
    assert b"not new" not in same.stderr + same.stdout
