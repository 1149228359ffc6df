"""Settings and errors as the command line speaks of them: in options and commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from charrnn.errors import CharrnnError, Remedy

_COMMANDS = {
    "train": "charrnn train",
    "resume": "charrnn train --resume",
    "fetch": "charrnn corpus get",
}
"""Commands by the functions that they call."""


_NAMES = {"base": "--from", "output": "-o"}
"""Options that are not called what they set."""


def option_name(setting: str) -> str:
    """The option that sets a setting.

    >>> option_name("learning_rate")
    '--learning-rate'
    """
    return _NAMES.get(setting, "--" + setting.replace("_", "-"))


def command(function: str, *arguments: str) -> str:
    """The command that calls a function, as it is typed.

    >>> command("resume", "my runs/tales")
    "charrnn train --resume 'my runs/tales'"
    """
    return f"{_COMMANDS[function]} {shlex.join(arguments)}"


def explain(problem: CharrnnError, name_setting: Callable[[str], str] = option_name) -> str:
    """The message of an error, with the options and commands that help.

    Args:
        problem: the error.
        name_setting: what to call the setting of a name.
    """

    def advise(remedy: Remedy) -> str:
        if not remedy.means:
            return remedy.action
        if remedy.means in _COMMANDS:
            return f"{remedy.action}: {command(remedy.means, *remedy.values)}"
        words = (name_setting(remedy.means), *map(_quote, remedy.values))
        return f"{remedy.action} with {' '.join(words)}"

    return problem.describe(name_setting, advise)


def _quote(value: str) -> str:
    """A value as a shell takes it, visible throughout."""
    if value.isprintable():
        return shlex.quote(value)
    return f"$'{value.encode('unicode_escape').decode()}'"
