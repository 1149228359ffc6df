"""Text with a value per character: colored on a terminal, marked below the line elsewhere."""

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
    """The appearance of values from ``least`` up to the next level.

    Attributes:
        least: the lower bound of the values.
        style: foreground and background, or neither, so that the text is legible with any colors
            of the terminal.
        mark: the mark below the character where there are no colors.
        meaning: the entry of the legend.
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
"""Levels of surprisal, in bits."""

ACTIVATIONS = (
    Level(float("-inf"), "#ffffff on #b2182b", "=", "below -0.6"),
    Level(-0.6, "#000000 on #f08070", "-", "to -0.2"),
    Level(-0.2, "", " ", "to 0.2"),
    Level(0.2, "#000000 on #80d8ff", "+", "to 0.6"),
    Level(0.6, "#ffffff on #0a3aa0", "#", "above 0.6"),
)
"""Levels of activation, from -1 to 1: red is negative and blue positive (Karpathy et al. 2015)."""

Levels = Sequence[Level]
Shown = tuple[str, Level]


def show(characters: Iterable[str], values: Iterable[float], levels: Levels) -> None:
    """Print a text on stdout, each character in the style of its value's level, and a legend."""
    shown = [
        (character, next(level for level in reversed(levels) if value >= level.least))
        for character, value in zip(characters, values, strict=True)
    ]
    with terminal.guard_stdout():
        if _supports_color():
            _print_colored(shown, levels)
        else:
            _print_marked(shown, levels)


def display(symbol: str, *, is_bytes: bool) -> str:
    """Make a symbol visible; a byte beyond ASCII becomes a hexadecimal escape.

    Where there are such escapes a backslash is doubled.
    """
    if is_bytes and (symbol == "\\" or ord(symbol) > 0x7F):
        return f"\\x{ord(symbol):02x}" if symbol != "\\" else r"\\"
    return terminal.as_printed(in_one_line(symbol))


def _supports_color() -> bool:
    from rich.console import Console

    console = Console()
    return console.is_terminal and console.color_system is not None and not console.no_color


def _print_colored(shown: Sequence[Shown], levels: Levels) -> None:
    from rich.console import Console
    from rich.text import Text

    text = Text()
    for level, run in groupby(shown, key=lambda pair: pair[1]):
        for character, _ in run:
            text.append(character, level.style)
            if character == terminal.as_printed(in_one_line("\n")):
                text.append("\n")
    legend = Text("  ").join(Text(f" {level.meaning} ", level.style) for level in levels)
    Console(soft_wrap=True, highlight=False).print(text, "", legend, sep="\n")


def _print_marked(shown: Sequence[Shown], levels: Levels) -> None:
    from rich.cells import cell_len

    columns = shutil.get_terminal_size((_COLUMNS, 0)).columns
    for line in _split_lines(shown, columns):
        # A character without a column of its own, such as a combining accent, has no mark.
        columns_of = [(cell_len(character), level.mark) for character, level in line]
        marks = "".join(mark.ljust(width)[:width] for width, mark in columns_of)
        sys.stdout.write("".join(character for character, _ in line) + f"\n{marks.rstrip()}\n")
    legend = ", ".join(f"{level.mark!r} {level.meaning}" for level in levels)
    sys.stdout.write(f"\nbeneath each line: {legend}\n")


def _split_lines(shown: Sequence[Shown], columns: int) -> Iterator[list[Shown]]:
    """Split characters into lines, after a newline's mark or at the width of the terminal."""
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
        if character == terminal.as_printed(in_one_line("\n")):
            yield line
            line, width = [], 0
    if line:
        yield line
