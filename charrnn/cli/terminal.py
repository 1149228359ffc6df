"""What the program says: results on stdout, all else on stderr, and no control characters."""

from __future__ import annotations

import codecs
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from charrnn.visible import visible as visible  # noqa: PLC0414 - commands say terminal.visible


@contextmanager
def unheard_is_fine() -> Iterator[None]:
    """Let what is said on stderr go nowhere once nobody reads it: progress is not the result."""
    try:
        yield
    except BrokenPipeError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Send what is still to be written on a stream nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def note(message: str) -> None:
    """Tell the user something in passing, on stderr."""
    with unheard_is_fine():
        sys.stderr.write(visible(message) + "\n")
        sys.stderr.flush()


def error(message: str) -> None:
    """Tell the user what went wrong, on stderr."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(Text.assemble(("charrnn: ", "bold red"), visible(message)))


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values on stdout, one pair for each line, aligned."""
    width = max(map(len, facts))
    lines = [f"{name:<{width}}  {visible(value)}" for name, value in facts.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    """Print a table on stdout under its title; see :func:`align`."""
    sys.stdout.write("\n".join(["", title, "", *align(header, rows)]) + "\n")
    sys.stdout.flush()


def align(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, its first column flush left, the others right."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(
            f"{cell:>{width}}" if place else f"{cell:<{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, *rows)
    ]


def print_json(value: Mapping[str, Any]) -> None:
    """Print an object on one line of stdout; a number that is not finite is null."""
    sys.stdout.write(json.dumps(_finite(value), ensure_ascii=True, allow_nan=False) + "\n")
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    """The same plain data with None for every number that is not finite."""
    match value:
        case Mapping():
            return {name: _finite(item) for name, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


class TextOutput:
    """Writes drawn text to stdout as it comes: its exact bytes into a pipe or a file; on a
    terminal, with control characters shown unless ``raw``.

    Args:
        raw: obey control characters on a terminal too.
    """

    def __init__(self, raw: bool) -> None:
        self._exact = raw or not sys.stdout.isatty()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: bytes) -> None:
        """Write some more, in UTF-8 or whatever bytes the model knows, and flush."""
        if self._exact:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            sys.stdout.write(visible(self._decoder.decode(data)))
            sys.stdout.flush()
