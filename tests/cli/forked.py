"""The real program, forked from a process that has imported torch, and what it said.

A process like any other, but for the seconds it takes to begin: for tests that need many.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from charrnn.cli.main import main
from tests.cli.program import _FORKS

_STREAMS = ("stdin", "stdout", "stderr")


def forked(
    *arguments: str, cwd: Path, stdin: bytes = b"", timeout: float = 120
) -> subprocess.CompletedProcess[bytes]:
    """Run charrnn to its end in a folder."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in _STREAMS]
        files[0].write_bytes(stdin)
        process = _FORKS.Process(target=_be_charrnn, args=(arguments, cwd, files))
        process.start()
        process.join(timeout)
        code = process.exitcode
        if code is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, timeout)
        _, stdout, stderr = (file.read_bytes() if file.exists() else b"" for file in files)
    return subprocess.CompletedProcess(arguments, code, stdout, stderr)


def _be_charrnn(arguments: tuple[str, ...], cwd: Path, files: list[Path]) -> None:
    for name, file in zip(_STREAMS, files, strict=True):
        handle = os.open(file, os.O_RDWR | os.O_CREAT)
        os.dup2(handle, getattr(sys, name).fileno())
    os.chdir(cwd)
    torch.set_num_threads(1)
    sys.argv = ["charrnn", *arguments]
    main()
