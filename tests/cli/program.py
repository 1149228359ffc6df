"""The real program in a process of its own."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from charrnn.cli.main import main

SMALL = ("--hidden", "16", "--embedding", "8", "--layers", "1", "--window", "16", "--batch", "4")
"""Options of a model that trains in a moment."""

COMMAND = (sys.executable, "-m", "charrnn")

_ENVIRONMENT = {
    **os.environ,
    "NO_COLOR": "1",
    "TERM": "dumb",
    "COLUMNS": "200",
    "OMP_NUM_THREADS": "1",
}


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
        env={**_ENVIRONMENT, **(environment or {})},
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
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["charrnn.cli.runner", "torch._dynamo"])


def fork(*arguments: str, cwd: Path) -> BaseProcess:
    """Start charrnn in a folder, forked from a process that has imported torch already.

    A process like any other, but for the seconds it takes to begin: for tests that need many.
    """
    process = _FORKS.Process(target=_be_charrnn, args=(arguments, cwd))
    process.start()
    return process


def _be_charrnn(arguments: tuple[str, ...], cwd: Path) -> None:
    os.chdir(cwd)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream.fileno())
    sys.argv = ["charrnn", *arguments]
    main()


def explain(result: subprocess.CompletedProcess[bytes]) -> str:
    """What a process said, for a failing assertion."""
    return f"exit {result.returncode}\n{result.stdout.decode()}\n{result.stderr.decode()}"
