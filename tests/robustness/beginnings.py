"""Programs that are interrupted while they begin.

Where they are is told by Python itself, which is made to say of each module that it is imported.
"""

import itertools
import random
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from charrnn.cli import signals
from tests.robustness.life import SETTINGS, train_in
from tests.support.program import COMMAND, ENVIRONMENT, explain

_IMPORTING = b"import time:"
_IN_HAND = b"charrnn.cli.signals"
_COMMANDS = (
    ("--help",),
    ("train", "corpus.txt", "--overwrite", *SETTINGS),
    ("sample", "run"),
    ("eval", "run"),
)


def interrupt_imports(count: int, seed: int) -> Iterator[str | None]:
    """Trials of programs that are interrupted after any module that they import."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        train_in(folder)
        left = count
        for number in itertools.count():
            chance = random.Random(f"{seed} {number}")
            command = _COMMANDS[number % len(_COMMANDS)]
            after = chance.randrange(1, _count_imports(command, folder))
            sent = chance.choice(signals.SIGNALS)
            result = _interrupt_import(command, after, sent, folder)
            if result.returncode == 0:
                continue
            how = f"{' '.join(command)}, {sent.name} after module {after} of the program"
            kept = result.returncode == 128 + sent and b"Traceback" not in result.stderr
            yield None if kept else f"{how}: {explain(result)}"
            left -= 1
            if not left:
                return


@cache
def _count_imports(command: tuple[str, ...], folder: Path) -> int:
    """The modules that a command imports once signals are in hand."""
    process = _tell_imports(command, folder)
    _, err = process.communicate(timeout=120)
    return err.partition(_IN_HAND)[2].count(_IMPORTING)


def _interrupt_import(
    command: tuple[str, ...], after: int, number: int, folder: Path
) -> subprocess.CompletedProcess[bytes]:
    """Run a command until so many modules were imported, and send it a signal then."""
    process = _tell_imports(command, folder)
    assert process.stderr is not None
    seen = -1
    said = []
    for line in process.stderr:
        if _IMPORTING not in line:
            said.append(line)
        elif seen >= 0 or _IN_HAND in line:
            seen += 1
            if seen == after:
                process.send_signal(number)
    out, _ = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, out, b"".join(said))


def _tell_imports(command: tuple[str, ...], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [COMMAND[0], "-X", "importtime", *COMMAND[1:], *command],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
