"""Errors that a user can do something about, and the exit code of each kind.

    CharrnnError            1   it did not work
    ├── UsageError          2   settings are out of range or contradict each other
    ├── CorpusError         3   a text cannot be read, or cannot be trained on
    │   └── UnknownCharacterError   it has a character that the model does not know
    ├── CheckpointError     4   a file is not a model that can be trusted
    ├── PredictionError     4   a model predicts values that are not finite
    ├── DivergedError       5   the loss or its gradient stopped being finite
    ├── RunDirectoryError   6   the run directory is in use, or already holds a run
    └── StorageError        7   the disk refused to keep what was written

An error speaks of values and settings, never of command-line options: what was given, what is
allowed, what to do next. A programmer's mistake is a ``ValueError`` instead and is never caught.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable


class Remedy:
    """One way out of an error.

    >>> str(Remedy("hold less out", "valid"))
    'hold less out (valid)'
    >>> str(Remedy("skip such characters", "unknown", "skip"))
    "skip such characters (unknown='skip')"
    >>> str(Remedy("fetch it first", "fetch", "tinyshakespeare"))
    "fetch it first: charrnn.fetch('tinyshakespeare')"
    >>> str(Remedy("train one", "train", "TEXT", records="line"))
    "train one: charrnn.train('TEXT', records='line')"

    Attributes:
        action: a clause in the imperative.
        means: the setting to change for it, or the function to call, one of FUNCTIONS.
        values: what to set it to, or to call it with.
        settings: of the function, by name.
    """

    FUNCTIONS = ("train", "resume", "fetch")
    """Functions of the package that a remedy may call."""

    def __init__(self, action: str, means: str = "", *values: str | None, **settings: str) -> None:
        self.action = action
        self.means = means
        self.values = values
        self.settings = settings

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remedy) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.action, self.means, self.values))

    def __str__(self) -> str:
        if not self.means:
            return self.action
        settings = (f"{name}={_spell(value)}" for name, value in self.settings.items())
        values = ", ".join((*map(_spell, self.values), *settings))
        if self.means in self.FUNCTIONS:
            return f"{self.action}: charrnn.{self.means}({values})"
        return f"{self.action} ({self.means}{values and '=' + values})"


def _spell(value: str | None) -> str:
    """Spell a value as Python does; a number is not quoted."""
    return value if value and value.replace(".", "", 1).isdigit() else repr(value)


class Notice(str):
    """A note on something that may be other than was meant, with the ways out.

    >>> print(Notice("a.txt: read as utf-8", Remedy("name its encoding", "encoding", "utf-16-le")))
    a.txt: read as utf-8
    Name its encoding (encoding='utf-16-le')

    Attributes:
        message: what was found.
        remedies: what to do if it was not meant; any one of them helps.
    """

    message: str
    remedies: tuple[Remedy, ...]

    def __new__(cls, message: str, *remedies: Remedy) -> Notice:
        """Make the string from both, in the words of Python."""
        notice = super().__new__(cls, _join(message, map(str, remedies)))
        notice.message, notice.remedies = message, remedies
        return notice

    def describe(
        self,
        advise: Callable[[Remedy], str] = str,
        remedies: Iterable[Remedy] | None = None,
    ) -> str:
        """Put the note into words; see :meth:`CharrnnError.describe`."""
        ways = self.remedies if remedies is None else remedies
        return _join(self.message, map(advise, ways))


def _join(message: str, ways: Iterable[str]) -> str:
    """Add what to do next to a message, on a second line."""
    *others, last = [*ways] or [""]
    if not last:
        return message
    advice = f"{', '.join(others)}, or {last}" if others else last
    return f"{message}\n{advice[0].upper()}{advice[1:]}"


class CharrnnError(Exception):
    """A mistake or a failure that the user can do something about.

    >>> print(UsageError("is 0; it must be at least 1", settings=("layers",)))
    layers is 0; it must be at least 1
    >>> print(CorpusError("the text is empty", Remedy("name another"), Remedy("write one")))
    the text is empty
    Name another, or write one

    Attributes:
        message: what was given and what is allowed; a predicate of the settings, if there are any.
        remedies: what to do next; any one of them helps.
        settings: names of the settings that the message is about.
    """

    exit_code = 1

    def __init__(self, message: str, *remedies: Remedy, settings: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.remedies = remedies
        self.settings = settings

    def __str__(self) -> str:
        return self.describe()

    @property
    def headline(self) -> str:
        """The message without the remedies."""
        return self._say(str)

    def describe(
        self,
        name_setting: Callable[[str], str] = str,
        advise: Callable[[Remedy], str] = str,
        remedies: Iterable[Remedy] | None = None,
    ) -> str:
        """Put the error into words: the message and, on a second line, the remedies.

        Args:
            name_setting: what to call a setting of that name.
            advise: a remedy in words.
            remedies: those to name; None is all.
        """
        ways = self.remedies if remedies is None else remedies
        return _join(self._say(name_setting), map(advise, ways))

    def _say(self, name_setting: Callable[[str], str]) -> str:
        subject = " and ".join(map(name_setting, self.settings))
        return f"{subject} {self.message}" if subject else self.message


class UsageError(CharrnnError):
    """Settings that are out of range or contradict each other."""

    exit_code = 2


class CorpusError(CharrnnError):
    """A text that cannot be read, encoded or trained on."""

    exit_code = 3


class UnknownCharacterError(CorpusError):
    """A text with a character that the model's alphabet lacks.

    Attributes:
        character: the first one; a lone surrogate stands for a byte that cannot be decoded.
    """

    def __init__(self, message: str, *remedies: Remedy, character: str = "") -> None:
        super().__init__(message, *remedies)
        self.character = character


class CheckpointError(CharrnnError):
    """A file that is not a sound charrnn checkpoint."""

    exit_code = 4


class PredictionError(CharrnnError):
    """A model whose predictions are not finite: its weights are of no use."""

    exit_code = 4

    def __init__(self) -> None:
        super().__init__("the model predicts values that are not finite: its weights are of no use")


class DivergedError(CharrnnError):
    """A loss or gradient that is not finite."""

    exit_code = 5


class RunDirectoryError(CharrnnError):
    """A run directory that another process uses, or that already holds a run."""

    exit_code = 6


class StorageError(CharrnnError):
    """A write, flush or rename that the operating system refused."""

    exit_code = 7
