"""Output of a conversation: continuations between typed lines, or the text alone in a pipe."""

from __future__ import annotations

import sys

from charrnn.cli import terminal
from charrnn.data.alphabet import Alphabet

_MOST_LEAD = 60
_BETWEEN_TEXTS = b"\n\n"


class Screen:
    """Writes a text to stdout as it grows, and nothing else.

    On a terminal the typed text is visible already, so each continuation is preceded by the line
    that it continues, dim. A pipe or a file receives the whole text, both typed and drawn; after an
    undo the text is written again from its beginning, after a blank line.

    Args:
        alphabet: the model's.
        typing: True if the user types on the terminal that shows the text.
        raw: let a terminal obey control characters in the text.
    """

    def __init__(self, alphabet: Alphabet, *, typing: bool, raw: bool) -> None:
        self._alphabet = alphabet
        self._typing = typing
        self._output = terminal.TextOutput(raw)
        self._written = ""

    def show_added(self, text: str) -> None:
        """Show a text that was extended by typing or from a file."""
        if not self._typing:
            self._catch_up(text)

    def show_whole(self, text: str) -> None:
        """Show the whole text."""
        if self._typing:
            self._write(text)
            self.end(text)
        else:
            self._begin(text)

    def begin(self, text: str) -> None:
        """Prepare for a continuation of the text."""
        if not self._typing:
            self._catch_up(text)
            return
        line = self._alphabet.to_bytes(text.rpartition("\n")[2]).decode("utf-8", "replace")
        lead = line if len(line) <= _MOST_LEAD else "…" + line[-_MOST_LEAD:]
        if lead:
            terminal.write_dim(lead, sys.stdout)

    def show_drawn(self, symbols: str) -> None:
        """Show the next symbols of the continuation."""
        self._write(symbols)

    def end(self, text: str) -> None:
        """Finish the output of a text; on a terminal the prompt goes on a line of its own."""
        self._written = text
        if self._typing and text and not text.endswith("\n"):
            sys.stdout.write("\n")
            sys.stdout.flush()

    def _catch_up(self, text: str) -> None:
        if text.startswith(self._written):
            self._write(text[len(self._written) :])
            self._written = text
        else:
            self._begin(text)

    def _begin(self, text: str) -> None:
        if self._written:
            self._output.write(_BETWEEN_TEXTS)
        self._write(text)
        self._written = text

    def _write(self, symbols: str) -> None:
        self._output.write(self._alphabet.to_bytes(symbols))
