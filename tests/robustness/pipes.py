"""Programs whose readers leave before they have said everything."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

from tests.robustness.life import SETTINGS, train_in
from tests.support.program import COMMAND, ENVIRONMENT

_COMMANDS = (
    ("sample", "run", "--length", "100000"),
    ("sample", "run", "--length", "100", "--count", "50", "--json"),
    ("eval", "run"),
    ("eval", "run", "--json"),
    ("inspect", "gradients", "run", "--steps", "5"),
    ("train", "corpus.txt", "--overwrite", *SETTINGS, "--show-samples"),
    ("doctor",),
    ("--help",),
    ("train", "--help"),
    ("--version",),
)
_MOST_BYTES = 2000
_STREAMS: dict[str, dict[str, int]] = {
    "standard output": {"stdout": subprocess.PIPE},
    "standard error": {"stderr": subprocess.PIPE},
    "both": {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT},
}


def close_pipes(count: int, seed: int) -> Iterator[str | None]:
    """Trials of commands whose standard output or error is closed after some bytes were read."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        train_in(folder)
        for number in range(count):
            chance = random.Random(f"{seed} {number}")
            command = _COMMANDS[number % len(_COMMANDS)]
            which = chance.choice(tuple(_STREAMS))
            wanted = chance.choice((0, 1, chance.randrange(_MOST_BYTES)))
            code, said = _close(command, which, wanted, folder)
            # Whoever closes its standard error still gets the result; and progress is no complaint.
            as_ever = bool(said) if which == "standard error" else not said
            if command[0] == "train" and which == "standard output":
                as_ever = b"Traceback" not in said and b"rror" not in said
            how = f"{' '.join(command)}, {which} closed after {wanted} bytes, number {number}"
            yield None if code == 0 and as_ever else f"{how}: exit {code}\n{said.decode()[-500:]}"


def _close(command: tuple[str, ...], which: str, wanted: int, folder: Path) -> tuple[int, bytes]:
    """Run a command and close what it writes to; its exit code, and what it said elsewhere."""
    with TemporaryFile() as elsewhere:
        streams: dict[str, Any] = {"stdout": elsewhere, "stderr": elsewhere, **_STREAMS[which]}
        process = subprocess.Popen(
            [*COMMAND, *command], cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL, **streams
        )
        pipe = process.stdout or process.stderr
        assert pipe is not None
        pipe.read(wanted)
        pipe.close()
        code = process.wait(timeout=120)
        elsewhere.seek(0)
        return code, elsewhere.read()
