"""Output of a conversation: continuations between typed lines, or the text alone in a pipe."""

from __future__ import annotations

import sys

from charrnn.cli import terminal
from charrnn.data.alphabet import Alphabet
from charrnn.inference.interactive import Play

_MOST_LEAD = 60
_MOST_READ = 4 * (_MOST_LEAD + 1)
"""Symbols that a lead is looked for in: a character of UTF-8 takes up to four bytes."""

_BETWEEN_TEXTS = b"\n\n"


class Screen:
    """Writes a text to stdout as it grows, and nothing else.

    On a terminal the typed text is visible already, so each continuation is preceded by the line
    that it continues, dim. A pipe or a file receives the whole text, both typed and drawn; after an
    undo the text is written again from its beginning, after a blank line. What is added to a text
    is written without a look at the rest of it.

    Args:
        play: the text.
        alphabet: the model's.
        typing: True if the user types on the terminal that shows the text.
        raw: let a terminal obey control characters in the text.
    """

    def __init__(self, play: Play, alphabet: Alphabet, *, typing: bool, raw: bool) -> None:
        self._play = play
        self._alphabet = alphabet
        self._typing = typing
        self._output = terminal.TextOutput(raw)
        self._begun = False
        self._taken_back = ""

    def show_added(self, symbols: str) -> None:
        """Show symbols that were added to the text by typing or from a file."""
        if self._typing:
            return
        if self._taken_back:
            self._catch_up()
        else:
            self._write(symbols)

    def take_back(self) -> None:
        """Take notice before the text is shortened or replaced."""
        if not self._typing:
            self._taken_back = self._taken_back or self._play.text

    def show_whole(self) -> None:
        """Show the whole text."""
        if self._typing:
            self._write(self._play.text)
            self.end()
        else:
            self._begin()

    def begin(self) -> None:
        """Prepare for a continuation of the text."""
        if not self._typing:
            self._catch_up()
            return
        line = self._alphabet.to_bytes(self._play.end(_MOST_READ).rpartition("\n")[2])
        shown = line.decode("utf-8", "replace")
        lead = shown if len(shown) <= _MOST_LEAD else "…" + shown[-_MOST_LEAD:]
        if lead:
            terminal.write_dim(lead, sys.stdout)

    def show_drawn(self, symbols: str) -> None:
        """Show the next symbols of the continuation."""
        self._write(symbols)

    def end(self) -> None:
        """Finish the output of a text; on a terminal the prompt goes on a line of its own."""
        last = self._play.end(1)
        if self._typing and last not in ("", "\n"):
            sys.stdout.write("\n")
            sys.stdout.flush()

    def _catch_up(self) -> None:
        """Write what is missing of a text from which something was taken back."""
        if not self._taken_back:
            return
        text = self._play.text
        if text.startswith(self._taken_back):
            self._write(text[len(self._taken_back) :])
        else:
            self._begin()
        self._taken_back = ""

    def _begin(self) -> None:
        if self._begun:
            self._output.write(_BETWEEN_TEXTS)
        self._begun, self._taken_back = False, ""
        self._write(self._play.text)

    def _write(self, symbols: str) -> None:
        self._begun = self._begun or bool(symbols)
        self._output.write(self._alphabet.to_bytes(symbols))
