"""A run that is killed at any moment and resumed ends, bit for bit, like one that never was."""

import random
import signal
import time
from pathlib import Path

import pytest

from charrnn.checkpoint import Arrays, read_checkpoint, read_header
from tests.cli.program import fork
from tests.conftest import SENTENCES

STEPS = 300
LAST_KILL = 150
LONGEST_WAIT_SECONDS = 60.0

# Every kind of moment: an epoch has about twenty windows, so edges come often; thirty evaluations
# of a held-out half take about as long as the steps between them; saves come every few steps.
SETTINGS = (
    *("--hidden", "16", "--embedding", "8", "--window", "16", "--batch", "8", "--valid", "0.5"),
    *("--steps", str(STEPS), "--evaluations", "30", "--threads", "1"),
)
VARIANTS = {
    "lstm": ("--cell", "lstm"),
    "lstm-dropout": ("--cell", "lstm", "--dropout", "0.3"),
    "gru-dropout": ("--cell", "gru", "--dropout", "0.3"),
    "rnn": ("--cell", "rnn"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the corpus and, by the name of its variant, each uninterrupted run."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "corpus.txt").write_text("\n".join(SENTENCES * 30))
    return folder


def tensors(run: Path) -> Arrays:
    return read_checkpoint(run / "last.safetensors").arrays


def uninterrupted(folder: Path, variant: str) -> Arrays:
    run = folder / variant
    if not run.exists():
        complete(folder, "train", "corpus.txt", "--run", str(run), *SETTINGS, *VARIANTS[variant])
    return tensors(run)


def complete(folder: Path, *arguments: str) -> None:
    process = fork(*arguments, cwd=folder)
    process.join(LONGEST_WAIT_SECONDS)
    assert process.exitcode == 0


def kill_after(step: int, moment: float, folder: Path, run: Path, *arguments: str) -> None:
    """Start training, wait for a checkpoint of that step or later, then ``moment`` s, then kill."""
    last = run / "last.safetensors"
    process = fork("train", *arguments, "--save-every", "0.02", cwd=folder)
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while not (last.exists() and saved_step(last) >= step):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(moment)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def saved_step(last: Path) -> int:
    _, header = read_header(last)
    return int(header["progress"]["step"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(
    folder: Path, variant: str, seed: int
) -> None:
    expected = uninterrupted(folder, variant)
    run = folder / f"{variant}-{seed}"
    moments = random.Random(f"{variant} {seed}")
    new = ("corpus.txt", "--run", str(run), *SETTINGS, *VARIANTS[variant])
    again = ("--resume", "--run", str(run))
    first, second = sorted(moments.sample(range(LAST_KILL), 2))
    kill_after(first, moments.uniform(0, 0.03), folder, run, *new)
    kill_after(second, moments.uniform(0, 0.03), folder, run, *again)
    complete(folder, "train", "--resume", "--run", str(run))
    arrays = tensors(run)
    assert arrays.keys() == expected.keys()
    different = [name for name in expected if arrays[name].tobytes() != expected[name].tobytes()]
    assert not different
    best, whole_best = (
        read_checkpoint(path / "best.safetensors") for path in (run, folder / variant)
    )
    assert best.header["scores"]["step"] == whole_best.header["scores"]["step"]
    assert all((best.arrays[n] == whole_best.arrays[n]).all() for n in whole_best.arrays)
