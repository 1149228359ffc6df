"""charrnn eval --formal, through the real program."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from charrnn.checkpoints.checkpoint import write_checkpoint
from charrnn.checkpoints.model_file import CorpusFacts, ModelFile
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet
from charrnn.data.formal_languages import LANGUAGES
from charrnn.evaluation.formal_languages import FormalScore, solve
from charrnn.inference.torch_backend import TorchBackend
from charrnn.models.char_model import CharModel, build_model
from tests.support.forked import forked
from tests.support.networks import needs_library
from tests.support.program import explain

SHAPE = ModelConfig(hidden=8, embedding=4, layers=1)
ALPHABET = Alphabet.of("ab")


def make() -> CharModel:
    """A model that always says a, and so solves n = 1 alone."""
    model = build_model(SHAPE, len(ALPHABET), seed=1)
    torch.nn.init.zeros_(model.head.weight)
    model.head.bias.data = torch.tensor([1.0, 0.0])
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with that model in model.safetensors."""
    weights = {name: tensor.numpy() for name, tensor in make().state_dict().items()}
    facts = CorpusFacts("anbn", "0" * 64, 300_000, 0.1)
    file = ModelFile(SHAPE, ALPHABET, facts, None, weights)
    write_checkpoint(tmp_path / "model.safetensors", file.to_checkpoint())
    return tmp_path


@pytest.fixture
def expected() -> FormalScore:
    return solve(TorchBackend(make().eval()), ALPHABET, LANGUAGES["anbn"])


def test_all_figures_are_in_the_json(folder: Path, expected: FormalScore) -> None:
    result = forked("eval", "model.safetensors", "--formal", "anbn", "--json", cwd=folder)
    assert result.returncode == 0, explain(result)
    assert result.stderr == b""
    assert json.loads(result.stdout) == {
        "language": "anbn",
        "per_cent_solved": pytest.approx(100 / 60),
        "first_unsolved": 2,
        "least_size": 1,
        "most_size": 60,
        "solved": [1],
        "unsolved": list(range(2, 61)),
        "nats_per_predictable_char": pytest.approx(expected.nats_per_predictable_char),
        "nats_per_char": pytest.approx(expected.nats_per_char),
        "predictable_characters": 60 * 61 // 2,
        "characters": 60 * 61,
        "sequences": 60,
        "model": "model.safetensors",
    }


@pytest.mark.slow
@needs_library
def test_an_ordinary_model_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys\nfrom charrnn.cli.entry import main\n"
        "sys.argv = ['charrnn', 'eval', 'model.safetensors', '--formal', 'anbn']\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, b""), explain(result)


def test_figures_for_people_are_the_same(folder: Path, expected: FormalScore) -> None:
    result = forked("eval", "model.safetensors", "--formal", "anbn", cwd=folder)
    shown = dict(line.split("  ", 1) for line in result.stdout.decode().splitlines())
    shown = {name: value.strip() for name, value in shown.items()}
    assert shown["language"] == "anbn: a^n b^n"
    assert shown["solved"] == "1.7% of n from 1 to 60"
    assert shown["first n not solved"] == "2"
    assert shown["nats per predictable character"] == f"{expected.nats_per_predictable_char:.4f}"
    assert shown["nats per character"] == f"{expected.nats_per_char:.4f}"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--formal", "anbm"), 2, "did you mean anbn?"),
        (("--formal", "klingon"), 2, "anbn, anbncn, anbncndn, anb2n, anbmcnm, memory, addition"),
        (("text.txt", "--formal", "anbn"), 2, "text.txt cannot be scored with it"),
        (("anbn", "--formal", "anbn"), 2, "anbn cannot be scored with it"),
        (("--formal", "anbn", "--unknown", "skip"), 2, "--formal reads no text"),
        (("--formal", "anbncn"), 3, "'c' (U+0063) belongs to anbncn"),
    ],
)
def test_mistakes_get_a_short_message(
    folder: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = forked("eval", "model.safetensors", *arguments, cwd=folder)
    assert (result.returncode, result.stdout) == (code, b""), explain(result)
    assert said in result.stderr.decode()
    assert len(result.stderr.splitlines()) <= 2


SETTINGS = (
    *("--cell", "stack", "--stack-only", "--stack-depth", "64", "--layers", "1", "--hidden", "40"),
    *("--embedding", "16", "--norm", "none", "--lr", "0.04", "--window", "64", "--batch", "16"),
    *("--steps", "400", "--evaluations", "1", "--threads", "1"),
)
SEEDS = (1, 2, 3)
"""A processor that rounds otherwise may need another seed; one that learns is enough."""


@pytest.mark.slow
def test_a_stack_network_learns_to_count(tmp_path: Path) -> None:
    def run(*arguments: str) -> dict[str, Any]:
        result = forked(*arguments, "--json", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    solved = {}
    for seed in SEEDS:
        run("train", "anbn", *SETTINGS, "--seed", str(seed), "--run", f"seed-{seed}")
        solved[seed] = run("eval", f"seed-{seed}", "--formal", "anbn", "--stack-round")
        if solved[seed]["per_cent_solved"] == 100:
            return
    pytest.fail(f"no seed solved every n: {solved}")
