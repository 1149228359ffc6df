"""What a person waits for: ``python -m tests.benchmarks.waits [WORD]...``.

Every command on the bundled tales, timed as a whole process on a terminal: cold, then warm; those
whose line holds one of the words, or all.

Cold is the first use after the files of Python's library, of its packages and of charrnn have left
the system's page cache (posix_fadvise, which leaves in it what another process has mapped, and
knows nothing of a disk's own cache), and with an empty home folder: what is kept there is made
anew.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import statistics
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import charrnn

ROUNDS = 5
_SECONDS_WITHOUT_A_BAR = 3.0
_ROWS, _COLUMNS = 40, 100
_BAR = re.compile(rb"\r[^\r\n]*\d%[^\r\n]*\|")
_MINUTES = "0.8"
_NOT_A_USERS = ("XDG_", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
"""Beginnings of environment variables under which the program starts otherwise than for a user."""

# Runs the program as its entry point does, and ends it at the first step of training.
_TO_THE_FIRST_STEP = """
import os
from charrnn.cli import entry, progress

show = progress.TrainingView.show

def show_until_step(view, event):
    if type(event).__name__ == "Step":
        os._exit(0)
    show(view, event)

progress.TrainingView.show = show_until_step
entry.main()
"""


@dataclass(frozen=True)
class Wait:
    """A command, as a person types it.

    Attributes:
        line: its arguments.
        code: the exit code that it must end with.
        typed: what is on its standard input, if that is no terminal.
        first_step: True to end it at the first step of training.
    """

    line: str
    code: int = 0
    typed: str | None = None
    first_step: bool = False

    @property
    def name(self) -> str:
        typed = "" if self.typed is None else "echo | "
        return f"{typed}charrnn {self.line}{', to the first step' * self.first_step}"


WAITS = (
    Wait("", code=2),
    Wait("--help"),
    Wait("--version"),
    Wait("train --help"),
    Wait("train tales --run runs/first --overwrite", first_step=True),
    Wait("train --resume runs/first", first_step=True),
    Wait("train tales --steps 1 --run runs/one --overwrite"),
    Wait("sample demo --length 1"),
    Wait("sample demo"),
    Wait("sample demo --count 64"),
    Wait("sample demo --length 5000 --novelty"),
    Wait("play demo", typed="Once\n"),
    Wait("eval demo"),
    Wait("eval demo --no-baselines"),
    Wait("eval demo --dynamic"),
    Wait("eval demo tales.txt"),
    Wait("score demo"),
    Wait("score demo tales.txt"),
    Wait("score demo tales.txt --by character"),
    Wait("corpus list"),
    Wait("corpus show tales"),
    Wait("corpus export tales -o copy.txt --overwrite"),
    Wait("inspect demo"),
    Wait("inspect surprisal demo"),
    Wait("inspect neurons demo"),
    Wait("inspect gradients demo"),
    Wait("inspect gates demo"),
    Wait("compare demo other"),
    Wait("report demo"),
    Wait("verify demo"),
    Wait("doctor"),
    Wait("guide"),
    Wait("guide training"),
    Wait("train missing.txt", code=3),
    Wait("train tales.txt missing.txt", code=3),
    Wait("train --resume missing", code=4),
    Wait("sample missing", code=4),
    Wait("eval demo missing.txt", code=3),
    Wait("score demo missing.txt", code=3),
)


@dataclass
class Seen:
    """Figures of a command that has ended.

    Attributes:
        seconds: from start to end.
        first: seconds until something was shown.
        quiet: the longest time in seconds in which nothing was shown.
        processor: seconds of processor time.
        megabytes: megabytes read from the disk.
        output: the bytes that the terminal was sent.
    """

    seconds: float = 0.0
    first: float = 0.0
    quiet: float = 0.0
    processor: float = 0.0
    megabytes: float = 0.0
    output: bytes = field(default=b"", repr=False)


@contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (_ROWS, _COLUMNS))
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        with suppress(OSError):
            os.close(theirs)


def run(wait: Wait, folder: Path, home: Path) -> Seen:
    """Run a command to its end on a terminal, and time what it shows."""
    program = ["-c", _TO_THE_FIRST_STEP] if wait.first_step else ["-m", "charrnn"]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(_NOT_A_USERS)},
        "HOME": str(home),
        "TERM": "xterm-256color",
    }
    with _terminal() as (ours, theirs):
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *program, *wait.line.split()],
            cwd=folder,
            env=environment,
            stdin=theirs if wait.typed is None else subprocess.PIPE,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        if process.stdin:
            process.stdin.write((wait.typed or "").encode())
            process.stdin.close()
        moments, output = [started], bytearray()
        while shown := _read(ours):
            moments.append(time.perf_counter())
            output += shown
        _, status, usage = os.wait4(process.pid, 0)
        moments.append(time.perf_counter())
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != wait.code:
        raise SystemExit(f"{wait.name}: exit code {process.returncode}\n{output.decode()}")
    return Seen(
        seconds=moments[-1] - started,
        first=moments[1] - started,
        quiet=max(later - sooner for sooner, later in pairwise(moments)),
        processor=usage.ru_utime + usage.ru_stime,
        megabytes=usage.ru_inblock * 512 / 1e6,
        output=bytes(output),
    )


def _read(terminal: int) -> bytes:
    """Read what has been shown; empty once the last process has closed the terminal."""
    select.select([terminal], [], [])
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


def forget_files() -> None:
    """Ask the system to drop the files of Python, its packages and charrnn from its page cache."""
    folders = {Path(place) for place in sys.path if place} | {Path(charrnn.__file__).parent}
    for folder in folders:
        for path in folder.rglob("*") if folder.is_dir() else ():
            with suppress(OSError):
                handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                try:
                    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(handle)


def prepare(folder: Path, home: Path) -> None:
    """Train the run that the demo trains, and another one; export the text."""
    shown = run(Wait(f"train tales --minutes {_MINUTES} --run runs/demo"), folder, home)
    say(
        f"charrnn train tales --minutes {_MINUTES}: {shown.seconds:.1f} s, first output after "
        f"{shown.first:.2f} s, never quiet for more than {shown.quiet:.2f} s\n"
    )
    run(Wait("train tales --steps 2 --run runs/other"), folder, home)
    run(Wait("corpus export tales -o tales.txt"), folder, home)


def measure(waits: Sequence[Wait], folder: Path) -> None:
    """Print the table of some commands."""
    home = folder / "home"
    cold = {}
    for wait in waits:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        forget_files()
        cold[wait] = run(wait, folder, home)
    warm: dict[Wait, list[Seen]] = {wait: [] for wait in waits}
    for _ in range(ROUNDS):
        for wait in waits:
            warm[wait].append(run(wait, folder, home))
    width = max(len(wait.name) for wait in waits)
    say(f"{'':{width}}    cold  MB read    warm (least to most)     first    quiet  processor  bar")
    for wait, seen in warm.items():
        seconds = [one.seconds for one in seen]
        first, quiet, processor = (
            statistics.median(getattr(one, figure) for one in seen)
            for figure in ("first", "quiet", "processor")
        )
        bar = "bar" if any(_BAR.search(one.output) for one in seen) else ""
        mark = "  <- too long" if quiet > _SECONDS_WITHOUT_A_BAR and not bar else ""
        say(
            f"{wait.name:{width}}  {cold[wait].seconds:6.2f}  {cold[wait].megabytes:7.0f}  "
            f"{statistics.median(seconds):6.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
            f"  {first:8.2f} {quiet:8.2f} {processor:10.2f}  {bar}{mark}"
        )


def describe_machine() -> str:
    """Processor, threads and torch, in one line; in a process of its own, which maps torch."""
    ask = "from tests.benchmarks.measure import describe_machine as d; print(d())"
    return subprocess.run(
        [sys.executable, "-c", ask], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    words = sys.argv[1:]
    say(f"{describe_machine()}; seconds, medians of {ROUNDS}")
    with TemporaryDirectory() as place:
        prepare(Path(place), Path(place))
        measure(
            [w for w in WAITS if not words or any(map(w.name.__contains__, words))], Path(place)
        )
