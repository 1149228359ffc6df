"""The program in this process, on a disk of the caller's choice, and small runs for it to make."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from charrnn.checkpoints.checkpoint import Checkpoint, read_checkpoint
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.cli.main import app
from charrnn.files import Disk
from charrnn.training import session
from tests.conftest import SENTENCES
from tests.support.disks import HurriedDisk

RUN = RunDirectory(Path("runs/tried"))
"""The run that is tried, from the current folder."""

STEPS = 12
_SETTINGS = (
    *("--hidden", "8", "--embedding", "4", "--layers", "1", "--window", "8", "--batch", "4"),
    *("--steps", str(STEPS), "--evaluations", "4", "--valid", "0.2", "--threads", "1"),
)
RESUME = ("train", "--resume", "--run", str(RUN.path), "--save-every", "0")
"""Goes on with the run."""


@dataclass(frozen=True)
class Plan:
    """A run to be made: text from a pipe, and a seed to tell it by.

    Attributes:
        seed: of its weights.
        text: what it learns.
        options: of its command.
    """

    seed: int
    text: bytes
    options: tuple[str, ...] = ()

    def train(self, *options: str) -> tuple[str, ...]:
        """The command that begins it, and saves after each step."""
        named = ("train", "-", "--run", str(RUN.path), "--seed", str(self.seed))
        return (*named, "--save-every", "0", *_SETTINGS, *self.options, *options)


PLANS = (
    Plan(1, "\n".join(SENTENCES * 2).encode()),
    Plan(2, "\n".join(reversed(SENTENCES * 3)).encode()),
)
"""A run, and another one that replaces it."""

WIDE = Plan(3, PLANS[0].text, ("--hidden", "64"))
"""A run whose files consist mostly of weights."""


@dataclass(frozen=True)
class Ended:
    """The end of a call of the program.

    Attributes:
        code: its exit code.
        said: on stderr.
    """

    code: int
    said: str


def charrnn(*arguments: str, folder: Path, disk: Disk | None = None, stdin: bytes = b"") -> Ended:
    """Run the program in a folder until it ends or an exception escapes it."""
    said = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(io.StringIO()),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
        # The machine's speed decides nothing here, and takes long to measure.
        mock.patch.object(session, "measure_products_per_second", return_value=1e9),
        on(disk or HurriedDisk()),
    ):
        code = app(list(arguments), standalone_mode=False)
    return Ended(code or 0, said.getvalue())


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder, in memory if the system offers that."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@contextlib.contextmanager
def on(disk: Disk) -> Iterator[None]:
    """Keep all files on this disk within the context."""
    with mock.patch("charrnn.files.disk", disk):
        yield


def made(plan: Plan, folder: Path) -> None:
    """Make a run from its beginning to its end."""
    ended = charrnn(*plan.train(), folder=folder, stdin=plan.text)
    if ended.code:
        raise AssertionError(ended.said)


def end_of(folder: Path) -> tuple[object, ...]:
    """Return all facts of the finished run in a folder that two equal runs have in common."""
    last, best = (read_checkpoint(folder / file) for file in (RUN.last, RUN.best))
    scores = best.header["scores"]
    return (
        last.header["progress"]["step"],
        _bytes_of(last),
        scores["step"],
        scores["valid_nats_per_char"],
        _bytes_of(best),
        [record["step"] for record in RunDirectory(folder / RUN.path).records()],
    )


def _bytes_of(checkpoint: Checkpoint) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in checkpoint.arrays.items()}
