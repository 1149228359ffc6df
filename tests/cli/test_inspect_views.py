"""charrnn inspect, surprisal and neurons, through the real program."""

import json
import math
import os
import pty
import random
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from charrnn.analysis.activations import compute_activations, name_units
from charrnn.analysis.features import compute_features, find_followers
from charrnn.checkpoints.migrations import FORMAT
from charrnn.checkpoints.model_file import read_model
from charrnn.data.encoded_text import ContinuousText
from charrnn.inference.torch_backend import TorchBackend, restore_network
from charrnn.models.char_model import build_model, count_parameters
from tests.conftest import SENTENCES
from tests.support.forked import forked
from tests.support.program import COMMAND, ENVIRONMENT, explain

BEST = "runs/herons/best.safetensors"
LINE = "The heron stood in the ford and counted what went by.\nNobody asked the badger.\n"


def test_a_model_is_summed_up(trained: Path) -> None:
    result = forked("inspect", "--json", cwd=trained)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    found = json.loads(result.stdout)
    model = read_model(trained / BEST)
    assert model.scores
    assert found["model"] == BEST
    assert (found["format"], found["kind"], found["written_by"][:2]) == (FORMAT, "model", "0.")
    assert found["model_sha256"] in (trained / BEST).read_bytes().decode("latin-1")
    assert found["network"] == model.model.to_dict()
    assert found["alphabet"]["symbols"] == model.alphabet.characters
    assert found["corpus"]["text_sha256"] == model.corpus.digest
    assert found["steps"] == model.scores.step
    assert found["valid_nats_per_char"] == model.scores.valid_nats_per_char
    assert (found["settings"]["steps"], found["settings"]["window"]) == (120, 16)
    network = build_model(model.model, len(model.alphabet))
    assert found["parameters"] == count_parameters(network)
    assert sum(found["parameters_by_part"].values()) == found["parameters"]
    assert list(found["parameters_by_part"]) == ["embedding", "layer 1", "head"]
    by_name = forked("inspect", "herons", "--json", cwd=trained)
    assert by_name.stdout == forked("inspect", "summary", "--json", cwd=trained).stdout
    assert json.loads(by_name.stdout) == found


def test_a_model_is_summed_up_for_people(trained: Path) -> None:
    told = json.loads(forked("inspect", "--json", cwd=trained).stdout)
    result = forked("inspect", cwd=trained)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    facts = dict(re.split("  +", line, maxsplit=1) for line in result.stdout.decode().splitlines())
    assert facts["SHA-256"] == told["model_sha256"]
    assert facts["file"] == f"format {FORMAT}, model, by charrnn {told['written_by']}"
    assert "cell lstm, layers 1, hidden 16" in facts["shape"]
    assert facts["parameters"].startswith(f"{told['parameters']:,}: embedding ")
    characters = told["alphabet"]["symbols"]
    assert facts["alphabet"] == f"{len(characters)} characters: \u240a{characters[1:]}"
    assert facts["corpus"].startswith(f"herons, {told['corpus']['characters']:,} characters, ")
    assert f"held out {told['valid_nats_per_char']:.4f}" in facts["scores"]
    assert "steps 120" in facts["trained with"]


def test_a_model_far_from_its_run_does_not_know_how_it_was_trained(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copy(trained / BEST, tmp_path / "model.safetensors")
    result = forked("inspect", "model.safetensors", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    assert b"trained with  unknown: " in result.stdout
    last = forked("inspect", "runs/herons/last.safetensors", "--json", cwd=trained)
    found = json.loads(last.stdout)
    assert (found["kind"], found["valid_nats_per_char"]) == ("training", None)
    assert found["settings"]["steps"] == 120


def surprisal(folder: Path, *options: str, text: str = LINE) -> dict[str, object]:
    arguments = ("inspect", "surprisal", "herons", "-", "--json", *options)
    result = forked(*arguments, cwd=folder, stdin=text.encode())
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_surprisal_sums_to_what_eval_says(trained: Path) -> None:
    found = surprisal(trained)
    by_eval = forked("eval", "herons", "-", "--json", cwd=trained, stdin=LINE.encode())
    total = json.loads(by_eval.stdout)["nats_per_char"] * len(LINE) / math.log(2)
    bits = found["character_bits"]
    assert isinstance(bits, list)
    assert math.fsum(bits) == pytest.approx(total, rel=1e-12)
    assert found["text"] == LINE
    assert found["bits_per_char"] == pytest.approx(total / len(LINE), rel=1e-12)


def test_the_worst_characters_come_with_what_was_expected(trained: Path) -> None:
    found = surprisal(trained, "--worst", "4")
    bits, worst = np.array(found["character_bits"]), found["worst"]
    assert isinstance(worst, list)
    places = [one["position"] for one in worst]
    assert places == list(np.argsort(-bits[1:], kind="stable")[:4] + 1)
    for one in worst:
        assert one["text"] == LINE[one["position"]]
        lines = LINE.split("\n")
        assert lines[one["line"] - 1][one["column"] - 1] == one["text"]
        assert one["bits"] == bits[one["position"]]
        likely = [other["probability"] for other in one["expected"]]
        assert likely == sorted(likely, reverse=True)
        assert sum(likely) + 2 ** -one["bits"] <= 1 + 1e-6
        came = [o["probability"] for o in one["expected"] if o["text"] == one["text"]]
        assert came in ([], [pytest.approx(2 ** -one["bits"], rel=1e-4)])


@pytest.mark.slow
def test_a_part_of_a_text_is_its_beginning(trained: Path) -> None:
    whole, part = surprisal(trained), surprisal(trained, "--length", "20")
    assert (part["text"], part["character_bits"]) == (LINE[:20], list(whole["character_bits"])[:20])  # type: ignore[call-overload]
    long = LINE * 50
    assert surprisal(trained, "--length", "0", text=long)["text"] == long
    assert surprisal(trained, text=long)["text"] == long[:3000]


def test_surprisal_without_color_has_marks_beneath(trained: Path) -> None:
    bits = surprisal(trained)["character_bits"]
    assert isinstance(bits, list)
    result = forked("inspect", "surprisal", "herons", "-", cwd=trained, stdin=LINE.encode())
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    facts, shown, legend, _, table = result.stdout.decode().split("\n\n")
    assert facts.endswith(f"bits per character  {sum(bits) / len(bits):.4f}")
    lines = shown.split("\n")
    assert "".join(lines[::2]).replace("\u240a", "\n") == LINE
    expected = "".join("84211 "[[8, 4, 2, 1, 1, 0].index(level)] for level in map(level_of, bits))
    marks = [mark.ljust(len(line)) for line, mark in zip(lines[::2], lines[1::2], strict=True)]
    assert "".join(marks) == expected
    assert "'8' 8 bits or more" in legend
    assert len(table.splitlines()) == 11


def level_of(bits: float) -> int:
    return next(level for level in (8, 4, 2, 1, 0) if bits >= level)


def on_a_terminal(folder: Path, *arguments: str, **environment: str) -> str:
    """Return the program's output on a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env={**ENVIRONMENT, "TERM": "xterm-256color", "NO_COLOR": "", **environment},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    try:
        while data := os.read(ours, 65536):
            written += data
    except OSError:
        pass  # Linux says so when the other end is closed.
    os.close(ours)
    assert process.wait(60) == 0, written.decode()
    return written.decode()


@pytest.mark.slow
def test_on_a_terminal_surprisal_is_colored_unless_that_is_not_wanted(
    trained: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.txt"
    text.write_text(LINE)
    arguments = ("inspect", "surprisal", "herons", str(text))
    colored = on_a_terminal(trained, *arguments)
    assert "\x1b[" in colored
    plain = re.sub("\x1b\\[[0-9;]*m", "", colored).replace("\r", "")
    assert LINE.replace("\n", "\u240a\n") in plain
    assert " 8 bits or more " in plain
    assert "beneath each line" not in plain
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        without = on_a_terminal(trained, *arguments, **environment)
        assert "\x1b" not in without
        assert "beneath each line" in without


@pytest.mark.slow
def test_what_a_text_would_have_a_terminal_do_is_shown(tmp_path: Path, trained: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"ab\x1b[31m\r\ncd" * 40)
    options = ("--steps", "2", "--hidden", "4", "--embedding", "4", "--layers", "1")
    result = forked("train", "t.txt", *options, "--window", "8", "--batch", "2", cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    shown = on_a_terminal(tmp_path, "inspect", "surprisal", "t.txt", "--length", "11")
    assert "\u241b" in shown
    assert "\u240d" in shown
    assert "\x1b[31m" not in shown
    assert "\u241b" in forked("inspect", cwd=tmp_path).stdout.decode()


@pytest.fixture
def shuffled(tmp_path: Path) -> Path:
    """The sentences that the model knows in an order that never comes round."""
    text = "\n".join(random.Random(1).choices(SENTENCES, k=60))
    path = tmp_path / "shuffled.txt"
    path.write_text(text)
    return path


@pytest.mark.slow
def test_neurons_are_those_found_in_the_text(trained: Path, shuffled: Path) -> None:
    arguments = ("inspect", "neurons", "herons", str(shuffled), "--json", "--top", "2")
    result = forked(*arguments, cwd=trained)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    found = json.loads(result.stdout)
    text = shuffled.read_text()
    model = read_model(trained / BEST)
    network = restore_network(model)
    active, names = (
        compute_activations(TorchBackend(network), ContinuousText(model.alphabet.encode(text)), 1),
        name_units(TorchBackend(network)),
    )
    expected = find_followers(active, compute_features(text), 2)
    assert len(expected) > 3
    assert found["followers"] == [
        {
            "unit": names[one.unit],
            "follows": one.feature,
            "correlation": pytest.approx(one.correlation, abs=1e-3),
            "chosen_by": pytest.approx(one.chosen_by, abs=1e-3),
        }
        for one in expected
    ]
    assert (found["layer"], found["characters"], found["text"]) == (1, len(text), text[:400])
    for unit, values in found["activations"].items():
        np.testing.assert_allclose(values, active[:400, names.index(unit)], atol=1e-4)
    assert set(found["activations"]) == {one["unit"] for one in found["followers"]}


def test_neurons_for_people(trained: Path, shuffled: Path) -> None:
    arguments = ("inspect", "neurons", "herons", str(shuffled), "--length", "60")
    told = json.loads(forked(*arguments, "--json", cwd=trained).stdout)
    result = forked(*arguments, cwd=trained)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    shown = result.stdout.decode()
    rows = [re.split("  +", line.strip()) for line in shown.splitlines()]
    assert told["followers"]
    for one in told["followers"]:
        correlations = [f"{one[name]:+.2f}" for name in ("correlation", "chosen_by")]
        assert [one["unit"], one["follows"], *correlations] in rows
    heads = re.findall(r"^([hc]\d+): (.*)$", shown, re.MULTILINE)
    assert {unit for unit, _ in heads} == {one["unit"] for one in told["followers"]}
    assert "'#' above 0.6" in shown


def test_a_unit_can_be_named(trained: Path) -> None:
    for unit, name in (("3", "c3"), ("h16", "h16")):
        arguments = ("inspect", "neurons", "herons", "-", "--json", "--unit", unit)
        result = forked(*arguments, cwd=trained, stdin=LINE.encode())
        assert (result.returncode, result.stderr) == (0, b""), explain(result)
        found = json.loads(result.stdout)
        assert (found["followers"], list(found["activations"])) == ([], [name])
        assert len(found["activations"][name]) == len(LINE)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--layer", "2"), 2, "--layer is 2; the model's layers are from 1 to 1"),
        (("--unit", "17"), 2, "--unit is '17'; the layer's units are h1 to c16"),
        (("--unit", "x1"), 2, "--unit is 'x1'"),
        ((), 3, "79 characters are too few to tell a correlation from chance"),
        (("--unknown", "maybe"), 2, "maybe"),
    ],
)
def test_neurons_that_are_not_there(
    trained: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    result = forked("inspect", "neurons", "herons", "-", *options, cwd=trained, stdin=LINE.encode())
    assert (result.returncode, result.stdout) == (code, b""), explain(result)
    assert said in result.stderr.decode()
    assert len(result.stderr.splitlines()) == 1


def test_a_text_that_no_unit_follows_anything_in(trained: Path) -> None:
    text = "e" * 1200
    result = forked("inspect", "neurons", "herons", "-", cwd=trained, stdin=text.encode())
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    assert result.stdout.decode().splitlines()[-1].startswith("no unit follows any")
