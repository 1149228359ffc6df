"""Sources that are no text, have no end or a strange name: used, or refused in a line."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.data.catalogue import locate_source
from charrnn.errors import CorpusError
from tests.robustness.strange import obeyed
from tests.support.forked import forked
from tests.support.program import SMALL, explain

SHORT = ("--steps", "2", *SMALL)
LONG = "long" * 100


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A folder with a text, the model ``herons`` and things that are no texts."""
    (tmp_path / "runs").symlink_to(trained / "runs")
    (tmp_path / "herons.txt").symlink_to(trained / "herons.txt")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "empty").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.open(tmp_path, os.O_RDONLY)
        # The system takes short paths for sockets only.
        listening.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    return tmp_path


def refusal(*arguments: str, folder: Path, stdin: bytes = b"", code: int = 3) -> str:
    """Return the program's refusal, a line or two."""
    result = forked(*arguments, cwd=folder, stdin=stdin)
    said = result.stderr.decode()
    assert result.returncode == code, explain(result)
    assert said.startswith("charrnn: ")
    assert said.count("\n") <= 2
    assert not obeyed(said)
    assert result.stdout == b""
    return said


COMMANDS = [
    ("train",),
    ("eval", "herons"),
    ("inspect", "gates", "herons"),
    ("inspect", "calibration", "herons"),
    ("eval",),
]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("socket", "cannot be read: No such device"),
        ("loop", "cannot be read: Too many levels"),
        ("empty", "holds no text files"),
        ("herons.txt/x", "cannot be read: Not a directory"),
        (LONG, "cannot be read: File name too long"),
        ("/dev/null", "0 characters"),
    ],
    ids=lambda word: word[:12],
)
def test_what_is_no_text_is_refused(
    folder: Path, command: tuple[str, ...], source: str, reason: str
) -> None:
    assert reason in refusal(*command, source, folder=folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["...x", ".latest", "..x", "...", ".x.txt"])
def test_no_name_puts_a_run_out_of_its_place(folder: Path, tmp_path: Path, name: str) -> None:
    here = tmp_path / "apart"
    here.mkdir()
    (here / name).write_text("the heron stood in the ford; " * 20)
    result = forked("train", *SHORT, "--", name, cwd=here)
    assert result.returncode == 0, explain(result)
    assert {file.name for file in here.iterdir()} == {name, "runs"}
    run, lock, latest = sorted((here / "runs").iterdir(), reverse=True)
    assert (latest.name, latest.is_file()) == (".latest", True)
    assert (lock.name, run.is_dir()) == (".latest.lock", True)
    assert not run.name.startswith(".")
    for arguments in (("train", "--resume"), ("eval",), ("sample", "--length", "3")):
        assert forked(*arguments, cwd=here).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["-x.txt", "--help", "[red]x[", "[bold]", " ", "a\nb.txt", "x\udcff.txt", "\x1b[2J"]
)
def test_a_text_of_any_name_is_trained_on_and_scored(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("the heron stood in the ford; " * 20)
    for arguments in (
        ("train", *SHORT, "--", name),
        ("train", "--resume"),
        ("eval", "--", name),
        ("eval",),
    ):
        result = forked(*arguments, cwd=tmp_path)
        assert result.returncode == 0, explain(result)
        assert not obeyed((result.stdout + result.stderr).decode())


def test_a_missing_text_beside_files_that_may_not_be_listed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    # The tests may run as root, who may list everything.
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(CorpusError, match="there is no such file or folder"):
        locate_source(str(tmp_path / "gone.txt"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "/dev/zero"), "/dev/zero: repeats the same byte for 1.0 MiB"),
        (("train", "-", "--bytes"), "standard input: repeats the same byte for 1.0 MiB"),
        (("train", "/dev/urandom", "--bytes"), "/dev/urandom: looks random for 1.0 MiB"),
        (("eval", "herons", "/dev/urandom"), "/dev/urandom: byte "),
        (("eval", "herons", "-"), "standard input: repeats the same byte for 1.0 MiB"),
    ],
    ids=str,
)
def test_a_text_without_an_end_is_refused_by_its_first_bytes(
    trained: Path, arguments: tuple[str, ...], said: str
) -> None:
    with Path("/dev/zero").open("rb") as zeros:
        result = subprocess.run(
            [sys.executable, "-m", "charrnn", *arguments],
            cwd=trained,
            stdin=zeros,
            capture_output=True,
            timeout=120,
            check=False,
        )
    assert result.returncode == 3, explain(result)
    assert result.stderr.startswith(f"charrnn: {said}".encode()), explain(result)


@pytest.mark.slow
def test_a_prime_without_an_end_is_refused(trained: Path) -> None:
    with Path("/dev/zero").open("rb") as zeros:
        result = subprocess.run(
            [sys.executable, "-m", "charrnn", "sample", "--prime", "-"],
            cwd=trained,
            stdin=zeros,
            capture_output=True,
            timeout=120,
            check=False,
        )
    assert result.returncode == 3, explain(result)
    assert result.stderr.startswith(b"charrnn: standard input: more than 16,777,216 bytes")
