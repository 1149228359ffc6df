"""Help, completion, versions, nearest words, plain terminals: for every command there is."""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import typer

import charrnn as package
from charrnn.cli.help_pages import Description
from charrnn.cli.main import app
from charrnn.cli.version import describe
from tests.support.forked import forked
from tests.support.program import COMMAND, ENVIRONMENT, charrnn, explain
from tests.support.terminals import Terminal

README = Path(__file__).parents[2] / "README.md"
_HEAVY = ("torch", "numpy", "rich", "tqdm", "safetensors")


def walk(command: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group of the program, with the words that name it."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from walk(inner, *words, name)


EVERYTHING = dict(walk(typer.main.get_command(app)))
COMMANDS = {
    " ".join(words): command
    for words, command in EVERYTHING.items()
    if not hasattr(command, "commands") or command.invoke_without_command
}

everything = pytest.mark.parametrize(
    "words", EVERYTHING, ids=lambda words: " ".join(words) or "charrnn"
)


@pytest.mark.parametrize("words", [(), ("corpus",)])
def test_a_group_by_itself_shows_its_help_as_it_is(tmp_path: Path, words: tuple[str, ...]) -> None:
    alone, asked = (forked(*words, *more, cwd=tmp_path) for more in ((), ("--help",)))
    assert (alone.returncode, alone.stdout) == (2, b""), explain(alone)
    assert alone.stderr == asked.stdout


@pytest.mark.slow
@everything
def test_help_opens_with_examples_and_fits_80_columns(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    result = forked(*words, "--help", cwd=tmp_path, environment={"COLUMNS": "80"})
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    first, *lines = result.stdout.decode().splitlines()
    assert first == "Examples:"
    examples = lines[: lines.index("")]
    assert all("charrnn " in example or example.endswith("charrnn") for example in examples)
    assert any(" ".join(("charrnn", *words[:1])) in example for example in examples)
    assert max(map(len, lines)) <= 80
    assert f"Usage: {' '.join(('charrnn', *words))} " in result.stdout.decode()
    assert "\x1b" not in result.stdout.decode()


@pytest.mark.slow
def test_help_costs_no_more_than_parsing_does() -> None:
    code = (
        "import sys\n"
        "from charrnn.cli.entry import main\n"
        f"for words in {[*EVERYTHING]!r}:\n"
        "    sys.argv = ['charrnn', *words, '--help']\n"
        "    try:\n        main()\n"
        f"    except SystemExit:\n        print('>', *(m for m in {_HEAVY} if m in sys.modules))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    told = [line for line in result.stdout.decode().splitlines() if line.startswith(">")]
    assert dict(zip(EVERYTHING, told, strict=True)) == dict.fromkeys(EVERYTHING, ">")


def test_the_readme_has_a_row_for_every_command_and_for_nothing_else() -> None:
    rows = re.findall(r"^\| `charrnn ([a-z -]+)` \| (.+) \|$", README.read_text(), re.MULTILINE)
    expected = {name: Description.parse(command).summary for name, command in COMMANDS.items()}
    missing = "\n".join(
        f"| `charrnn {name}` | {summary} |"
        for name, summary in expected.items()
        if (name, summary) not in rows
    )
    assert not missing, f"the README's table of commands lacks:\n{missing}"
    assert len(rows) == len(expected), "the README's table has a command that there is not"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("trian",), "No such command 'trian'. Did you mean 'train'? (charrnn --help)"),
        (("inspect", "gate"), "Did you mean 'gates'? (charrnn inspect --help)"),
        (("dance",), "No such command 'dance'. (charrnn --help)"),
        (("train", "--hiden", "3"), "--hiden; did you mean --hidden? (charrnn train --help)"),
        (("train", "tals"), "did you mean tales?"),
        (("sample", "heron"), "did you mean herons?"),
        (("--vrsion",), "--vrsion; did you mean --version?"),
    ],
)
def test_what_nobody_knows_is_answered_with_the_nearest(
    trained: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = forked(*arguments, cwd=trained)
    assert result.returncode in (2, 3, 4), explain(result)
    assert said in result.stderr.decode()
    assert result.stdout == b""


OFFERED: tuple[tuple[tuple[str, ...], list[str]], ...] = (
    (("tr",), ["train"]),
    (("inspect", "gra"), ["gradients"]),
    (("sample", "h"), ["herons"]),
    (("eval", "h"), ["herons"]),
    (("train", "tale"), ["tales"]),
    (("corpus", "show", "tale"), ["tales"]),
    (("corpus", "get", "tale"), ["tales"]),
    (("compare", "h"), ["herons"]),
    (("verify", "h"), ["herons"]),
    (("train", "--resume", "h"), ["herons"]),
    (("train", "--cell", "l"), ["lstm", "list"]),
    (("eval", "--formal", "me"), ["memory"]),
    (("sample", "--unknown", ""), ["error", "skip", "replace"]),
    (("sample", "--temp"), ["--temp", "--temperature"]),
    (("sample", "no-such-run"), []),
    (("guide", "re"), ["records"]),
)


@pytest.mark.slow
def test_the_shell_completes_and_waits_for_no_torch(trained: Path) -> None:
    code = (
        "import os, sys\nfrom charrnn.cli.entry import main\n"
        f"for words in {[words for words, _ in OFFERED]!r}:\n"
        "    os.environ['COMP_WORDS'] = ' '.join(('charrnn', *words))\n"
        "    os.environ['COMP_CWORD'] = str(len(words))\n"
        "    try:\n        main()\n"
        "    except SystemExit:\n        print('\\0', end='')\n"
        "assert 'torch' not in sys.modules\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=trained,
        env={**os.environ, "_CHARRNN_COMPLETE": "complete_bash"},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b"")
    *found, rest = result.stdout.decode().split("\0")
    assert rest == ""
    for (words, offered), said in zip(OFFERED, found, strict=True):
        assert said.split() == offered, words


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash to complete in")
def test_a_completion_script_is_shown(tmp_path: Path) -> None:
    # The shell that is asked from is the one that is meant; two commands keep it there.
    asked = f"{shlex.join([*COMMAND, '--show-completion'])}; exit $?"
    result = subprocess.run(
        ["bash", "-c", asked], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=False
    )
    assert "_CHARRNN_COMPLETE=complete_bash" in result.stdout.decode(), explain(result)


@pytest.mark.slow
def test_the_version_tells_what_computes_and_does_not_import_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = charrnn("--version", cwd=tmp_path).stdout.decode()
    assert told.startswith(f"charrnn {package.__version__}, torch {metadata.version('torch')}, ")
    assert f"Python {platform.python_version()}, " in told
    without = charrnn("--version", cwd=tmp_path, environment={"CHARRNN_KERNELS": "none"})
    assert without.stdout.decode().endswith("no native library\n")
    broken = charrnn("--version", cwd=tmp_path, environment={"CHARRNN_KERNELS": "nonsense"})
    assert (broken.returncode, b"cannot be used" in broken.stdout) == (0, True)


@pytest.mark.parametrize(
    ("build", "told"),
    [("2.13.0+cpu", "device cpu,"), ("2.13.0+cu126", "device cuda where torch finds it")],
)
def test_the_version_promises_no_device_that_it_has_not_looked_for(
    monkeypatch: pytest.MonkeyPatch, build: str, told: str
) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: build)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert f"torch {build}, {told}" in describe()


PLAIN = ({"NO_COLOR": "1"}, {"TERM": "dumb"})
SPEAKING = (
    ("--help",),
    ("train", "--help"),
    ("trian",),
    ("train", "missing.txt"),
    ("train", "herons.txt", "--steps", "3", "--hidden", "8", "--run", "other", "--overwrite"),
    ("sample", "herons", "--prime", "The heron", "--length", "20"),
    ("eval", "herons"),
    ("score", "herons", "herons.txt"),
    ("inspect", "herons"),
    ("inspect", "surprisal", "herons"),
    ("inspect", "gates", "herons"),
    ("inspect", "calibration", "herons"),
    ("corpus", "show", "herons.txt"),
    ("compare", "herons", "herons"),
    ("verify", "herons"),
    ("doctor",),
    ("guide",),
    ("guide", "records"),
    ("--install-completion", "bash"),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "environment"),
    list(zip(SPEAKING, cycle(PLAIN), strict=False)),
    ids=map(" ".join, SPEAKING),
)
def test_no_escape_sequence_goes_where_none_is_wanted(
    trained: Path, tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    shutil.copytree(trained / "runs", tmp_path / "runs")
    (tmp_path / "herons.txt").write_bytes((trained / "herons.txt").read_bytes())
    arguments = tuple(str(tmp_path / "other") if word == "other" else word for word in arguments)
    with Terminal(*arguments, cwd=tmp_path, environment=environment) as terminal:
        terminal.leave()
        assert terminal.shown
        assert "\x1b" not in terminal.shown


@pytest.mark.slow
def test_a_terminal_that_can_shows_errors_in_color(tmp_path: Path) -> None:
    with Terminal("trian", cwd=tmp_path) as terminal:
        assert terminal.leave() == 2
        assert terminal.shown.startswith("\x1b[1;31mcharrnn:\x1b[0m No such command")
