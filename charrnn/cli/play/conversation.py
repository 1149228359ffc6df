"""A conversation with a model: lines that are text, and lines that are commands."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from charrnn.cli import signals, terminal
from charrnn.cli.play.output import Screen
from charrnn.cli.play.settings import DIALS, Dials
from charrnn.data.alphabet import Alphabet
from charrnn.display import nearest
from charrnn.errors import CorpusError, StorageError, UsageError
from charrnn.inference.interactive import Play

_MARK = b"/"
_BETWEEN_KEPT = b"\n\n"
_SHOWN_END = 40


class _Command(NamedTuple):
    """What a line that begins with a slash and a name does with the rest of the line."""

    obey: Callable[[bytes], None]
    takes: str
    does: str


class Conversation:
    """Obeys one line after another.

    Args:
        play: the text.
        alphabet: the model's.
        dials: how to go on, to begin with.
        screen: where the text is shown.
        keep: the file that texts are kept in.
    """

    def __init__(
        self,
        play: Play,
        alphabet: Alphabet,
        dials: Dials,
        screen: Screen,
        *,
        keep: Path,
    ) -> None:
        self._play = play
        self._alphabet = alphabet
        self._dials = dials
        self._screen = screen
        self._keep = keep
        self.over = False
        # The beginning of a name will do, so what is wanted more often comes first.
        self._commands = {
            "retry": _Command(
                _alone(self._retry), "", "Take the continuation back and draw another."
            ),
            "undo": _Command(
                _alone(self._undo), "", "Take back what was added last, drawn or typed."
            ),
            "keep": _Command(self._append, "[FILE]", f"Append the text to a file: {keep}."),
            "show": _Command(_alone(self._show), "", "Show the whole text."),
            "line": _Command(self._add_line, "[TEXT]", "Add TEXT and a newline; wait for more."),
            "new": _Command(_alone(self._begin_anew), "", "Begin a new text."),
            "save": _Command(self._save, "FILE", "Write the text into a new file."),
            "read": _Command(self._read, "FILE", "Add the text of a file; wait for more."),
            **{
                name: _Command(partial(self._turn, name), "[N]", field.metadata["description"])
                for name, field in DIALS.items()
            },
            "settings": _Command(_alone(self._show_dials), "", "Show what is set."),
            "help": _Command(_alone(self._help), "", "Show this."),
            "quit": _Command(_alone(self._quit), "", "Leave; so does Ctrl-D."),
        }

    def obey(self, line: bytes) -> None:
        """Take a line as text to go on from, or as a command.

        Raises:
            CharrnnError: it cannot be obeyed. The text is as it was.
            Interrupted: a signal stopped it. The text holds what was shown.
        """
        if line.startswith(_MARK) and not line.startswith(2 * _MARK):
            name, _, rest = line.removeprefix(_MARK).partition(b" ")
            self._find(name.decode("utf-8", "replace")).obey(rest)
            return
        if line:
            self._add(line.removeprefix(_MARK), "the line")
        self._go_on()

    def _find(self, given: str) -> _Command:
        for name, command in self._commands.items():
            if given and name.startswith(given):
                return command
        close = nearest(given, self._commands)
        hint = f"did you mean /{close}?" if close else "/help lists them."
        raise UsageError(
            f"/{given:.60} is no command; {hint} Text that begins with a slash is typed with two."
        )

    def _add(self, data: bytes, name: str) -> None:
        symbols = self._alphabet.symbols_in(data, name)
        self._play.add(symbols, self._dials.unknown)
        if strange := self._play.count_unknown(symbols):
            did = {"skip": "left out", "replace": "replaced"}[self._dials.unknown]
            terminal.note(f"{strange:,} characters the model does not know were {did}")
        self._screen.show_added(self._play.text)

    def _go_on(self) -> None:
        """Show a continuation as it comes; the text holds what was shown, wherever it ends."""
        self._screen.begin(self._play.text)
        try:
            with signals.noted() as stop:
                for piece in self._play.go_on(self._dials):
                    self._screen.show_drawn(piece)
                    if stop:
                        break
        finally:
            self._screen.end(self._play.text)
        stop.check()

    def _retry(self) -> None:
        if self._play.ends_drawn:
            self._play.take_back()
        self._go_on()

    def _undo(self) -> None:
        if not self._play.take_back():
            raise UsageError("there is nothing left to take back")
        end = self._alphabet.to_bytes(self._play.text[-_SHOWN_END:]).decode("utf-8", "replace")
        terminal.note(f"the text ends with {end!r} now" if end else "the text is empty now")

    def _append(self, rest: bytes) -> None:
        self._write(_path(rest) if rest else self._keep, "ab", _BETWEEN_KEPT)

    def _save(self, rest: bytes) -> None:
        self._write(_path(rest), "xb", b"")

    def _write(self, path: Path, mode: str, end: bytes) -> None:
        text = self._play.text
        if not text:
            raise UsageError("there is no text yet")
        try:
            with path.open(mode) as file:
                file.write(self._alphabet.to_bytes(text) + end)
        except FileExistsError:
            raise UsageError(
                f"{path}: is there already; name another file, or append to it: /keep {path}"
            ) from None
        except OSError as problem:
            raise StorageError(f"{path}: could not be written: {problem.strerror}") from problem
        terminal.note(f"{path}: {len(text):,} characters written")

    def _read(self, rest: bytes) -> None:
        path = _path(rest)
        try:
            data = path.read_bytes()
        except OSError as problem:
            raise CorpusError(f"{path}: cannot be read: {problem.strerror}") from problem
        self._add(data, str(path))

    def _add_line(self, rest: bytes) -> None:
        self._add(rest + b"\n", "the line")

    def _show(self) -> None:
        self._screen.show_whole(self._play.text)

    def _begin_anew(self) -> None:
        self._play.begin_anew()
        terminal.note("a new text; /undo brings the old one back")

    def _turn(self, name: str, rest: bytes) -> None:
        if rest:
            self._dials = self._dials.turned(name, rest.decode("utf-8", "replace").strip())
        if rest and name == "seed":
            self._play.reseed(self._dials.seed)
        terminal.note(self._dials.at(name))

    def _show_dials(self) -> None:
        terminal.note("  ".join(map(self._dials.at, DIALS)))

    def _help(self) -> None:
        usage = {
            "TEXT": "Add TEXT and go on. //TEXT adds /TEXT.",
            "Enter": "Go on. Ctrl-C stops the text.",
            **{f"/{name} {one.takes}": one.does for name, one in self._commands.items()},
        }
        for line in terminal.tabulate((), list(usage.items()), left=(0, 1)):
            terminal.note(f"  {line}")

    def _quit(self) -> None:
        self.over = True


def _path(rest: bytes) -> Path:
    named = os.fsdecode(rest).strip()
    if not named:
        raise UsageError("name a file after the command")
    return Path(named).expanduser()


def _alone(obey: Callable[[], None]) -> Callable[[bytes], None]:
    """What a command does that takes nothing after its name."""

    def obey_alone(rest: bytes) -> None:
        if rest.strip():
            given = rest.decode("utf-8", "replace")
            raise UsageError(f"nothing goes after this command, and {given!r:.60} does")
        obey()

    return obey_alone
