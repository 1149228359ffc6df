"""Translation of settings into options, of functions into commands, of errors into messages."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial

from charrnn.errors import CharrnnError, Notice, Remedy

_COMMANDS = {
    "train": "charrnn train",
    "resume": "charrnn train --resume",
    "fetch": "charrnn corpus get",
}
"""Commands by the functions that they call."""

_NAMES = {"base": "--from", "output": "-o", "temperature": "--temp", "as_bytes": "--bytes"}
"""Options whose names differ from those of their settings."""


def option_name(setting: str) -> str:
    """Name the option of a setting.

    >>> option_name("learning_rate")
    '--learning-rate'
    """
    return _NAMES.get(setting, "--" + setting.replace("_", "-"))


def command(function: str, *arguments: str) -> str:
    """Spell the command that calls a function, quoted for a shell.

    >>> command("resume", "my runs/tales")
    "charrnn train --resume 'my runs/tales'"
    """
    return " ".join([_COMMANDS[function], *map(quote, arguments)])


def explain(problem: CharrnnError, name_setting: Callable[[str], str] = option_name) -> str:
    """Describe an error and its remedies in terms of options and commands.

    Args:
        problem: the error.
        name_setting: returns the user's name for a setting.
    """
    return problem.describe(name_setting, partial(_advise, name_setting))


def explain_note(note: str) -> str:
    """Describe a note and, if it has any, its remedies in terms of options and commands."""
    return note.describe(partial(_advise, option_name)) if isinstance(note, Notice) else note


def _advise(name_setting: Callable[[str], str], remedy: Remedy) -> str:
    if not remedy.means:
        return remedy.action
    if remedy.means in _COMMANDS:
        return f"{remedy.action}: {command(remedy.means, *map(str, remedy.values))}"
    if (remedy.means, remedy.values) == ("encoding", (None,)):
        return f"{remedy.action} with --bytes"
    words = (name_setting(remedy.means), *(quote(str(value)) for value in remedy.values))
    return f"{remedy.action} with {' '.join(words)}"


def quote(value: str) -> str:
    r"""Quote a word for a shell: bash, zsh and others that read the bytes of control characters.

    >>> print(quote("my run"), quote("it's\n\u2028"))
    'my run' $'it\'s\n\xe2\x80\xa8'
    """
    if value.isprintable():
        return shlex.quote(value)
    return f"$'{''.join(map(_escape, value))}'"


_ESCAPES = {"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def _escape(character: str) -> str:
    if character.isprintable() and character not in _ESCAPES:
        return character
    spelled = "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
    return _ESCAPES.get(character, spelled)
