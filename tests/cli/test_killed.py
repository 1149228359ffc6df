"""A run that is killed at any moment and resumed ends, bit for bit, like one that never was."""

import random
import time
from pathlib import Path

import pytest

from charrnn.checkpoint import Arrays, read_checkpoint
from tests.cli.program import charrnn, explain, start
from tests.conftest import SENTENCES

STEPS = 150
LONGEST_WAIT_SECONDS = 60.0

# Every kind of moment: an epoch has 18 windows, so edges come often; thirty evaluations of a
# held-out half take about as long as the steps between them; saves come every few steps.
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
        arguments = ("train", "corpus.txt", "--run", str(run), *SETTINGS, *VARIANTS[variant])
        result = charrnn(*arguments, cwd=folder)
        assert result.returncode == 0, explain(result)
    return tensors(run)


def kill_at_random(folder: Path, run: Path, arguments: tuple[str, ...], moment: float) -> None:
    """Start training, wait for a checkpoint of this process, then ``moment`` seconds, then kill."""
    last = run / "last.safetensors"
    before = last.stat().st_mtime_ns if last.exists() else None
    with start("train", *arguments, "--save-every", "0.02", cwd=folder) as process:
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if last.exists() and last.stat().st_mtime_ns != before:
                break
            time.sleep(0.005)
        time.sleep(moment)
        process.kill()


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
    kill_at_random(folder, run, new, moments.uniform(0, 1.2))
    kill_at_random(folder, run, ("--resume", "--run", str(run)), moments.uniform(0, 0.8))
    finished = charrnn("train", "--resume", "--run", run, cwd=folder)
    assert finished.returncode == 0, explain(finished)
    arrays = tensors(run)
    assert arrays.keys() == expected.keys()
    different = [name for name in expected if arrays[name].tobytes() != expected[name].tobytes()]
    assert not different
    best, whole_best = (
        read_checkpoint(path / "best.safetensors") for path in (run, folder / variant)
    )
    assert best.header["scores"]["step"] == whole_best.header["scores"]["step"]
    assert all((best.arrays[n] == whole_best.arrays[n]).all() for n in whole_best.arrays)
