"""Translation of settings into options, of functions into commands, of errors into messages."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Container

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


def command(function: str, *arguments: str, **settings: str) -> str:
    """Spell the command that calls a function, quoted for a shell.

    >>> command("resume", "my runs/tales")
    "charrnn train --resume 'my runs/tales'"
    >>> command("train", "new.txt", base="tales")
    'charrnn train new.txt --from tales'
    """
    options = (word for name, value in settings.items() for word in (option_name(name), value))
    return " ".join([_COMMANDS[function], *map(quote, (*arguments, *options))])


class InHand:
    """The command that is run: its options; None is any."""

    options: Container[str] | None = None


def explain(
    problem: CharrnnError,
    name_setting: Callable[[str], str] = option_name,
    options: Container[str] | None = None,
) -> str:
    """Describe an error and its remedies in terms of options and commands.

    Args:
        problem: the error.
        name_setting: returns the user's name for a setting.
        options: those that can be given; a remedy that takes another is left out, and a setting
            without an option is called by its own name. None is those of the command in hand.
    """
    words = _Words(name_setting, InHand.options if options is None else options)
    return problem.describe(words.name, words.advise, filter(words.offers, problem.remedies))


def explain_note(note: str) -> str:
    """Describe a note and, if it has any, its remedies in terms of options and commands."""
    words = _Words(option_name, InHand.options)
    if not isinstance(note, Notice):
        return note
    return note.describe(words.advise, filter(words.offers, note.remedies))


class _Words:
    """Puts settings and remedies into the words of a command that has some options."""

    def __init__(self, name_setting: Callable[[str], str], options: Container[str] | None) -> None:
        self._name_setting, self._options = name_setting, options

    def name(self, setting: str) -> str:
        option = self._name_setting(setting)
        return option if self._has(option) else setting.replace("_", " ")

    def offers(self, remedy: Remedy) -> bool:
        calls = not remedy.means or remedy.means in _COMMANDS
        return calls or self._has(self._find_option(remedy))

    def advise(self, remedy: Remedy) -> str:
        if not remedy.means:
            return remedy.action
        if remedy.means in _COMMANDS:
            words = map(str, remedy.values)
            return f"{remedy.action}: {command(remedy.means, *words, **remedy.settings)}"
        values = (quote(value) for value in remedy.values if value is not None)
        return f"{remedy.action} with {' '.join((self._find_option(remedy), *values))}"

    def _has(self, option: str) -> bool:
        return self._options is None or option in self._options

    def _find_option(self, remedy: Remedy) -> str:
        is_bytes = (remedy.means, remedy.values) == ("encoding", (None,))
        return self._name_setting("as_bytes" if is_bytes else remedy.means)


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
