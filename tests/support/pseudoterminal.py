"""The real program, or a stream, on a pseudo-terminal."""

import io
import os
import pty
import subprocess
import sys
import termios
import threading
import tty
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from charrnn.cli.entry import main
from tests.support.forked import FORKS
from tests.support.program import COMMAND, ENVIRONMENT


class Seen:
    """The bytes written to a pseudo-terminal, complete once it is closed."""

    data = b""


@contextmanager
def pseudoterminal(columns: int = 0) -> Iterator[tuple[int, Seen]]:
    """A terminal to write to, which changes nothing of what it is written, and what it saw.

    One that does not tell its columns is shown no bar.
    """
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    termios.tcsetwinsize(theirs, (40 if columns else 0, columns))
    seen = Seen()
    # A terminal that is closed before it is read empty may lose what it holds, so its reader is
    # told by a last word that everything has come.
    last_word = uuid.uuid4().hex.encode()

    def look() -> None:
        data = bytearray()
        while data.find(last_word, -(1 << 17)) < 0:
            data += os.read(ours, 1 << 16)
        seen.data = bytes(data.partition(last_word)[0])

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield theirs, seen
    finally:
        os.write(theirs, last_word)
        looking.join(timeout=60)
        assert not looking.is_alive(), "the terminal never came to an end"
        os.close(theirs)
        os.close(ours)


@contextmanager
def terminal_stream(encoding: str = "utf-8") -> Iterator[tuple[io.TextIOWrapper, Seen]]:
    """A text stream into a terminal, set up as the program sets up its own."""
    with pseudoterminal() as (terminal, seen):
        raw = io.FileIO(terminal, "w", closefd=False)
        stream = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding, errors="backslashreplace", newline=""
        )
        yield stream, seen
        stream.close()


def forked_onto_a_terminal(
    folder: Path, *arguments: str, timeout: float = 120, columns: int = 0
) -> subprocess.CompletedProcess[bytes]:
    """As :func:`through_a_terminal`, forked from a process that has imported torch."""
    with pseudoterminal(columns) as (terminal, seen):
        process = FORKS.Process(target=_be_charrnn, args=(arguments, folder, os.ttyname(terminal)))
        process.start()
        process.join(timeout)
        code = process.exitcode
        if code is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, timeout)
    return subprocess.CompletedProcess(arguments, code, seen.data, b"")


def _be_charrnn(arguments: tuple[str, ...], folder: Path, terminal: str) -> None:
    handle = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        os.dup2(handle, number)
        setattr(sys, name, os.fdopen(number, mode, closefd=False, encoding="utf-8"))
    os.close(handle)
    os.chdir(folder)
    os.environ.update(NO_COLOR="1", TERM="dumb", COLUMNS="200")
    torch.set_num_threads(1)
    sys.argv = ["charrnn", *arguments]
    main()


def through_a_terminal(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the program with all its streams on a terminal; what it showed is its stdout."""
    with pseudoterminal() as (terminal, seen):
        process = subprocess.run(
            [*COMMAND, *arguments],
            cwd=folder,
            env={**ENVIRONMENT, **(environment or {})},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            timeout=120,
            check=False,
        )
    return subprocess.CompletedProcess(process.args, process.returncode, seen.data, b"")
