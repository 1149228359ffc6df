"""A signal gets through where what is raised would not."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SIGNALLED = "import os, signal\nos.kill(os.getpid(), signal.{name})\n"
INSTALLED = "from charrnn.cli import signals\nsignals.install()\n"


def run(code: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    path = [str(Path(__file__).parents[2]), str(folder)]
    return subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path[:0] = {path}\n{INSTALLED}{code}"],
        capture_output=True,
        check=False,
        timeout=60,
    )


both_signals = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@both_signals
def test_a_module_that_catches_everything_does_not_catch_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    body = SIGNALLED.format(name=number.name).replace("\n", "\n    ")
    (tmp_path / "greedy.py").write_text(f"try:\n    {body}\nexcept BaseException:\n    pass\n")
    result = run("import greedy\n", tmp_path)
    assert (result.returncode, result.stderr) == (128 + number, b"")


@both_signals
def test_a_signal_in_a_finalizer_is_not_lost(tmp_path: Path, number: signal.Signals) -> None:
    body = SIGNALLED.format(name=number.name).replace("\n", "\n        ")
    result = run(f"class Last:\n    def __del__(self):\n        {body}\nLast()\n", tmp_path)
    assert (result.returncode, result.stderr) == (128 + number, b"")
