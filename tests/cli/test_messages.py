"""Settings and remedies of errors as options and commands."""

import ast
import inspect
import re
import subprocess
from collections.abc import Container
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn.cli.help_pages import list_options
from charrnn.cli.main import app
from charrnn.cli.messages import explain, option_name, quote
from charrnn.cli.play.settings import COMMANDS as COMMANDS_OF_PLAY
from charrnn.cli.play.settings import command_name
from charrnn.errors import CharrnnError, Remedy
from tests.support.called import called
from tests.support.imports import TREES


def test_an_option_is_its_setting_with_dashes() -> None:
    assert option_name("learning_rate") == "--learning-rate"


@pytest.mark.parametrize(
    ("remedy", "said"),
    [
        (Remedy("wait for it"), "Wait for it"),
        (Remedy("hold less out", "valid"), "Hold less out with --valid"),
        (Remedy("take bytes", "encoding", None), "Take bytes with --bytes"),
        (Remedy("leave it out", "unknown", "skip"), "Leave it out with --unknown skip"),
        (
            Remedy("cut there", "records", "\x1e"),
            r"Cut there with --records $'\x1e'",
        ),
        (Remedy("cut there", "records", "; "), "Cut there with --records '; '"),
        (Remedy("fetch it", "fetch", "tales"), "Fetch it: charrnn corpus get tales"),
        (Remedy("go on", "resume", "my run"), "Go on: charrnn train --resume 'my run'"),
        (Remedy("train one", "train", "FILE"), "Train one: charrnn train FILE"),
    ],
)
def test_a_remedy_names_the_option_or_the_command(remedy: Remedy, said: str) -> None:
    assert explain(CharrnnError("it is broken", remedy)) == f"it is broken\n{said}"


def test_a_message_is_said_of_the_options() -> None:
    problem = CharrnnError("is 0; it must be at least 1", settings=("stack_depth",))
    assert explain(problem) == "--stack-depth is 0; it must be at least 1"
    assert explain(problem, command_name) == "/stack-depth is 0; it must be at least 1"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
@example(["it's\n", "a\\b\x1e1", "\x85\u00e9\u2028", "\U000e0001f'", "\udcffx", "", "-"])
def test_a_shell_reads_back_what_is_quoted(words: list[str]) -> None:
    script = "printf '%s\\0' " + " ".join(map(quote, [*words, "end"]))
    said = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert said.decode("utf-8", "surrogateescape").split("\0") == [*words, "end", ""]
    assert script.isprintable()


def _commands() -> dict[str, Any]:
    """The commands of the program with their contexts, by name."""
    found: dict[str, Any] = {}

    def visit(command: Any, name: str, parent: Any) -> None:
        context = command.context_class(command, info_name=name, parent=parent)
        inner = getattr(command, "commands", {})
        for word, one in inner.items():
            visit(one, word, context)
        if not inner:
            found[context.command_path.removeprefix("charrnn ")] = context

    visit(typer.main.get_command(app), "charrnn", None)
    return found


COMMANDS = _commands()
OPTIONS = {name: list_options(context.command, context) for name, context in COMMANDS.items()}

OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*|-o\b)")
NAMED = re.compile(r"charrnn (\w+(?: (?:list|show|get|export))?)")


def _foreign_options(text: str, own: Container[str]) -> list[str]:
    """The options in a text that neither these are nor those of the command named before them."""
    foreign = []
    for clause in re.split(r", or |\n", text):
        named = NAMED.search(clause)
        known = OPTIONS.get(named[1], own) if named else own
        foreign += [option for option in OPTION.findall(clause) if option not in known]
    return foreign


def _remedies() -> list[Remedy]:
    """Every remedy that the library writes down, with words in the place of what it computes."""
    calls = [
        node
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id == "Remedy"
        if all(isinstance(means, ast.Constant) for means in node.args[1:2])
    ]

    def value(node: ast.expr) -> Any:
        return node.value if isinstance(node, ast.Constant) else "some"

    return [
        Remedy(
            *(value(argument) for argument in call.args if not isinstance(argument, ast.Starred)),
            **{keyword.arg: value(keyword.value) for keyword in call.keywords if keyword.arg},
        )
        for call in calls
    ]


def test_a_command_advises_no_option_that_it_lacks() -> None:
    remedies = _remedies()
    assert len(remedies) > 50
    for name, options in OPTIONS.items():
        for remedy in remedies:
            said = explain(CharrnnError("it is broken", remedy), options=options)
            assert not _foreign_options(said, options), (name, said)


def test_every_remedy_is_one_of_some_command() -> None:
    for remedy in _remedies():
        said = [explain(CharrnnError("no", remedy), options=one) for one in OPTIONS.values()]
        assert any("\n" in one for one in said), remedy.action


def test_a_command_speaks_of_no_option_that_it_lacks() -> None:
    """In its own messages; its module is the one that defines it."""
    modules: dict[str, set[str]] = {}
    for name, context in COMMANDS.items():
        file = inspect.getsourcefile(inspect.unwrap(context.command.callback)) or ""
        modules.setdefault(file, set()).update(OPTIONS[name])
    for path, tree in TREES.items():
        own = modules.get(str(path))
        for node in ast.walk(tree) if own else ():
            if isinstance(node, ast.Raise) and own:
                strings = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
                said = "".join(one for one in strings if isinstance(one, str))
                assert not _foreign_options(said, own), (path.name, said)


def test_a_setting_without_an_option_is_called_by_its_name() -> None:
    problem = CharrnnError("is 2", Remedy("try less", "top_k"), settings=("top_k",))
    assert explain(problem, options=()) == "top k is 2"
    assert explain(problem, command_name, COMMANDS_OF_PLAY) == "/top-k is 2\nTry less with /top-k"


def _numbers() -> list[tuple[str, str]]:
    """The commands' options that take a number."""
    found = []
    for name, context in COMMANDS.items():
        declared = inspect.signature(inspect.unwrap(context.command.callback), eval_str=True)
        for param in context.command.get_params(context):
            kind = getattr(declared.parameters.get(param.name), "annotation", None)
            kinds = {get_args(kind)[0], *get_args(get_args(kind)[0])} if get_args(kind) else set()
            if kinds & {int, float}:
                found.append((name, param.opts[0]))
    return found


NUMBERS = _numbers()


def test_every_option_of_a_number_repeats_what_is_none(tmp_path: Path) -> None:
    assert len(NUMBERS) > 50
    for name, option in NUMBERS:
        result = called(*name.split(), option, "0,8x", cwd=tmp_path)
        said = result.stderr.decode()
        assert result.returncode == 2
        assert re.match(rf"charrnn: {option} is '0,8x'; it must be a (whole )?number \(", said), (
            said
        )


@pytest.mark.parametrize(
    ("value", "meant"), [("1,000", "; did you mean 1000?"), ("12,5", ""), ("1e3", "")]
)
def test_a_comma_between_thousands_is_recognized(tmp_path: Path, value: str, meant: str) -> None:
    said = called("sample", "--length", value, cwd=tmp_path).stderr.decode()
    assert f"--length is {value!r}; it must be a whole number{meant} (" in said


@pytest.mark.parametrize(
    ("value", "meant"), [("0,8", "; did you mean 0.8?"), ("1,2,3", ""), ("o.8", ""), ("", "")]
)
def test_a_decimal_comma_is_recognized(tmp_path: Path, value: str, meant: str) -> None:
    said = called("sample", "--temp", value, cwd=tmp_path).stderr.decode()
    assert f"--temp is {value!r}; it must be a number{meant} (" in said
