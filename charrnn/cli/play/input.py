"""Input of a conversation: lines from a terminal or a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Protocol

from charrnn.cli import terminal
from charrnn.cli.signals import Interrupted, Stop
from charrnn.errors import CorpusError, StorageError
from charrnn.files import is_file
from charrnn.folders import find_home, find_state_folder

_PROMPT = "> "
_MOST_HISTORY = 1000


class Lines(Protocol):
    """Lines of bytes, UTF-8 or not, without their newlines."""

    def __iter__(self) -> Iterator[bytes]: ...

    def offer(self, line: bytes) -> None:
        """Offer a line that the model cannot read for correction."""


class PipedLines:
    """Lines of standard input, without a prompt.

    Args:
        most: the most bytes of a line. Of a longer one, the first and one more are given, and the
            rest is passed over.
    """

    def __init__(self, most: int) -> None:
        self._most = most

    def __iter__(self) -> Iterator[bytes]:
        try:
            read = sys.stdin.buffer.readline
            while line := read(self._most + 1):
                yield line.removesuffix(b"\n")
                while not line.endswith(b"\n") and (line := read(self._most)):
                    pass
        except OSError as problem:
            raise CorpusError(f"standard input: cannot be read: {problem.strerror}") from problem

    def offer(self, line: bytes) -> None:
        """Do nothing: a pipe cannot correct a line."""


class TypedLines:
    """Lines that are typed: Ctrl-C discards a line, Ctrl-D ends the input.

    If readline is available and stdout is a terminal, lines can be edited and recalled, those of
    earlier sessions too. Otherwise the prompt is written to stderr.

    Args:
        stop: signals are raised while a line is typed, and recorded otherwise.
    """

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._editor = _find_editor() if sys.stdout.isatty() else None
        if self._editor and not terminal.supports_escapes(sys.stdout):
            self._editor.parse_and_bind("set enable-bracketed-paste off")

    def __iter__(self) -> Iterator[bytes]:
        file = find_history_file()
        history = History(self._editor, file) if self._editor and file else None
        try:
            while True:
                try:
                    with self._stop.raising():
                        line = self._ask()
                except EOFError:
                    terminal.note("")
                    return
                except Interrupted as signal:
                    if not signal.by_keyboard:
                        raise
                    terminal.note("")
                    continue
                yield line.encode("utf-8", "surrogateescape")
        finally:
            if history:
                history.save()

    def offer(self, line: bytes) -> None:
        """Begin the next line with one that is to be corrected."""
        if not self._editor:
            return
        editor, text = self._editor, line.decode("utf-8", "replace")

        def insert() -> None:
            editor.insert_text(text)
            editor.set_startup_hook(None)

        editor.set_startup_hook(insert)

    def _ask(self) -> str:
        if self._editor:
            return input(_PROMPT)
        sys.stderr.write(_PROMPT)
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.removesuffix("\n")


class History:
    """The history of typed lines, in a file that only the user can read.

    Errors of the file are ignored, because the history is only a convenience.

    Args:
        editor: the module readline.
        file: the file of the history, which need not exist.
    """

    def __init__(self, editor: ModuleType, file: Path) -> None:
        self._editor, self._file = editor, file
        editor.clear_history()
        editor.set_history_length(_MOST_HISTORY)
        with suppress(OSError):
            editor.read_history_file(self._file)
        self._known = editor.get_current_history_length()

    def save(self) -> None:
        """Append the lines of this session; other sessions may have added theirs meanwhile."""
        added = self._editor.get_current_history_length() - self._known
        with suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._file, os.O_CREAT | os.O_WRONLY, 0o600))
            if hasattr(self._editor, "append_history_file"):
                self._editor.append_history_file(added, self._file)
            else:
                self._editor.write_history_file(self._file)


def _find_editor() -> ModuleType | None:
    try:
        import readline
    except ImportError:
        return None
    return readline


def find_history_file() -> Path | None:
    """Find the file of the history, in the system's folder for the state of programs.

    The path that earlier versions used on every system is kept if it exists. A user without a home
    has no history.
    """
    try:
        file = find_state_folder() / "history"
        earlier = find_home() / ".local/state/charrnn/history"
    except StorageError:
        return None
    return earlier if is_file(earlier) and not is_file(file) else file
