"""charrnn sample --novelty, through the real program."""

import json
import shutil
from pathlib import Path

import pytest

from charrnn.analysis.memorization import compare_with_held_out, sum_overlaps
from charrnn.checkpoints.model_file import read_model
from charrnn.data.encoded_text import ContinuousText
from tests.support.forked import forked
from tests.support.program import SMALL, explain

BEST = "runs/herons/best.safetensors"
DRAW = ("--seed", "3", "--temp", "0.5")


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """A folder with the run that a test may change."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_the_text_is_the_same_and_the_figures_go_to_stderr(trained: Path) -> None:
    arguments = ("sample", *DRAW, "--length", "200", "--count", "3")
    plain = forked(*arguments, cwd=trained)
    told = forked(*arguments, "--novelty", cwd=trained)
    assert told.returncode == 0, explain(told)
    assert (told.stdout, plain.stderr) == (plain.stdout, b"")
    said = told.stderr.decode()
    text = (trained / "herons.txt").read_text()
    alphabet = read_model(trained / BEST).alphabet
    learned, held_out = ContinuousText(alphabet.encode(text)).split(0.1)
    drawn = [alphabet.encode(one) for one in plain.stdout.decode().split("\n\n")]
    ours, theirs = map(sum_overlaps, compare_with_held_out(drawn, learned, held_out))
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line[:1].isdigit()}
    for n in (1, 4, 32):
        assert rows[str(n)] == [f"{one.shares[n - 1]:.1%}" for one in (ours, theirs)]
    assert ours.longest
    line = text[: ours.longest.offset].count("\n") + 1
    place = f"from line {line} (character {ours.longest.offset + 1}) of the training text"
    assert f"longest span drawn: {ours.longest.length} characters, {place}" in said


def test_json_carries_the_figures_of_each_sample(trained: Path) -> None:
    arguments = ("--length", "60", "--count", "2", "--novelty", "--json")
    result = forked("sample", *DRAW, *arguments, cwd=trained)
    assert result.returncode == 0, explain(result)
    text = (trained / "herons.txt").read_text()
    training = text[: int(len(text) * 0.9)]
    for line in result.stdout.splitlines():
        described = json.loads(line)
        drawn, held_out = (described["novelty"][side] for side in ("drawn", "held_out"))
        assert drawn["characters"] == held_out["characters"] == 60
        longest = drawn["longest"]
        end = longest["start"] + longest["characters"]
        assert described["text"][longest["start"] : end] == longest["text"]
        assert training.index(longest["text"]) == longest["offset"]
        assert training[: longest["offset"]].count("\n") + 1 == longest["line"]
        bigrams = [described["text"][i : i + 2] for i in range(59)]
        assert drawn["shares"][1] == sum(pair in training for pair in bigrams) / 59
        # The lines of this text are repeated, so that what is held out stands in it too.
        assert held_out["shares"] == [1.0] * 32


@pytest.mark.slow
def test_a_text_that_is_gone_is_an_error_before_anything_is_drawn(tmp_path: Path) -> None:
    text = tmp_path / "gone.txt"
    text.write_text("the quick brown fox\n" * 40)
    trained = forked("train", "gone.txt", "--steps", "2", *SMALL, cwd=tmp_path)
    assert trained.returncode == 0, explain(trained)
    text.rename(tmp_path / "moved.txt")
    gone = forked("sample", "--novelty", cwd=tmp_path)
    assert (gone.returncode, gone.stdout) == (3, b"")
    assert b"gone.txt" in gone.stderr
    assert b"--corpus" in gone.stderr
    found = forked("sample", "--novelty", "--corpus", "moved.txt", cwd=tmp_path)
    assert found.returncode == 0, explain(found)


def test_a_model_without_its_run_needs_the_text_named(copied: Path) -> None:
    shutil.copy(copied / BEST, copied / "alone.safetensors")
    arguments = ("sample", "alone.safetensors", *DRAW, "--length", "50", "--json", "--novelty")
    refused = forked(*arguments, cwd=copied)
    assert (refused.returncode, refused.stdout) == (3, b"")
    assert b"--corpus" in refused.stderr
    named = forked(*arguments, "--corpus", "herons.txt", cwd=copied)
    beside = forked("sample", BEST, *arguments[2:], cwd=copied)
    figures = [json.loads(result.stdout)["novelty"] for result in (named, beside)]
    assert figures[0] == figures[1]


def test_another_text_is_refused(copied: Path) -> None:
    (copied / "other.txt").write_text((copied / "herons.txt").read_text() + "\n")
    result = forked("sample", "--novelty", "--corpus", "other.txt", cwd=copied)
    assert (result.returncode, result.stdout) == (3, b"")
    assert b"other.txt: is not the text that runs/herons/best.safetensors was" in result.stderr


def test_a_text_is_of_no_use_without_novelty(trained: Path) -> None:
    result = forked("sample", "--corpus", "herons.txt", cwd=trained)
    assert result.returncode == 2
    assert b"--novelty" in result.stderr
