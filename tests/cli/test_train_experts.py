"""charrnn train --experts, and the other commands on a model with an expert."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints.checkpoint import read_checkpoint
from tests.conftest import SENTENCES
from tests.support.forked import forked
from tests.support.program import SMALL, explain


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with words.txt and a run in runs/words with an expert. Not to be changed."""
    folder = tmp_path_factory.mktemp("counted")
    words, rng = " ".join(SENTENCES).split(), random.Random(1)
    (folder / "words.txt").write_text(" ".join(rng.choices(words, k=3000)), encoding="utf-8")
    train(folder, "words.txt")
    return folder


def train(folder: Path, *arguments: str) -> dict[str, Any]:
    result = forked("train", *arguments, "--steps", "60", *SMALL, "--json", cwd=folder)
    assert result.returncode == 0, explain(result)
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def run(folder: Path, *arguments: str) -> Any:
    result = forked(*arguments, "--json", cwd=folder)
    assert result.returncode == 0, explain(result)
    return json.loads(result.stdout)


def test_an_expert_that_helps_is_kept_and_shown(counted: Path) -> None:
    found = run(counted, "inspect", "summary", "words")
    assert found["settings"]["experts"] == "auto"
    assert found["expert"]["orders"] == 7
    assert len(found["expert"]["network_exponents"]) == 7
    result = forked("inspect", "words", cwd=counted)
    assert f"counts of {found['expert']['strings']:,} strings" in " ".join(
        result.stdout.decode().split()
    )
    assert forked("verify", "words", cwd=counted).returncode == 0


def test_the_loss_of_training_is_that_of_both_and_lower_than_without(counted: Path) -> None:
    loss = run(counted, "inspect", "summary", "words")["valid_nats_per_char"]
    scored = run(counted, "eval", "words", "--no-baselines", "--dynamic")
    assert scored["nats_per_char"] == pytest.approx(loss, abs=1e-4)
    assert scored["dynamic_nats_per_char"] < loss + 0.01
    alone = train(counted, "words.txt", "--run", "alone", "--experts", "none")
    assert loss < alone["valid_nats_per_char"] - 0.1
    assert run(counted, "inspect", "summary", "alone")["expert"] is None


def test_the_network_is_the_same_with_and_without(counted: Path) -> None:
    train(counted, "words.txt", "--run", "without", "--experts", "none", "--threads", "1")
    train(counted, "words.txt", "--run", "with", "--experts", "ngram", "--threads", "1")
    runs = [read_checkpoint(counted / name / "last.safetensors") for name in ("without", "with")]
    without, joined = (checkpoint.arrays for checkpoint in runs)
    assert without.keys() == joined.keys()
    assert all((without[name] == joined[name]).all() for name in without)


def test_sampling_scoring_and_going_on_take_it(counted: Path) -> None:
    drawn = [
        forked("sample", "words", "--length", "200", "--seed", "3", *more, cwd=counted).stdout
        for more in ((), (), ("--weights", "int8"))
    ]
    assert drawn[0] == drawn[1]
    assert all(len(text) >= 200 for text in drawn)
    lines = run(counted, "score", "words", "words.txt")
    assert lines["bits"] > 0
    tuned = train(counted, "words.txt", "--from", "words", "--run", "tuned")
    before = run(counted, "inspect", "summary", "words")["valid_nats_per_char"]
    assert tuned["valid_nats_per_char"] < before + 0.05


def test_records_have_one_too(counted: Path) -> None:
    lines = (counted / "words.txt").read_text().replace(" ", "\n")
    (counted / "lines.txt").write_text(lines)
    found = train(counted, "lines.txt", "--records", "line", "--experts", "ngram")
    scored = run(counted, "eval", "lines", "--no-baselines")
    assert scored["nats_per_char"] == pytest.approx(found["valid_nats_per_char"], abs=1e-4)
    drawn = forked("sample", "lines", "--count", "5", cwd=counted)
    assert drawn.returncode == 0, explain(drawn)


def test_where_too_little_is_held_out_a_note_says_that_there_is_none(counted: Path) -> None:
    (counted / "short.txt").write_text((counted / "words.txt").read_text()[:4000])
    command = ("train", "short.txt", "--experts", "ngram", "--steps", "5", *SMALL)
    result = forked(*command, cwd=counted)
    assert result.returncode == 0, explain(result)
    assert "there is no expert: 400 characters are held out" in " ".join(
        result.stderr.decode().split()
    )
    assert run(counted, "inspect", "summary", "short")["expert"] is None


def test_where_nothing_is_held_out_none_can_be_fitted(counted: Path) -> None:
    result = forked("train", "words.txt", "--valid", "0", "--experts", "ngram", cwd=counted)
    assert result.returncode == 2
    assert b"--experts" in result.stderr
    assert b"--valid" in result.stderr
    train(counted, "words.txt", "--valid", "0", "--run", "all")
    assert run(counted, "inspect", "summary", "all")["expert"] is None
