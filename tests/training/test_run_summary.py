"""The summary of a run's directory, and the settings in which runs differ."""

import json
import shutil
from pathlib import Path

import pytest

from charrnn.errors import CheckpointError
from charrnn.training.run_summary import (
    Summary,
    find_differences,
    read_summary,
    share_validation_split,
)
from tests.support.forked import forked
from tests.support.program import SMALL, explain


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one text, and one of another. Not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "a.txt").write_text("The heron stood in the ford.\n" * 60)
    (folder / "b.txt").write_text("The badger ground the corn.\n" * 60)
    for text, name, *settings in (
        ("a.txt", "lstm", "--steps", "6"),
        ("a.txt", "gru", "--cell", "gru", "--epochs", "1", "--seed", "2"),
        ("b.txt", "other", "--steps", "6"),
    ):
        fixed = ("--run", name, "--precision", "fp32", *SMALL)
        result = forked("train", text, *fixed, *settings, cwd=folder)
        assert result.returncode == 0, explain(result)
    return folder


def summary(runs: Path, name: str) -> Summary:
    return read_summary(runs / name)


@pytest.mark.slow
def test_a_run_tells_its_figures(runs: Path) -> None:
    run = summary(runs, "lstm")
    records = [json.loads(line) for line in (runs / "lstm/log.jsonl").read_text().splitlines()]
    assert [one.step for one in run.measurements] == [record["step"] for record in records]
    assert run.last
    assert run.last.valid_nats_per_char == records[-1]["valid_nats_per_char"]
    assert run.last.train_nats_per_char == records[-1]["train_nats_per_char"]
    assert run.progress.step == 6
    assert run.characters == 6 * 4 * 16
    assert run.chars_per_second == pytest.approx(6 * 4 * 16 / records[-1]["train_seconds"])
    assert run.bytes == (runs / "lstm/best.safetensors").stat().st_size


def test_each_evaluation_keeps_some_drawn_text(runs: Path) -> None:
    known = set((runs / "a.txt").read_text())
    for one in summary(runs, "lstm").measurements:
        assert one.sample
        assert len(one.sample) == 300 or len(one.sample) == 100
        assert set(one.sample) <= known


def test_what_the_log_says_unsoundly_is_left_out(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "lstm", tmp_path / "lstm")
    log = tmp_path / "lstm/log.jsonl"
    sound = json.loads(log.read_text().splitlines()[0])
    records = [
        {**sound, "train_seconds": "long"},
        {**sound, "chars_per_second": None},
        {**sound, "event": "another"},
        {**sound, "step": 10**6},
        {**sound, "valid_nats_per_char": "low", "sample": 7},
    ]
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    (left,) = summary(tmp_path, "lstm").measurements
    assert (left.valid_nats_per_char, left.sample) == (None, None)
    assert left.train_nats_per_char == sound["train_nats_per_char"]


def test_a_folder_without_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not the directory of a run"):
        read_summary(tmp_path)


def test_only_the_settings_that_differ_are_told(runs: Path) -> None:
    found = find_differences([summary(runs, "lstm"), summary(runs, "gru")])
    # Where nothing is said, the recipe chooses these for the length of the run.
    for name in ("dropout", "weight_drop"):
        found.pop(name, None)
    assert found == {
        "cell": ["lstm", "gru"],
        "lstm_gates": ["separate", None],
        "forget_bias": [1.0, None],
        "gru_reset": [None, "after"],
        "steps": [6, None],
        "epochs": [None, 1],
        "seed": [1, 2],
    }
    assert find_differences([summary(runs, "lstm")] * 2) == {}


def test_runs_of_different_texts_do_not_compare(runs: Path) -> None:
    lstm, gru, other = (summary(runs, name) for name in ("lstm", "gru", "other"))
    assert share_validation_split([lstm, gru])
    assert not share_validation_split([lstm, gru, other])
    assert find_differences([lstm, other]) == {
        "text": ["a", "b"],
        "SHA-256": [lstm.corpus.digest, other.corpus.digest],
    }
