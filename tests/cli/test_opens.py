"""Each file of a run is read once, whatever a command says of it."""

import subprocess
import sys
from pathlib import Path

import pytest

import charrnn

# Runs charrnn and prints how often it opened each file of interest.
COUNTED = """
import collections, os, sys
opened = collections.Counter()
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        opened[os.path.basename(os.fsdecode(arguments[0]))] += 1
sys.addaudithook(watch)
from charrnn.cli.main import run
sys.stdout = open(os.devnull, "w")
assert run() == 0
print(*(opened[name] for name in ("herons.txt", "last.safetensors", "best.safetensors")),
      file=sys.stderr)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    text = folder / "herons.txt"
    text.write_text("The heron stood in the ford and counted what went by.\n" * 60)
    charrnn.train(text, run=folder / "runs/herons", layers=1, hidden=8, steps=4)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["eval", "runs/herons"],
        ["sample", "runs/herons", "--novelty", "--length", "50"],
        pytest.param(["report", "runs/herons"], marks=pytest.mark.slow),
    ],
    ids=lambda command: command[0],
)
def test_the_text_and_the_checkpoints_are_opened_once(folder: Path, command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stderr.splitlines()[-1:] == ["1 1 1"], done.stderr
