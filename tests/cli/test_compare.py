"""charrnn compare, through the real program."""

import json
import shutil
from pathlib import Path

import pytest

from charrnn.training.run_summary import read_summary
from tests.support.forked import forked
from tests.support.program import SMALL, explain


@pytest.fixture(scope="module")
def runs(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, and a second one of the same text. Not to be changed."""
    folder = tmp_path_factory.mktemp("compared")
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    arguments = ("--steps", "120", "--cell", "rnn", "--run", "runs/plain")
    result = forked("train", "herons.txt", *arguments, *SMALL, cwd=folder)
    assert result.returncode == 0, explain(result)
    return folder


@pytest.mark.slow
def test_a_model_file_is_no_run_to_compare(runs: Path) -> None:
    result = forked("compare", "herons", "runs/plain/best.safetensors", cwd=runs)
    assert result.returncode == 4, explain(result)
    assert b"is a file, and a run is asked for" in result.stderr


def test_one_table_has_losses_cost_and_what_differs(runs: Path) -> None:
    result = forked("compare", "herons", "runs/plain", cwd=runs)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    header, *lines = [
        [cell for cell in line.split("  ") if cell.strip()]
        for line in result.stdout.decode().splitlines()
    ]
    assert [cell.strip() for cell in header] == ["run", "runs/herons", "runs/plain"]
    rows = {name.strip(): [cell.strip() for cell in cells] for name, *cells in lines}
    for place, name in enumerate(("herons", "plain")):
        run = read_summary(runs / "runs" / name)
        best, last = run.progress.best_nats_per_char, run.last
        assert best
        assert last
        assert last.valid_nats_per_char
        shown = {row: cells[place] for row, cells in rows.items()}
        assert shown["held out, best (nats per character)"] == f"{best:.4f}"
        assert shown["held out, last"] == f"{last.valid_nats_per_char:.4f}"
        assert shown["training, last"] == f"{last.train_nats_per_char:.4f}"
        assert shown["characters per second"] == f"{run.chars_per_second:,.0f}"
        assert shown["seconds of training"] == f"{run.progress.seconds:,.1f}"
        assert shown["characters read"] == f"{120 * 4 * 16:,}"
        assert shown["parameters"] == f"{run.parameters:,}"
        assert shown["bytes of the model's file"] == f"{run.bytes:,}"
    assert rows["--cell"] == ["lstm", "rnn"]
    assert rows["--activation"] == ["-", "tanh"]
    assert "--hidden" not in rows


def test_json_has_an_object_for_each_run(runs: Path) -> None:
    result = forked("compare", "runs/herons", "runs/plain", "--json", cwd=runs)
    assert result.returncode == 0, explain(result)
    herons, plain = json.loads(result.stdout)["runs"]
    run = read_summary(runs / "runs" / "plain")
    assert plain["run"] == "runs/plain"
    assert plain["valid_nats_per_char"] == run.progress.best_nats_per_char
    assert plain["parameters"] == run.parameters
    assert plain["settings"]["cell"] == "rnn"
    assert herons["settings"]["activation"] is None


def test_a_run_does_not_differ_from_itself(runs: Path) -> None:
    result = forked("compare", "herons", "herons", cwd=runs)
    assert (result.returncode, result.stderr) == (0, b"no setting differs\n"), explain(result)
    assert b"--" not in result.stdout


@pytest.mark.slow
def test_runs_of_different_texts_are_told_apart(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("another text altogether\n" * 50)
    result = forked("train", "b.txt", "--steps", "2", *SMALL, cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    told = forked("compare", str(runs / "runs/herons"), "b", cwd=tmp_path)
    assert told.returncode == 0, explain(told)
    assert b"hold out different texts" in told.stderr
    assert b"SHA-256" in told.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "shown"),
    [(("--records", "line"), ["-", "line"]), (("--bytes",), ["utf-8", "bytes"])],
)
def test_one_text_that_was_read_in_two_ways_is_told_apart(
    tmp_path: Path, option: tuple[str, ...], shown: list[str]
) -> None:
    (tmp_path / "b.txt").write_text("h\u00e9rons, so \u00e9l\u00e9gants\n" * 50, encoding="utf-8")
    for name, more in (("plain", ()), ("other", option)):
        arguments = ("--steps", "2", "--run", f"runs/{name}", *SMALL, *more)
        result = forked("train", "b.txt", *arguments, cwd=tmp_path)
        assert result.returncode == 0, explain(result)
    told = forked("compare", "plain", "other", "--json", cwd=tmp_path)
    assert told.returncode == 0, explain(told)
    assert b"hold out different texts" in told.stderr
    settings = [run["settings"] for run in json.loads(told.stdout)["runs"]]
    name = "records" if "--records" in option else "encoding"
    assert [one[name] or "-" for one in settings] == shown


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, b"two or more runs"),
        (("herons",), 2, b"two or more runs"),
        (("herons", "plane"), 4, b"did you mean plain?"),
    ],
)
def test_mistakes_get_a_short_message(
    runs: Path, arguments: tuple[str, ...], code: int, said: bytes
) -> None:
    result = forked("compare", *arguments, cwd=runs)
    assert result.returncode == code
    assert said in result.stderr
    assert result.stdout == b""
