"""Without torch installed a model can be used, and training says how to get it."""

import os
from pathlib import Path

import pytest

from tests.support import GOLDEN
from tests.support.networks import needs_library
from tests.support.program import charrnn

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.slow

MODEL = str(GOLDEN / "format-3" / "lstm-best.safetensors")
WORKS = {
    "sample": ["sample", MODEL, "--length", "20", "--seed", "1"],
    "play": ["play", MODEL, "--length", "5"],
    "eval": ["eval", MODEL, "-"],
    "score": ["score", MODEL, "-"],
    "verify": ["verify", MODEL],
    "summary": ["inspect", "summary", MODEL],
    "surprisal": ["inspect", "surprisal", MODEL, "-"],
    "neurons": ["inspect", "neurons", MODEL, "-", "--unit", "3"],
    "calibration": ["inspect", "calibration", MODEL, "-"],
    "corpus show": ["corpus", "show", "-"],
    "doctor": ["doctor"],
}
TAKES_TORCH = {
    "train": ["train", str(GOLDEN / "format-1" / "reeds.txt"), "--run", "r", "--steps", "3"],
    "gates": ["inspect", "gates", MODEL, "-"],
    "gradients": ["inspect", "gradients", MODEL, "-"],
    "dynamic": ["eval", MODEL, "-", "--dynamic"],
}


TEXT = b"the heron stood in the mist\n" * 9


def run(folder: Path, words: list[str]) -> tuple[int, str, str]:
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    result = charrnn(
        *words,
        cwd=folder,
        environment={"PYTHONPATH": f"{folder}{os.pathsep}{Path(__file__).parents[2]}"},
        stdin=TEXT,
    )
    return result.returncode, result.stdout.decode(), result.stderr.decode()


@needs_library
@pytest.mark.parametrize("title", WORKS)
def test_a_model_is_used_without_torch(tmp_path: Path, title: str) -> None:
    code, text, error = run(tmp_path, WORKS[title])
    assert (code, "torch" in error) == (0, False), error
    assert text
    if title == "doctor":
        assert "not installed: sample, play, eval, score" in text


@pytest.mark.parametrize("title", TAKES_TORCH)
def test_commands_that_take_torch_say_how_to_get_it(tmp_path: Path, title: str) -> None:
    code, text, error = run(tmp_path, TAKES_TORCH[title])
    assert (code, text) == (1, "")
    assert error.splitlines()[-1] == (
        "  Install it: pip install torch (a build for the CPU is enough)"
    )
