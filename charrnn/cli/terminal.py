"""What the program says: results on stdout, all else on stderr, and no control characters."""

from __future__ import annotations

import codecs
import io
import json
import math
import os
import sys
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, TextIO

from charrnn.display import in_one_line, visible
from charrnn.errors import StorageError

_RED, _DIM = "1;31", "2"
_ANY_WIDTH = 1 << 30


def reopen_closed() -> None:
    """Put the null device in the place of standard streams that were closed from the beginning.

    The next file to be opened would take the number of a closed one, and be written into by all
    that believes to write to standard error.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, mode))


def takes_escapes(stream: TextIO) -> bool:
    """Whether escape sequences may go to a stream: a terminal that is not a dumb one, and a user
    who has not set NO_COLOR.
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


def styled(text: str, style: str, stream: TextIO) -> str:
    """A text that a stream shows in a style (the numbers of SGR), or as it is."""
    return f"\033[{style}m{text}\033[0m" if takes_escapes(stream) else text


def write_dim(text: str, stream: TextIO) -> None:
    """Write what is not the program's own text, dim where the stream can do so."""
    stream.write(styled(visible(text), _DIM, stream))
    stream.flush()


@contextmanager
def unheard_is_fine() -> Iterator[None]:
    """Let what is said on stderr go nowhere once it cannot: progress is not the result."""
    try:
        yield
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Send what is still to be written on a stream nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def keeping_output() -> Iterator[None]:
    """At a terminal, have Ctrl-C throw away nothing that is on its way to the screen.

    What the program believes to be shown is shown then.
    """
    try:
        import termios
    except ImportError:  # Not a system whose terminals throw it away.
        yield
        return
    settings = termios.tcgetattr(sys.stdin)
    kept = list(settings)
    kept[3] |= termios.NOFLSH
    termios.tcsetattr(sys.stdin, termios.TCSANOW, kept)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, settings)


@contextmanager
def onto_stdout() -> Iterator[None]:
    """Let a result that cannot be written end the program; a reader who has left is no mishap."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        silence(sys.stdout)
        raise StorageError(
            f"standard output could not be written: {problem.strerror}. The result is not whole."
        ) from problem


def note(message: str) -> None:
    """Tell the user something in passing, on stderr."""
    with unheard_is_fine():
        sys.stderr.write(_indented(message) + "\n")
        sys.stderr.flush()


def error(message: str) -> None:
    """Tell the user what went wrong, on stderr."""
    with unheard_is_fine():
        sys.stderr.write(f"{styled('charrnn:', _RED, sys.stderr)} {_indented(message)}\n")
        sys.stderr.flush()


def echo(text: str) -> None:
    """Repeat on stderr, dimly, what the user said."""
    with unheard_is_fine():
        write_dim(text, sys.stderr)


def show_traceback(
    kind: type[BaseException], problem: BaseException, trace: TracebackType | None
) -> None:
    """Write an exception's traceback to stderr; fit to be ``sys.excepthook``."""
    with unheard_is_fine():
        sys.stderr.write(visible("".join(traceback.format_exception(kind, problem, trace))))
        sys.stderr.flush()


def _indented(message: str) -> str:
    """A message, its further lines indented: a name with a newline begins no message."""
    return visible(message).replace("\n", "\n  ")


def say(line: str = "") -> None:
    """Print a line on stdout."""
    with onto_stdout():
        sys.stdout.write(visible(line) + "\n")


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values on stdout, one pair for each line, aligned."""
    print_table((), list(facts.items()), left=(0, 1))


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    title: str = "",
    *,
    left: Collection[int] = (0,),
) -> None:
    """Print a table on stdout, under its title if it has one; see :func:`tabulate`."""
    _print([*(["", title, ""] if title else []), *tabulate(header, rows, left=left)])


def tabulate(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,)
) -> list[str]:
    """Lay out a table in lines that are as long as they need be, whatever the terminal's width.

    A line is neither wrapped nor cut, so that what reads it through a pipe finds it whole.

    Args:
        header: the names of the columns, if they have any.
        rows: one or more, of the same number of cells each.
        left: the columns that are flush left; the others, of numbers, are flush right.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=bool(header))
    for place, name in enumerate(header or rows[0]):
        side: Literal["left", "right"] = "left" if place in left else "right"
        table.add_column(Text(in_one_line(name)), justify=side, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(in_one_line(cell)) for cell in row))
    lines = io.StringIO()
    Console(file=lines, width=_ANY_WIDTH, color_system=None).print(table)
    return [line.rstrip(" ") for line in lines.getvalue().removesuffix("\n").split("\n")]


def print_json(value: Mapping[str, Any]) -> None:
    """Print an object on one line of stdout; a number that is not finite is null."""
    _print([json.dumps(_finite(value), ensure_ascii=True, allow_nan=False)])


def _print(lines: Sequence[str]) -> None:
    with onto_stdout():
        sys.stdout.write("\n".join(lines) + "\n")


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
        with onto_stdout():
            if self._exact:
                sys.stdout.buffer.write(data)
            else:
                sys.stdout.write(visible(self._decoder.decode(data)))

    def end(self) -> None:
        """Show what the text broke off in, if that is within a character."""
        with onto_stdout():
            sys.stdout.write(self._decoder.decode(b"", final=True))
