"""The real program in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

SMALL = ("--hidden", "16", "--embedding", "8", "--layers", "1", "--window", "16", "--batch", "4")
"""Options of a model that trains in a moment."""

COMMAND = (sys.executable, "-m", "charrnn")

ENVIRONMENT = {
    **os.environ,
    "NO_COLOR": "1",
    "TERM": "dumb",
    "COLUMNS": "200",
    "OMP_NUM_THREADS": "1",
}
"""Environment variables of each process by default."""


def charrnn(
    *arguments: str | Path,
    cwd: Path,
    stdin: bytes | None = None,
    timeout: float = 120,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = COMMAND,
) -> subprocess.CompletedProcess[bytes]:
    """Run charrnn to its end in a folder, with some more variables in its environment."""
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=cwd,
        env={**ENVIRONMENT, **(environment or {})},
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[bytes]:
    """Start charrnn in a folder and do not wait for it."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def explain(result: subprocess.CompletedProcess[bytes]) -> str:
    """Return the exit code and output of a process, for a failing assertion."""
    return f"exit {result.returncode}\n{result.stdout.decode()}\n{result.stderr.decode()}"
