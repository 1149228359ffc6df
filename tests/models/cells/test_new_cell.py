"""A cell is one file and one line: with no more than these, all of the program knows it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import charrnn
from tests.support import GOLDEN, let_copy_be_imported, mgu
from tests.support.program import ENVIRONMENT, explain

pytestmark = pytest.mark.slow

TEXT = GOLDEN / "format-1" / "reeds.txt"

COMMANDS = """
import contextlib, json, signal, sys
from typer.testing import CliRunner
from charrnn.cli import signals
from charrnn.cli.main import app

assert "torch" not in sys.modules
small = "--cell mgu --layers 2 --hidden 8 --embedding 4 --batch 4 --window 16 --steps 40".split()
said = {}


def run(title, *words):
    signals.install()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, (words, result.output, result.exception)
    said[title] = result.stdout


run("help", "train", "--help")
assert "torch" not in sys.modules
run("whole", "train", sys.argv[1], "--run", "whole", *small)

from charrnn.models.cells import mgu

forward, windows = mgu.MGU.forward, 0


def forward_and_interrupt(self, x, state):
    global windows
    windows += self.training
    if windows == 31:
        signal.raise_signal(signal.SIGINT)
    return forward(self, x, state)


mgu.MGU.forward = forward_and_interrupt
with contextlib.suppress(BaseException):
    run("cut", "train", sys.argv[1], "--run", "cut", *small)
assert windows > 30 and "cut" not in said
mgu.MGU.forward = forward
run("resume", "train", "--resume", "--run", "cut")
run("sample", "sample", "cut", "--length", "50", "--seed", "1")
run("sample of the whole", "sample", "whole", "--length", "50", "--seed", "1")
run("eval", "eval", "cut")
run("verify", "verify", "cut")
run("summary", "inspect", "summary", "cut")
run("gates", "inspect", "gates", "cut", sys.argv[1])
run("gradients", "inspect", "gradients", "cut", sys.argv[1], "--steps", "5")
run("pyramid", "train", sys.argv[1], "--run", "other", *small, "--pyramid", "1", "--norm", "batch")
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The output of each command, from a copy of the package with the cell added."""
    folder = tmp_path_factory.mktemp("extended")
    package = folder / "charrnn"
    shutil.copytree(Path(charrnn.__file__).parent, package)
    let_copy_be_imported(folder)
    shutil.copy(mgu.__file__, package / "models" / "cells" / "mgu.py")
    registry = package / "config" / "cells.py"
    lines = registry.read_text(encoding="utf-8")
    assert lines.count("\nCELLS = {\n") == 1
    registry.write_text(
        lines.replace("\nCELLS = {\n", f"\nCELLS = {{\n{mgu.REGISTRY_LINE}\n"), encoding="utf-8"
    )
    result = subprocess.run(
        [sys.executable, "-c", COMMANDS, TEXT],
        cwd=folder,
        env={**ENVIRONMENT, "PYTHONPATH": str(folder)},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, explain(result)
    found: dict[str, str] = json.loads(result.stdout)
    return found


def test_the_new_cell_is_offered(said: dict[str, str]) -> None:
    assert "mgu|lstm|gru|rnn|stack|list" in said["help"]


def test_an_interrupted_run_of_the_new_cell_resumes_and_ends_the_same(said: dict[str, str]) -> None:
    assert said["sample"] == said["sample of the whole"]
    assert len(said["sample"]) >= 50


def test_a_model_of_the_new_cell_is_used_in_every_way(said: dict[str, str]) -> None:
    assert "bits per character" in said["eval"]
    assert "mgu" in said["summary"]
    assert "forget" in said["gates"]
