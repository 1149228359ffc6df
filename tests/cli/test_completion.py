"""Completion offers words that each shell takes as one, whatever a run is called."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from charrnn.cli import completion
from charrnn.cli.completion import SCRIPTS, find_words, install, spell_for_bash
from charrnn.cli.main import app, run
from charrnn.errors import StorageError, UsageError
from tests.support.program import COMMAND, ENVIRONMENT

NAMES = (
    *(
        "my run",
        "it's",
        'quo"te',
        "d$HOME",
        "se;mi",
        "new\nline",
        "tab\tx",
        "öl 中文",
        "a:b",
        "x=y",
    ),
    *("s*r", "am&p", "back\\slash", "bang!x", "~tilde", "#hash", "(par)", "`tick`", "a\udce9b"),
    *("plain", "{a,b}", "pipe|d", "less<more>", "[b]", "?"),
)
PROGRAM = typer.main.get_command(app)
BASH = shutil.which("bash") or ""
FISH = shutil.which("fish") or ""

needs_bash = pytest.mark.skipif(not BASH, reason="there is no bash to complete in")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with runs of these names."""
    for name in (*NAMES, "-dash"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "log.jsonl").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def called_from(monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    """Make the program the child of a shell, by way of a script and of a name with parentheses."""
    names = [shell, "make (1)", "sh"]
    monkeypatch.setattr(completion, "_name_ancestors", lambda: iter(names[::-1]))
    monkeypatch.setenv("SHELL", f"/bin/{shell}")


def test_the_processes_are_read_up_to_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for process, name, parent in ((30, "sh", 20), (20, "a (b) c", 10), (10, "-zsh", 1)):
        (tmp_path / str(process)).mkdir()
        (tmp_path / str(process) / "stat").write_text(f"{process} ({name}) S {parent} 1 1 0\n")
    monkeypatch.setattr(completion, "PROCESSES", tmp_path)
    monkeypatch.setattr(os, "getppid", lambda: 30)
    assert list(completion._name_ancestors()) == ["sh", "a (b) c", "zsh"]


@pytest.mark.parametrize("command", ["sample", "report"])
def test_every_run_is_offered_as_it_is_called_and_none_as_an_option(
    runs: Path, command: str
) -> None:
    assert sorted(find_words(PROGRAM, f"charrnn {command} ")) == sorted([*NAMES, "runs/-dash"])


@needs_bash
def test_bash_reads_each_word_as_the_name_of_the_run() -> None:
    line = f"printf '%s\\0' {' '.join(spell_for_bash(list(NAMES), 'charrnn sample '))}"
    said = subprocess.run([BASH, "-c", line], capture_output=True, check=True).stdout
    assert said == b"".join(os.fsencode(name) + b"\0" for name in NAMES)


@needs_bash
@pytest.mark.parametrize("quote", ["'", '"'])
def test_bash_reads_each_word_after_a_quote_that_it_closes(quote: str) -> None:
    words = spell_for_bash(list(NAMES), f"charrnn sample {quote}")
    line = f"printf '%s\\0' {' '.join(word + quote for word in words)}"
    said = subprocess.run([BASH, "-c", line], capture_output=True, check=True).stdout
    assert said == b"".join(name.encode() + b"\0" for name in NAMES if name.isprintable())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("charrnn sample my", ["my run"]),
        ("charrnn sample my\\ ", ["my run"]),
        ('charrnn sample "my ', ["my run"]),
        ("charrnn sample 'my", ["my run"]),
        ("charrnn sample it\\'", ["it's"]),
        ("charrnn verify plain öl", ["öl 中文"]),
        ("charrnn sample 'my run' --unknown sk", ["skip"]),
        ("charrnn sample --unknown=sk", ["--unknown=skip"]),
        ("charrnn sample runs/", ["runs/-dash"]),
        ("charrnn gui", ["guide"]),
        ("charrnn inspect grad", ["gradients"]),
    ],
)
def test_the_word_at_the_cursor_is_read_as_the_shell_reads_it(
    runs: Path, line: str, offered: list[str]
) -> None:
    assert find_words(PROGRAM, line) == offered


@pytest.mark.parametrize(
    ("line", "replaced", "spelled"),
    [
        ("charrnn sample a:", "", "b"),
        ("charrnn sample a:b", "b", "b"),
        ("charrnn sample a", "a", "a:b"),
        ("charrnn sample a\\:", "a\\:", "a:b"),
    ],
)
def test_bash_is_given_the_part_that_it_replaces(line: str, replaced: str, spelled: str) -> None:
    assert spell_for_bash(["a:b"], line, replaced) == [spelled]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_of_each_shell_is_shown_and_names_what_asks(
    shell: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    called_from(monkeypatch, shell)
    completion.show()
    assert f"_CHARRNN_COMPLETE=complete_{shell}" in capfd.readouterr().out


@pytest.mark.parametrize("shell", SCRIPTS)
def test_an_installation_is_begun_by_the_shell_once(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "my home"
    home.mkdir()
    (home / ".bashrc").write_text("alias l=ls\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("ZDOTDIR", raising=False)
    called_from(monkeypatch, shell)
    install()
    once = {path: path.read_text() for path in home.rglob("*") if path.is_file()}
    install()
    assert once == {path: path.read_text() for path in home.rglob("*") if path.is_file()}
    assert SCRIPTS[shell] in once.values()
    assert once[home / ".bashrc"].startswith("alias l=ls\n")


def test_the_last_line_of_a_file_is_completed_before_another_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".bashrc").write_text("alias l=ls")
    monkeypatch.setenv("HOME", str(tmp_path))
    called_from(monkeypatch, "bash")
    install()
    assert (tmp_path / ".bashrc").read_text().startswith("alias l=ls\nsource ")


def test_a_shell_without_a_script_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    called_from(monkeypatch, "tcsh")
    with pytest.raises(UsageError, match="tcsh: completion is for bash, zsh, fish"):
        completion.show()


def test_a_shell_that_does_not_listen_any_more_is_told_nothing() -> None:
    source, sink = os.pipe()
    os.close(source)
    asked = {**ENVIRONMENT, "_CHARRNN_COMPLETE": "source_bash"}
    result = subprocess.run(COMMAND, env=asked, stdout=sink, stderr=subprocess.PIPE, check=False)
    os.close(sink)
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_home_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    called_from(monkeypatch, "bash")
    with pytest.raises(StorageError):
        install()


def test_nothing_is_offered_where_nothing_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("_CHARRNN_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_CHARRNN_LINE", "charrnn sample ")
    assert run() == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@needs_bash
def test_bash_completes_with_the_script(runs: Path) -> None:
    (runs / "s.bash").write_text(SCRIPTS["bash"])
    ask = (
        "source s.bash; COMP_LINE='charrnn sample my'; COMP_POINT=${#COMP_LINE}; "
        f"_charrnn_completion {shlex.quote(str(runs / 'charrnn'))} my sample; "
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    (runs / "charrnn").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (runs / "charrnn").chmod(0o755)
    environment = {**ENVIRONMENT, "PYTHONPATH": str(Path(__file__).parents[2])}
    said = subprocess.run(
        [BASH, "-c", ask], cwd=runs, env=environment, capture_output=True, check=True
    )
    assert (said.stdout, said.stderr) == (b"my\\ run\n", b"")


@pytest.mark.slow
@pytest.mark.skipif(not FISH, reason="there is no fish to complete in")
def test_fish_completes_with_the_script(runs: Path) -> None:
    (runs / "s.fish").write_text(SCRIPTS["fish"])
    (runs / "charrnn").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (runs / "charrnn").chmod(0o755)
    environment = {
        **ENVIRONMENT,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PATH": f"{runs}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }
    ask = "source s.fish; complete -C 'charrnn sample my'"
    said = subprocess.run(
        [FISH, "--no-config", "-c", ask], cwd=runs, env=environment, capture_output=True, check=True
    )
    assert said.stdout == b"my run\n"
