"""The README's commands are the program's: every line of it that calls charrnn can be parsed."""

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.cli.test_manners import EVERYTHING, README

_REDIRECTION = re.compile(r"(?<!\S)\d?>>?\s*(&\d|\S+)")
_SHELL = set("();<>|&")


def commands(text: str) -> Iterator[tuple[str, ...]]:
    """The arguments of every call of the program in a text's code blocks."""
    for block in re.findall(r"^(?: {4}.*\n)+", text.replace("\\\n", " "), re.MULTILINE):
        for line in re.findall(r"^ {4}(?:\$ )?(.*\bcharrnn .*)", block, re.MULTILINE):
            yield from _calls(line)


def _calls(line: str) -> Iterator[tuple[str, ...]]:
    words = shlex.shlex(_REDIRECTION.sub("", line), posix=True, punctuation_chars=True)
    words.whitespace_split = True
    call: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= _SHELL:
            if call[:1] == ["charrnn"]:
                yield tuple(call[1:])
            call = []
        else:
            call.append(word)


CALLS = sorted(set(commands(README.read_text(encoding="utf-8"))))


def test_commands_are_found_in_code_blocks_however_they_are_chained() -> None:
    text = (
        "Say `charrnn train --nonsense`.\n\n"
        "    $ (charrnn corpus export tales; echo x) | charrnn sample --prime - 2> log  # a --b\n"
        "    charrnn train a \\\n        --hidden 3\n    charrnn: no line of the shell\n"
    )
    assert list(commands(text)) == [
        ("corpus", "export", "tales"),
        ("sample", "--prime", "-"),
        ("train", "a", "--hidden", "3"),
    ]
    assert len(CALLS) > 50


@pytest.mark.parametrize("arguments", CALLS, ids=" ".join)
def test_the_readmes_commands_are_parsed(arguments: tuple[str, ...]) -> None:
    words = max((words for words in EVERYTHING if arguments[: len(words)] == words), key=len)
    command, rest = EVERYTHING[words], list(arguments[len(words) :])
    context = command.make_context("charrnn", list(rest))
    if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        command.resolve_command(context, rest)
