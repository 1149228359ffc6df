"""A conversation with a model: each line is text to continue, or a command."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from charrnn.cli import signals, terminal
from charrnn.cli.destination import STDOUT, parse_output_path
from charrnn.cli.play.output import Screen
from charrnn.cli.play.settings import SETTINGS, PlaySettings
from charrnn.data.alphabet import Alphabet, drop_cut_characters
from charrnn.display import as_file_name, nearest
from charrnn.errors import CorpusError, Remedy, UsageError
from charrnn.files import append_output, find_replaced, write_output
from charrnn.folders import expand_user
from charrnn.inference.interactive import Play

_MARK = b"/"
_BETWEEN_KEPT = b"\n\n"
_SHOWN_END = 40

MOST_BYTES = 1 << 24
"""The most bytes of a line, or of a file that is read."""


class _Command(NamedTuple):
    """A command of a conversation: a line that begins with a slash and a name.

    Attributes:
        run: called with the rest of the line.
        arguments: the usage of the rest of the line.
        description: the help text.
    """

    run: Callable[[bytes], None]
    arguments: str
    description: str


class Conversation:
    """Executes one line after another.

    Args:
        play: the text.
        alphabet: the model's.
        settings: the initial settings.
        screen: the output for the text.
        keep: the default file of the command keep.
    """

    def __init__(
        self,
        play: Play,
        alphabet: Alphabet,
        settings: PlaySettings,
        screen: Screen,
        *,
        keep: Path,
    ) -> None:
        self._play = play
        self._alphabet = alphabet
        self._settings = settings
        self._screen = screen
        self._keep = keep
        self.over = False
        # A prefix of a name selects the first match, so frequent commands come first.
        self._commands = {
            "retry": _Command(
                _forbid_arguments(self._retry), "", "Take the continuation back and draw another."
            ),
            "undo": _Command(
                _forbid_arguments(self._undo), "", "Undo the last addition, drawn or typed."
            ),
            "keep": _Command(self._append, "[FILE]", f"Append the text to a file: {keep}."),
            "show": _Command(_forbid_arguments(self._show), "", "Show the whole text."),
            "line": _Command(self._add_line, "[TEXT]", "Add TEXT and a newline; wait for more."),
            "new": _Command(_forbid_arguments(self._begin_anew), "", "Begin a new text."),
            "save": _Command(self._save, "FILE", "Write the text into a new file."),
            "read": _Command(self._read, "FILE", "Add the text of a file; wait for more."),
            **{
                name: _Command(
                    partial(self._change_setting, name), "[N]", field.metadata["description"]
                )
                for name, field in SETTINGS.items()
            },
            "settings": _Command(_forbid_arguments(self._show_settings), "", "Show the settings."),
            "help": _Command(_forbid_arguments(self._help), "", "Show these commands."),
            "quit": _Command(_forbid_arguments(self._quit), "", "Leave; so does Ctrl-D."),
        }

    def obey(self, line: bytes) -> None:
        """Continue the text after a line, or run the command in the line.

        Raises:
            CharrnnError: the line cannot be executed. The text is unchanged.
            Interrupted: a signal stopped the continuation. The text holds what was shown.
        """
        if len(line) > MOST_BYTES:
            raise _make_size_error("the line")
        if line.startswith(_MARK) and not line.startswith(2 * _MARK):
            name, _, rest = line.removeprefix(_MARK).partition(b" ")
            self._find_command(name.decode("utf-8", "replace")).run(rest)
            return
        if line:
            self._add(line.removeprefix(_MARK), "the line")
        self._go_on()

    def _find_command(self, given: str) -> _Command:
        for name, command in self._commands.items():
            if given and name.startswith(given):
                return command
        close = nearest(given, self._commands)
        hint = f"did you mean /{close}?" if close else "/help lists them."
        raise UsageError(
            f"/{given:.60} is no command; {hint} To begin text with a slash, type two."
        )

    def _add(self, data: bytes, name: str) -> None:
        symbols = self._alphabet.symbols_in(data, name, self._settings.unknown)
        added = self._play.add(symbols, self._settings.unknown)
        if count := self._play.count_unknown(symbols):
            did = {"skip": "left out", "replace": "replaced"}[self._settings.unknown]
            terminal.note(f"{count:,} characters the model does not know were {did}")
        self._screen.show_added(added)

    def _go_on(self) -> None:
        """Draw and show a continuation; the text holds what was shown even if it is stopped."""
        self._screen.begin()
        try:
            with signals.noted() as stop:
                for piece in self._play.go_on(self._settings):
                    self._screen.show_drawn(piece)
                    if stop:
                        break
        finally:
            self._screen.end()

    def _retry(self) -> None:
        if self._play.ends_drawn:
            self._screen.take_back()
            self._play.take_back()
        self._go_on()

    def _undo(self) -> None:
        self._screen.take_back()
        if not self._play.take_back():
            raise UsageError("there is nothing left to undo")
        end = self._alphabet.to_bytes(self._play.end(_SHOWN_END)).decode("utf-8", "replace")
        terminal.note(f"the text now ends with {end!r}" if end else "the text is now empty")

    def _append(self, rest: bytes) -> None:
        path = parse_output_name(_parse_name(rest)) if rest.strip() else self._keep
        append_output(path, self._encode_text() + _BETWEEN_KEPT)
        self._note_written(path)

    def _save(self, rest: bytes) -> None:
        path = parse_output_name(_parse_name(rest))
        data = self._encode_text()
        if find_replaced(path):
            raise UsageError(
                f"{path} exists already; name another file, or append to it: /keep {path}"
            )
        write_output(path, [data])
        self._note_written(path)

    def _encode_text(self) -> bytes:
        if not self._play.text:
            raise UsageError("there is no text yet")
        return self._alphabet.to_bytes(self._play.text)

    def _note_written(self, path: Path) -> None:
        terminal.note(f"{path}: {len(self._play.text):,} characters written")

    def _read(self, rest: bytes) -> None:
        path = _parse_path(rest)
        try:
            with path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as problem:
            raise CorpusError(f"{path}: cannot be read: {problem.strerror}") from problem
        if len(data) > MOST_BYTES:
            raise _make_size_error(str(path))
        self._add(data if self._alphabet.kind == "bytes" else drop_cut_characters(data), str(path))

    def _add_line(self, rest: bytes) -> None:
        self._add(rest + b"\n", "the line")

    def _show(self) -> None:
        self._screen.show_whole()

    def _begin_anew(self) -> None:
        self._screen.take_back()
        self._play.begin_anew()
        terminal.note("a new text; /undo brings the old one back")

    def _change_setting(self, name: str, rest: bytes) -> None:
        if rest.strip():
            self._settings = self._settings.change(name, rest.decode("utf-8", "replace").strip())
        if rest.strip() and name == "seed":
            self._play.reseed(self._settings.seed)
        terminal.note(self._settings.format_command(name))

    def _show_settings(self) -> None:
        terminal.note("  ".join(map(self._settings.format_command, SETTINGS)))

    def _help(self) -> None:
        usage = {
            "TEXT": "Add TEXT and continue. //TEXT adds /TEXT.",
            "Enter": "Continue. Ctrl-C stops the text.",
            **{f"/{name} {one.arguments}": one.description for name, one in self._commands.items()},
        }
        for line in terminal.tabulate((), list(usage.items()), left=(0, 1)):
            terminal.note(f"  {line}")

    def _quit(self) -> None:
        self.over = True


def _make_size_error(name: str) -> CorpusError:
    return CorpusError(
        f"{name}: more than {MOST_BYTES:,} bytes to read at once",
        Remedy("give a part of it"),
    )


def _parse_path(rest: bytes) -> Path:
    return expand_user(_parse_name(rest))


def parse_output_name(named: str) -> Path:
    """Parse the name of a file for the text; raises UsageError for one that is none."""
    if named == STDOUT:
        raise UsageError("- is standard output, where /show shows the text; ./- is a file")
    parse_output_path(named)
    return expand_user(named)


def _parse_name(rest: bytes) -> str:
    named = as_file_name(rest.decode("utf-8", "surrogateescape")).strip()
    if not named:
        raise UsageError("name a file after the command")
    return named


def _forbid_arguments(run: Callable[[], None]) -> Callable[[bytes], None]:
    """Make a command that refuses arguments."""

    def run_alone(rest: bytes) -> None:
        if rest.strip():
            given = rest.decode("utf-8", "replace")
            raise UsageError(f"this command takes no argument, but {given!r:.60} was given")
        run()

    return run_alone
