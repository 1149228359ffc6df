"""Nothing that a file holds is run: every command on a checkpoint, watched by the interpreter."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.forked import Forked
from tests.support.program import explain

# What a module's own import runs is the program. Beside it, the standard library evaluates the
# annotations of functions and makes the methods of dataclasses.
WATCHED = """
import sys

NEVER = {
    "pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.spawn", "os.posix_spawn",
    "os.fork", "os.forkpty", "socket.connect", "urllib.Request",
}
MAY_EXECUTE = {"typing", "inspect", "dataclasses", "collections"}


def watch(event, arguments):
    if event in NEVER:
        raise SystemExit(f"{event}: {arguments!r:.200}")
    if event in ("exec", "compile", "marshal.loads"):
        caller = sys._getframe(1)
        if caller.f_globals.get("__name__") not in MAY_EXECUTE and not is_import(caller):
            raise SystemExit(f"{event} in {caller.f_code.co_filename}")


def is_import(frame):
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


sys.addaudithook(watch)
"""


def watch() -> None:
    """Make the process exit at the first forbidden event."""
    exec(WATCHED, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("sample", "--length", "20"),
        ("sample", "--length", "20", "--device", "auto"),
        ("eval",),
        ("eval", "runs/herons", "herons.txt", "--dynamic"),
        ("verify",),
        ("inspect", "gates"),
        ("train", "--resume", "runs/herons", "herons.txt"),
        ("train", "herons.txt", "--run", "other", "--steps", "3", "--hidden", "8"),
    ],
    ids=" ".join,
)
def test_no_command_unpickles_or_executes_anything(
    trained: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    result = Forked(*arguments, cwd=tmp_path, first=watch).result()
    assert result.returncode == 0, explain(result)


@pytest.mark.parametrize(
    ("code", "event"),
    [
        ("import pickle; pickle.loads(pickle.dumps(print))", "pickle.find_class"),
        ("eval('1 + 1')", "compile"),
        ("exec('1')", "compile"),
        ("import marshal; marshal.loads(marshal.dumps(1))", "marshal.loads"),
        ("import os; os.system('true')", "os.system"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("import os; os.execv('/bin/true', ['true'])", "os.exec"),
        ("import os; os.fork()", "os.fork"),
    ],
)
def test_the_watch_would_see_it(tmp_path: Path, code: str, event: str) -> None:
    program = [sys.executable, "-c", WATCHED + code]
    result = subprocess.run(program, cwd=tmp_path, capture_output=True, check=False)
    assert result.returncode == 1, explain(result)
    assert result.stderr.decode().startswith(event)
