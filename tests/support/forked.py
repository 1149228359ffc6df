"""The real program, forked from a process that has imported torch, and what it said.

A process like any other, but for the seconds it takes to begin: for tests that need many.
"""

import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import torch

from charrnn.cli.entry import main
from tests.support.program import ENVIRONMENT

_STREAMS = ("stdin", "stdout", "stderr")

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.support.preloaded"])
"""Makes processes that have torch and all of charrnn from the beginning."""

_SECONDS_TO_TELL = 2
"""Seconds for a stuck process to write its stack to standard error."""


class Forked:
    """charrnn in a process of its own, in a folder.

    Args:
        arguments: its command line.
        cwd: the folder.
        stdin: what comes through a pipe to its standard input; None is nothing and no pipe.
        environment: more variables than those of every program in the tests.
        first: called in the process before the program.
    """

    def __init__(
        self,
        *arguments: str | Path,
        cwd: Path,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        first: Callable[[], object] | None = None,
    ) -> None:
        self.arguments = tuple(map(str, arguments))
        self._folder = tempfile.TemporaryDirectory()
        self._files = [Path(self._folder.name, name) for name in _STREAMS]
        if stdin is None:
            self._files[0] = Path(os.devnull)
        else:
            os.mkfifo(self._files[0])
            threading.Thread(target=_feed, args=(self._files[0], stdin), daemon=True).start()
        variables = {**ENVIRONMENT, **(environment or {})}
        self._process = FORKS.Process(
            target=_be_charrnn, args=(self.arguments, cwd, self._files, variables, first)
        )
        self._process.start()

    @property
    def running(self) -> bool:
        """True until the process has ended."""
        return self._process.is_alive()

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self._process.pid is not None and self.running:
            with suppress(ProcessLookupError):  # It may end between the look and the signal.
                os.kill(self._process.pid, number)

    def result(self, timeout: float = 120) -> subprocess.CompletedProcess[bytes]:
        """Wait for its end; a process that a signal ended has the signal, negative, as its code.

        Raises:
            subprocess.TimeoutExpired: it did not end, and was killed; with where it was stuck.
        """
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            self.signal(signal.SIGUSR1)
            self._process.join(_SECONDS_TO_TELL)
            self._process.kill()
            self._process.join()
            late = subprocess.TimeoutExpired(self.arguments, timeout)
            late.add_note(self._files[2].read_text("utf-8", "replace"))
            self._folder.cleanup()
            raise late
        stdout, stderr = (file.read_bytes() if file.exists() else b"" for file in self._files[1:])
        self._folder.cleanup()
        return subprocess.CompletedProcess(self.arguments, code, stdout, stderr)


def forked(
    *arguments: str | Path,
    cwd: Path,
    stdin: bytes | None = None,
    timeout: float = 120,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run charrnn to its end in a folder."""
    return Forked(*arguments, cwd=cwd, stdin=stdin, environment=environment).result(timeout)


def _feed(pipe: Path, content: bytes) -> None:
    with suppress(BrokenPipeError):
        pipe.write_bytes(content)


def _be_charrnn(
    arguments: tuple[str, ...],
    cwd: Path,
    files: list[Path],
    variables: Mapping[str, str],
    first: Callable[[], object] | None,
) -> None:
    for name, file in zip(_STREAMS, files, strict=True):
        handle = os.open(file, os.O_RDONLY if name == "stdin" else os.O_RDWR | os.O_CREAT)
        os.dup2(handle, getattr(sys, name).fileno())
        os.close(handle)
    faulthandler.register(signal.SIGUSR1)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(variables)
    torch.set_num_threads(1)
    if first:
        first()
    sys.argv = ["charrnn", *arguments]
    main()
