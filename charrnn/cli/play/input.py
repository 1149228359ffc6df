"""Where a conversation's lines come from: a person at a terminal, or a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Protocol

from platformdirs import user_state_path

from charrnn.cli import terminal
from charrnn.cli.signals import Interrupted

_PROMPT = "> "
_MOST_HISTORY = 1000


class Lines(Protocol):
    """Lines without their newlines, in UTF-8 or whatever bytes a pipe brings."""

    def __iter__(self) -> Iterator[bytes]: ...

    def offer(self, line: bytes) -> None:
        """Let a line of text that the model cannot read be mended."""


class PipedLines:
    """The lines of standard input, without a word."""

    def __iter__(self) -> Iterator[bytes]:
        for line in sys.stdin.buffer:
            yield line.removesuffix(b"\n")

    def offer(self, line: bytes) -> None:
        """Nobody is there to mend it."""


class TypedLines:
    """Lines that a person types: Ctrl-C drops the line, Ctrl-D ends them.

    Where Python has readline and stdout is the terminal too, a line can be edited, and those typed
    before, in earlier sessions as well, can be called back. Elsewhere the prompt goes to stderr.
    """

    def __init__(self) -> None:
        self._editor = _find_editor() if sys.stdout.isatty() else None
        if self._editor and not terminal.supports_escapes(sys.stdout):
            self._editor.parse_and_bind("set enable-bracketed-paste off")

    def __iter__(self) -> Iterator[bytes]:
        history = History(self._editor) if self._editor else None
        try:
            while True:
                try:
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
        """Begin the next line with one that is to be mended."""
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
    """The lines that were typed in this program, in a file that only the user can read.

    What cannot be read or kept is done without: a history is a convenience.
    """

    def __init__(self, editor: ModuleType) -> None:
        self._editor = editor
        self._file = history_file()
        editor.clear_history()
        editor.set_history_length(_MOST_HISTORY)
        with suppress(OSError):
            editor.read_history_file(self._file)
        self._known = editor.get_current_history_length()

    def save(self) -> None:
        """Add this session's lines to those of other sessions, which may have ended meanwhile."""
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


def history_file() -> Path:
    """Name the history's file, in the folder that the system has for a program's state.

    Where charrnn kept it before on systems other than Linux, it goes on.
    """
    file = user_state_path("charrnn", appauthor=False) / "history"
    former = Path("~/.local/state/charrnn/history").expanduser()
    return former if former.exists() and not file.exists() else file
