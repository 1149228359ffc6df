"""charrnn inspect, through the real program."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from charrnn.analysis.gates import Saturation, measure_saturation
from charrnn.analysis.gradients import CONTEXT, Reach, measure_reach
from charrnn.checkpoints.checkpoint import write_checkpoint
from charrnn.checkpoints.model_file import CorpusFacts, ModelFile, read_model
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet
from charrnn.data.encoded_text import ContinuousText
from charrnn.inference.torch_backend import restore_network
from charrnn.models.char_model import build_model
from tests.support.forked import forked
from tests.support.program import explain

BEST = "runs/herons/best.safetensors"
STEPS = 12

Rows = list[list[str]]


def table(stdout: bytes) -> tuple[str, Rows]:
    """Return the text above a table's header, and the rows, the header first."""
    above, title, body = stdout.decode().split("\n\n")
    assert title.startswith(("norm of", "share of"))
    cells = [[cell.strip() for cell in line.split("  ") if cell] for line in body.splitlines()]
    return above, cells


def reaches(trained: Path, *, held_out: bool) -> list[Reach]:
    """Return the expected reach in herons.txt, or in its held-out part."""
    model = read_model(trained / BEST)
    ids = model.alphabet.encode((trained / "herons.txt").read_text())
    return measure_reach(
        restore_network(model), ids[int(len(ids) * 0.9) :] if held_out else ids, STEPS
    )


def saturations(trained: Path) -> list[Saturation]:
    model = read_model(trained / BEST)
    ids = model.alphabet.encode((trained / "herons.txt").read_text())
    return measure_saturation(restore_network(model), ContinuousText(ids))


def about(norms: Sequence[float]) -> object:
    return pytest.approx(list(norms), rel=1e-3)


def test_gradients_in_the_held_out_text_of_the_latest_run_as_json(trained: Path) -> None:
    result = forked("inspect", "gradients", "--steps", str(STEPS), "--json", cwd=trained)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    assert json.loads(result.stdout) == {
        "model": BEST,
        "source": "herons, the last 10%, held out",
        "look_back": STEPS,
        "places": 64,
        "gradients": [
            {"layer": reach.layer, "part": reach.part, "norms": about(reach.norms)}
            for reach in reaches(trained, held_out=True)
        ],
    }


def test_gradients_in_a_text_for_people(trained: Path) -> None:
    arguments = ("inspect", "gradients", BEST, "herons.txt", "--steps", str(STEPS))
    result = forked(*arguments, cwd=trained)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    above, (header, *rows) = table(result.stdout)
    assert above == f"model   {BEST}\ntext    herons.txt\nplaces  64, evenly spread"
    assert header == ["k", "layer 1 h", "layer 1 c"]
    assert [row[0] for row in rows] == ["0", "1", "2", "5", "10", "12"]
    for column, reach in enumerate(reaches(trained, held_out=False), 1):
        shown = [float(row[column]) for row in rows]
        assert shown == pytest.approx([reach.norms[int(row[0])] for row in rows], rel=2e-2)


def test_gates_on_a_text_from_a_pipe_as_json(trained: Path) -> None:
    data = (trained / "herons.txt").read_bytes()
    result = forked("inspect", "gates", "herons", "-", "--json", cwd=trained, stdin=data)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    found = json.loads(result.stdout)
    assert (found["model"], found["source"]) == (BEST, "-")
    assert found["characters"] == len(data)
    expected = saturations(trained)
    assert [(one["layer"], one["gate"]) for one in found["gates"]] == [
        (1, "input"),
        (1, "forget"),
        (1, "output"),
    ]
    for one, saturation in zip(found["gates"], expected, strict=True):
        # A gate that stands next to a bound may fall on its other side.
        assert one["shut"] == pytest.approx(list(saturation.shut), abs=1e-3)
        assert one["open"] == pytest.approx(list(saturation.open), abs=1e-3)


def test_gates_for_people_are_the_means_over_each_kind(trained: Path) -> None:
    result = forked("inspect", "gates", "herons.txt", cwd=trained)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    above, (header, *rows) = table(result.stdout)
    characters = len((trained / "herons.txt").read_text())
    assert above == (
        f"model       {BEST}\ntext        herons.txt\n"
        f"characters  {characters:,}, from the beginning"
    )
    assert header == ["gate", "shut", "open", "mostly shut", "mostly open"]
    for row, one in zip(rows, saturations(trained), strict=True):
        assert row[0] == f"layer 1 {one.gate}"
        for shown, values in ((row[1], one.shut), (row[2], one.open)):
            assert float(shown.removesuffix("%")) == pytest.approx(sum(values) / 0.16, abs=0.1)
        assert all(cell.endswith(" of 16") for cell in row[3:])


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A folder with model.safetensors: one unit that doubles its state and takes 1/2 from it.

    An a puts it at 1/2, where it stays, and from where the least push takes it away.
    """
    shape = ModelConfig(cell="rnn", activation="relu", layers=1, hidden=1, embedding=1, norm="none")
    alphabet = Alphabet.of("ab")
    model = build_model(shape, len(alphabet), seed=1)
    with torch.no_grad():
        model.embedding.weight.copy_(torch.tensor([[1.0], [0.0]]))
        for name, value in (("input_weight", 1.0), ("recurrent_weight", 2.0), ("bias", -0.5)):
            nn.init.constant_(model.get_parameter(f"cells.0.{name}"), value)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    facts = CorpusFacts("ab", "0" * 64, 1000, 0.1)
    file = ModelFile(shape, alphabet, facts, None, weights)
    write_checkpoint(tmp_path / "model.safetensors", file.to_checkpoint())
    return tmp_path


@pytest.mark.slow
def test_norms_beyond_all_numbers_are_null_in_the_json(plain: Path) -> None:
    steps = 1100
    (plain / "text.txt").write_text("a" + "b" * (CONTEXT + steps + 1))
    arguments = ("inspect", "gradients", "model.safetensors", "text.txt", "--steps", str(steps))
    result = forked(*arguments, "--json", cwd=plain)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    found = json.loads(result.stdout)
    (norms,) = (one["norms"] for one in found["gradients"])
    assert found["places"] == 1
    assert norms[:20] == about([norms[0] * 2**back for back in range(20)])
    assert norms[-1] is None


def test_gates_of_a_cell_without_any_are_refused(plain: Path) -> None:
    result = forked("inspect", "gates", "model.safetensors", "-", cwd=plain, stdin=b"abba" * 9)
    assert (result.returncode, result.stdout) == (2, b""), explain(result)
    assert result.stderr.decode().splitlines() == [
        "charrnn: the model's cells have no gates; those of every kind but rnn have"
    ]


def test_a_text_too_short_to_look_back_is_refused(plain: Path) -> None:
    arguments = ("inspect", "gradients", "model.safetensors", "-", "--steps", "50")
    result = forked(*arguments, cwd=plain, stdin=b"ab" * 60)
    assert (result.returncode, result.stdout) == (3, b""), explain(result)
    said, remedy = result.stderr.decode().splitlines()
    assert "a text of 120 characters is too short to look 50 back" in said
    assert remedy == "  Give a longer text, or look less far back with --steps"


def test_the_help_names_every_view(tmp_path: Path) -> None:
    result = forked("inspect", "--help", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    assert "Usage: " in result.stdout.decode()
    for command in ("summary", "surprisal", "neurons", "gradients", "gates", "calibration"):
        assert command in result.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "code", "said", "lines"),
    [
        ((), 4, "there is no latest run", 2),
        (("nowhere",), 4, "nowhere: there is no such run or model file", 1),
        (("--json",), 4, "there is no latest run", 2),
        (("gatess",), 2, "No such command 'gatess'. Did you mean 'gates'?", 1),
    ],
)
def test_a_word_that_is_no_view_is_a_model(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str, lines: int
) -> None:
    result = forked("inspect", *arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (code, b""), explain(result)
    assert said in result.stderr.decode()
    assert len(result.stderr.splitlines()) == lines


@pytest.mark.slow
def test_the_help_of_its_commands_does_not_import_torch(tmp_path: Path) -> None:
    command = (sys.executable, "-X", "importtime", "-m", "charrnn", "inspect", "gates", "--help")
    result = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.decode().splitlines()}
    assert "charrnn.cli.inspect" in imported
    assert not {"torch", "numpy"} & imported


@pytest.mark.parametrize("steps", ["0", "10001", "many"])
def test_steps_out_of_range_are_refused(tmp_path: Path, steps: str) -> None:
    result = forked("inspect", "gradients", "--steps", steps, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b""), explain(result)
    assert "--steps" in result.stderr.decode()
    assert len(result.stderr.splitlines()) == 1
