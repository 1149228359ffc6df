"""Errors of the system end every command with a line and an exit code, never with a traceback."""

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from charrnn.cli import guide
from charrnn.cli.main import run
from charrnn.cli.play.input import PipedLines, find_history_file
from charrnn.errors import CorpusError
from tests.cli.test_manners import EVERYTHING
from tests.support.program import SMALL, charrnn, explain
from tests.test_folders import homeless

__all__ = ["homeless"]

every_command = pytest.mark.parametrize(
    "words",
    [words for words, found in EVERYTHING.items() if not hasattr(found, "commands")],
    ids=" ".join,
)


class Program:
    """The program in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capsys = monkeypatch, capsys
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Run it, and return its exit code and what it said on stdout and stderr."""
        self._patch.setattr(sys, "argv", ["charrnn", *arguments])
        code = run()
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(monkeypatch, capsys)


@pytest.mark.parametrize("words", EVERYTHING, ids=lambda words: " ".join(words) or "charrnn")
def test_help_to_a_full_disk_is_told(
    program: Program, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code, _, said = program(*words, "--help")
    assert code == 7
    assert said.startswith("charrnn: standard output could not be written: No space left")


@pytest.mark.parametrize(
    "arguments", [("--version",), ("--show-completion",), ("guide",), ("corpus", "list")]
)
def test_what_is_shown_without_a_model_to_a_full_disk_is_told(
    program: Program, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SHELL", "/bin/bash")
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code, _, said = program(*arguments)
    assert code == 7
    assert said.startswith("charrnn: ")


@pytest.mark.parametrize("arguments", [("trian",), ("sample", "nowhere"), ("corpus",), ()])
def test_an_error_to_a_full_disk_keeps_its_exit_code(
    program: Program, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    before = program(*arguments)
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert program(*arguments) == (before[0], "", "")


@pytest.fixture
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder has been removed."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()


NEEDS_FOLDER = (
    *("train tales", "train --resume RUN", "doctor", "report RUN", "corpus show tales"),
    *("inspect gates RUN TEXT", "inspect gradients RUN TEXT"),
)
NEEDS_NO_FOLDER = (
    *("sample RUN --length 9", "eval RUN TEXT", "score RUN TEXT", "play RUN", "verify RUN"),
    *("compare RUN RUN", "guide", "guide python", "corpus list", "corpus export tales -o -"),
    *("inspect summary RUN", "inspect surprisal RUN TEXT", "inspect neurons RUN TEXT"),
    "inspect calibration RUN TEXT",
)
IN_VAIN = ("sample", "train --resume", "eval RUN herons.txt", "compare runs/a runs/b", "verify x")


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize("line", [*NEEDS_FOLDER, *NEEDS_NO_FOLDER, *IN_VAIN])
def test_a_current_folder_that_is_gone_is_told_where_it_is_needed(
    program: Program, trained: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"The heron\n")))
    places = {"RUN": str(trained / "runs/herons"), "TEXT": str(trained / "herons.txt")}
    code, told, said = program(*(places.get(word, word) for word in line.split()))
    if line in NEEDS_NO_FOLDER:
        assert code == 0, said
        assert told
    else:
        assert code in ((7,) if line in NEEDS_FOLDER else (3, 4, 7)), said
        assert told == ""
        assert said.startswith("charrnn: ")
    if line in NEEDS_FOLDER:
        assert said.startswith("charrnn: the current folder cannot be found: ")


@pytest.mark.usefixtures("gone")
@every_command
def test_help_needs_no_current_folder(program: Program, words: tuple[str, ...]) -> None:
    assert program(*words, "--help")[0] == 0


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("corpus", "list"), 0, ""),
        (("corpus", "list", "--json"), 0, ""),
        (("train", "tinyshakespeare"), 3, "has not been fetched yet"),
        (("corpus", "show", "tinyshakespeare"), 3, "has not been fetched yet"),
        (("corpus", "export", "tinyshakespeare"), 3, "has not been fetched yet"),
        (("corpus", "get", "tinyshakespeare"), 7, "Set HOME or XDG_CACHE_HOME to the path"),
    ],
)
def test_a_user_without_a_home_is_served_or_told(
    program: Program, arguments: tuple[str, ...], code: int, said: str
) -> None:
    found, _, told = program(*arguments)
    assert found == code
    assert said in told


@pytest.mark.usefixtures("homeless")
def test_a_user_without_a_home_has_no_history() -> None:
    assert find_history_file() is None


def test_a_cache_that_cannot_be_made_is_told_with_the_variable(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    code, _, said = program("corpus", "get", "tinyshakespeare")
    assert code == 7
    assert "Set XDG_CACHE_HOME to a folder" in said


def test_a_text_that_needs_a_temporary_file_names_the_variable(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    code, _, said = program("corpus", "show", "anbn")
    assert code == 7
    assert "Set TMPDIR to a folder" in said


@pytest.mark.parametrize(
    "problem",
    [OSError(24, "Too many open files", "x"), PermissionError(1, "No"), OSError("odd")],
)
def test_an_error_of_the_system_that_nobody_foresaw_is_one_line(
    program: Program, monkeypatch: pytest.MonkeyPatch, problem: OSError
) -> None:
    def refuse(_: str) -> str:
        raise problem

    monkeypatch.setattr(guide, "_read", refuse)
    code, _, said = program("guide")
    assert (code, said.count("\n")) == (7, 1)
    assert "the system refused: " in said


def test_a_library_that_finds_no_temporary_folder_names_the_variable(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", refuse)
    monkeypatch.setattr(guide, "_read", lambda _: tempfile.gettempdir())
    code, _, said = program("guide", "records")
    assert code == 7
    assert "Set TMPDIR to a folder" in said


class _Unreadable(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def readinto(self, _: Any) -> int:
        raise OSError(9, "Bad file descriptor")


def test_lines_that_cannot_be_read_are_an_error_of_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(_Unreadable())))
    with pytest.raises(CorpusError, match="standard input: cannot be read: Bad file"):
        list(PipedLines(9))


_ASCII = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.slow
def test_a_locale_of_ascii_keeps_names_primes_and_separators(tmp_path: Path) -> None:
    (tmp_path / "é.txt").write_text("naïve café\n" * 60, encoding="utf-8")
    train = ("train", "é.txt", "--records", "ï", "--steps", "2", *SMALL)
    for arguments, said in (
        (train, rb"runs/\xe9"),
        (("sample", "é", "--prime", "é", "--stop", "f", "--json"), b'"prime": "\\u00e9"'),
        (("eval", "é", "é.txt"), rb"\xe9.txt"),
    ):
        result = charrnn(*arguments, cwd=tmp_path, environment=_ASCII)
        assert result.returncode == 0, explain(result)
        assert said in result.stdout, explain(result)
    assert [run.name for run in (tmp_path / "runs").iterdir() if run.is_dir()] == ["é"]


@pytest.mark.slow
def test_help_is_the_same_where_docstrings_are_left_out(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom charrnn.cli.entry import main\n"
        f"for words in {[*EVERYTHING]!r}:\n"
        "    sys.argv = ['charrnn', *words, '--help']\n"
        "    try:\n        main()\n    except SystemExit:\n        pass\n"
    )
    command = (sys.executable, "-c", code)
    whole, stripped = (
        charrnn(command=command, cwd=tmp_path, environment={"PYTHONOPTIMIZE": level}).stdout
        for level in ("0", "2")
    )
    assert b"Draw text from a model" in whole
    assert whole == stripped
