"""charrnn eval, through the real program."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest

from charrnn.checkpoints.model_file import read_model
from charrnn.data.alphabet import Alphabet
from charrnn.evaluation.baselines import measure_baselines
from charrnn.kernels.library import CHOICE, NONE
from tests.support.forked import forked
from tests.support.program import SMALL, explain

KEYS = {"nats_per_char", "bits_per_char", "bits_per_byte", "perplexity", "characters"}


def test_the_latest_runs_held_out_text_is_scored(trained: Path) -> None:
    result = forked("eval", "--json", cwd=trained)
    assert result.returncode == 0, explain(result)
    scores = json.loads(result.stdout)
    assert set(scores) >= KEYS
    characters = len((trained / "herons.txt").read_text())
    assert scores["characters"] == characters - int(characters * 0.9)
    assert scores["bits_per_char"] == pytest.approx(scores["nats_per_char"] / math.log(2))
    assert scores["perplexity"] == pytest.approx(math.exp(scores["nats_per_char"]))
    best = read_model(trained / "runs/herons/best.safetensors").scores
    assert best is not None
    assert scores["nats_per_char"] == pytest.approx(best.valid_nats_per_char, abs=1e-5)


def test_figures_for_people_are_the_same(trained: Path) -> None:
    scores = json.loads(forked("eval", "--json", cwd=trained).stdout)
    shown = forked("eval", cwd=trained)
    assert shown.stderr == b""
    assert f"{scores['nats_per_char']:.4f}" in shown.stdout.decode()
    assert f"{scores['bits_per_byte']:.4f}" in shown.stdout.decode()


@pytest.mark.slow
def test_a_text_is_scored_from_a_file_a_pipe_and_beside_a_model(trained: Path) -> None:
    data = (trained / "herons.txt").read_bytes()
    by_file = json.loads(forked("eval", "herons.txt", "--json", cwd=trained).stdout)
    by_pipe = json.loads(forked("eval", "-", "--json", cwd=trained, stdin=data).stdout)
    arguments = ("eval", "runs/herons/best.safetensors", "herons.txt", "--json")
    by_both = json.loads(forked(*arguments, cwd=trained).stdout)
    assert by_file["characters"] == len(data)
    assert {key: by_file[key] for key in KEYS} == {key: by_pipe[key] for key in KEYS}
    assert by_both["nats_per_char"] == by_file["nats_per_char"]


def test_unknown_characters_are_refused_skipped_or_replaced(trained: Path, tmp_path: Path) -> None:
    text = tmp_path / "snow.txt"
    text.write_text("The \N{SNOWMAN} heron", encoding="utf-8")
    refused = forked("eval", "herons", text, cwd=trained)
    assert refused.returncode == 3
    assert "snow.txt" in refused.stderr.decode()
    assert "U+2603" in refused.stderr.decode()
    for choice, characters in (("skip", 10), ("replace", 11)):
        result = forked("eval", "herons", text, "--unknown", choice, "--json", cwd=trained)
        assert json.loads(result.stdout)["characters"] == characters
        assert b"1 character" in result.stderr


@pytest.mark.slow
def test_a_model_far_from_its_run_asks_for_a_text(trained: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    shutil.copy(trained / "runs/herons/best.safetensors", model)
    result = forked("eval", model, cwd=tmp_path)
    assert (result.returncode, b"Give a text to read" in result.stderr) == (3, True)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "corpus.txt").write_text("Another text altogether. " * 40)
    other = forked("train", "corpus.txt", "--run", "r", "--steps", "2", *SMALL, cwd=stranger)
    assert other.returncode == 0, explain(other)
    shutil.copy(model, stranger / "r" / "model.safetensors")
    misplaced = forked("eval", "r/model.safetensors", cwd=stranger)
    assert (misplaced.returncode, b"Give a text to read" in misplaced.stderr) == (3, True)
    assert forked("eval", model, trained / "herons.txt", cwd=tmp_path).returncode == 0
    assert forked("sample", model, "--length", "5", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_a_run_that_held_nothing_out_asks_for_a_text(text_file: Path) -> None:
    folder = text_file.parent
    trained = forked("train", text_file, "--valid", "0", "--steps", "5", *SMALL, cwd=folder)
    assert trained.returncode == 0, explain(trained)
    assert b"nothing was held out" in trained.stdout
    result = forked("eval", cwd=folder)
    assert (result.returncode, b"has no validation split" in result.stderr) == (3, True)


@pytest.mark.slow
def test_a_text_that_changed_is_not_scored_as_held_out(text_file: Path) -> None:
    folder = text_file.parent
    assert forked("train", text_file, "--steps", "5", *SMALL, cwd=folder).returncode == 0
    with text_file.open("a") as stream:
        stream.write("more")
    result = forked("eval", cwd=folder)
    assert (result.returncode, b"changed" in result.stderr) == (3, True)


@pytest.mark.slow
def test_figures_are_the_same_without_the_native_library(trained: Path) -> None:
    native = json.loads(forked("eval", "herons.txt", "--json", cwd=trained).stdout)
    arguments = ("eval", "herons.txt", "--json")
    through_torch = forked(*arguments, cwd=trained, environment={CHOICE: NONE})
    assert through_torch.returncode == 0, explain(through_torch)
    expected = json.loads(through_torch.stdout)
    assert native["nats_per_char"] == pytest.approx(expected["nats_per_char"], abs=1e-6)
    assert native["characters"] == expected["characters"]


@pytest.mark.slow
@pytest.mark.parametrize("kernels", ["", NONE])
def test_rounded_weights_state_what_they_lose(trained: Path, kernels: str) -> None:
    def scored(weights: str) -> float:
        arguments = ("eval", "herons.txt", "--json", "--weights", weights)
        result = forked(*arguments, cwd=trained, environment={CHOICE: kernels})
        assert result.returncode == 0, explain(result)
        return float(json.loads(result.stdout)["nats_per_char"])

    exact = scored("fp32")
    assert scored("auto") == exact
    for weights in ("bf16", "int8"):
        assert scored(weights) != exact
        assert scored(weights) == pytest.approx(exact, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kernels", ["", NONE])
def test_a_forgetful_reader_and_a_following_one_are_told_besides(
    trained: Path, kernels: str
) -> None:
    def scored(*options: str) -> dict[str, float]:
        arguments = ("eval", "herons.txt", "--json", *options)
        result = forked(*arguments, cwd=trained, environment={CHOICE: kernels})
        assert result.returncode == 0, explain(result)
        return dict(json.loads(result.stdout))

    plain, both = scored(), scored("--reset-every", "9", "--dynamic")
    assert {name: both[name] for name in plain} == plain
    assert both["reset_nats_per_char"] > plain["nats_per_char"]
    assert both["dynamic_nats_per_char"] < plain["nats_per_char"]


def test_a_formal_language_is_no_text_to_follow(trained: Path) -> None:
    for option in (("--dynamic",), ("--reset-every", "9")):
        result = forked("eval", "--formal", "anbn", *option, cwd=trained)
        assert (result.returncode, b"--dynamic" in result.stderr) == (2, True)


def test_a_score_stands_beside_those_of_ngrams_and_xz(trained: Path) -> None:
    text = (trained / "herons.txt").read_text()
    alphabet = Alphabet.of(text)
    ids = alphabet.encode(text)
    boundary = int(len(ids) * 0.9)
    expected = measure_baselines(ids[:boundary], ids[boundary:], alphabet, ["xz"], most=1 << 22)
    found = json.loads(forked("eval", "--json", cwd=trained).stdout)["baselines"]
    assert found == {
        "ngram_order": expected.best_order,
        "ngram_nats_per_char": list(expected.ngrams),
        "compressor_nats_per_char": {"xz": expected.compressors["xz"]},
        "learnt_characters": boundary,
        "scored_characters": len(ids) - boundary,
    }
    shown = forked("eval", cwd=trained).stdout.decode()
    assert f"n-grams of order {expected.best_order}  {min(expected.ngrams):.4f} nats" in shown
    assert re.search(rf"^xz +{expected.compressors['xz']:.4f} nats", shown, re.MULTILINE)


def test_baselines_of_another_text_have_read_what_the_model_has(trained: Path) -> None:
    text = (trained / "herons.txt").read_text()
    other = text[: len(text) // 2]
    found = forked("eval", "-", "--json", cwd=trained, stdin=other.encode())
    baselines = json.loads(found.stdout)["baselines"]
    assert baselines["learnt_characters"] == int(len(text) * 0.9)
    assert baselines["scored_characters"] == len(other)
    # They have read it before.
    assert min(baselines["ngram_nats_per_char"]) < 0.5


@pytest.mark.slow
def test_baselines_are_left_out_when_not_wanted_or_not_to_be_had(
    trained: Path, tmp_path: Path
) -> None:
    unwanted = forked("eval", "--json", "--no-baselines", cwd=trained)
    assert "baselines" not in json.loads(unwanted.stdout)
    assert b"n-grams" not in forked("eval", "--no-baselines", cwd=trained).stdout
    model = tmp_path / "model.safetensors"
    shutil.copy(trained / "runs/herons/best.safetensors", model)
    arguments = ("eval", model, trained / "herons.txt")
    assert json.loads(forked(*arguments, "--json", cwd=tmp_path).stdout)["baselines"] is None
    assert b"baselines  none: " in forked(*arguments, cwd=tmp_path).stdout


def test_a_damaged_run_does_not_keep_its_model_from_scoring(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "runs/herons", tmp_path / "herons")
    (tmp_path / "herons/last.safetensors").write_bytes(b"damaged")
    result = forked("eval", "herons", trained / "herons.txt", "--json", cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    scores = json.loads(result.stdout)
    assert (scores["baselines"], scores["nats_per_char"] > 0) == (None, True)
