"""A text with a number for each character: coloured on a terminal, elsewhere marked beneath."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from charrnn.cli import terminal
from charrnn.display import in_one_line

_COLUMNS = 80


class Level(NamedTuple):
    """What numbers from ``least`` on, up to the next level, look like.

    Both the text's colour and the one behind it are given, or neither, so that a level is legible
    whatever the terminal's own colours.
    """

    least: float
    style: str
    mark: str
    meaning: str


COSTS = (
    Level(0.0, "", " ", "under 1 bit"),
    Level(1.0, "#000000 on #fff0b3", "1", "1 to 2"),
    Level(2.0, "#000000 on #ffc14d", "2", "2 to 4"),
    Level(4.0, "#000000 on #ff7f50", "4", "4 to 8"),
    Level(8.0, "#ffffff on #a00020", "8", "8 bits or more"),
)
"""What a character cost, in bits."""

ACTIVATIONS = (
    Level(float("-inf"), "#ffffff on #b2182b", "=", "below -0.6"),
    Level(-0.6, "#000000 on #f08070", "-", "to -0.2"),
    Level(-0.2, "", " ", "to 0.2"),
    Level(0.2, "#000000 on #80d8ff", "+", "to 0.6"),
    Level(0.6, "#ffffff on #0a3aa0", "#", "above 0.6"),
)
"""How active a unit is, from -1 to 1; red below, blue above, as in the paper."""

Levels = Sequence[Level]
Shown = tuple[str, Level]


def show(characters: Iterable[str], values: Iterable[float], levels: Levels) -> None:
    """Print a text on stdout, each character as its value's level has it, and the levels."""
    shown = [
        (character, next(level for level in reversed(levels) if value >= level.least))
        for character, value in zip(characters, values, strict=True)
    ]
    with terminal.onto_stdout():
        if _in_colour():
            _print_coloured(shown, levels)
        else:
            _print_marked(shown, levels)


def display(symbol: str, *, is_bytes: bool) -> str:
    """A symbol to be looked at; a byte beyond ASCII as its number."""
    return f"\\x{ord(symbol):02x}" if is_bytes and ord(symbol) > 0x7F else in_one_line(symbol)


def _in_colour() -> bool:
    from rich.console import Console

    console = Console()
    return console.is_terminal and console.color_system is not None and not console.no_color


def _print_coloured(shown: Sequence[Shown], levels: Levels) -> None:
    from rich.console import Console
    from rich.text import Text

    text = Text()
    for level, run in groupby(shown, key=lambda pair: pair[1]):
        for character, _ in run:
            text.append(character, level.style)
            if character == in_one_line("\n"):
                text.append("\n")
    legend = Text("  ").join(Text(f" {level.meaning} ", level.style) for level in levels)
    Console(soft_wrap=True, highlight=False).print(text, "", legend, sep="\n")


def _print_marked(shown: Sequence[Shown], levels: Levels) -> None:
    from rich.cells import cell_len

    columns = shutil.get_terminal_size((_COLUMNS, 0)).columns
    for line in _lines(shown, columns):
        # What has no column of its own, as an accent over the character before, has no mark.
        columns_of = [(cell_len(character), level.mark) for character, level in line]
        marks = "".join(mark.ljust(width)[:width] for width, mark in columns_of)
        sys.stdout.write("".join(character for character, _ in line) + f"\n{marks.rstrip()}\n")
    legend = ", ".join(f"{level.mark!r} {level.meaning}" for level in levels)
    sys.stdout.write(f"\nbeneath each line: {legend}\n")


def _lines(shown: Sequence[Shown], columns: int) -> Iterator[list[Shown]]:
    """The characters in lines that end with a newline's mark, or where the columns do."""
    from rich.cells import cell_len

    line: list[Shown] = []
    width = 0
    for character, level in shown:
        size = cell_len(character)
        if line and width + size > columns:
            yield line
            line, width = [], 0
        line.append((character, level))
        width += size
        if character == in_one_line("\n"):
            yield line
            line, width = [], 0
    if line:
        yield line
