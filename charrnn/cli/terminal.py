"""Output of the program: results on stdout, messages on stderr, control characters made visible."""

from __future__ import annotations

import codecs
import io
import json
import math
import os
import sys
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Literal, TextIO

from charrnn.cli.messages import explain_note
from charrnn.display import in_one_line, visible
from charrnn.errors import CharrnnError, StorageError
from charrnn.folders import check_current_folder, check_temporary_folder

_RED, _DIM = "1;31", "2"
_ANY_WIDTH = 1 << 30


def reopen_closed_streams() -> None:
    """Open the null device for standard streams that were closed when the program started.

    Otherwise the next file to be opened would take the number of a closed stream, and code that
    writes to standard error would write into that file.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, mode))


def supports_escapes(stream: TextIO) -> bool:
    """Return True for a terminal that is not dumb, unless NO_COLOR is set."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


def _apply_style(text: str, style: str, stream: TextIO) -> str:
    """Wrap text in an SGR style, given by its numbers, if the stream supports escape sequences."""
    return f"\033[{style}m{text}\033[0m" if supports_escapes(stream) else text


def write_dim(text: str, stream: TextIO) -> None:
    """Write text that the user gave, dim if the stream supports escape sequences."""
    stream.write(_apply_style(visible(text), _DIM, stream))
    stream.flush()


@contextmanager
def ignore_stderr_errors() -> Iterator[None]:
    """Discard stderr once it cannot be written: progress and notes are not the result."""
    try:
        yield
    except OSError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Discard everything that is still to be written to a stream."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def keeping_output() -> Iterator[None]:
    """Keep the terminal from discarding pending output when Ctrl-C is pressed.

    The text that the program has written is then the text that the user has seen.
    """
    try:
        import termios
    except ImportError:  # Terminals of such a system discard nothing.
        yield
        return
    settings = termios.tcgetattr(sys.stdin)
    kept = list(settings)
    kept[3] |= termios.NOFLSH
    termios.tcsetattr(sys.stdin, termios.TCSANOW, kept)
    try:
        yield
    finally:
        with suppress(termios.error):  # The terminal may be gone by now.
            termios.tcsetattr(sys.stdin, termios.TCSANOW, settings)


@contextmanager
def guard_stdout() -> Iterator[None]:
    """Raise StorageError if stdout cannot be written; a closed pipe stays a BrokenPipeError."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        silence(sys.stdout)
        raise StorageError(
            f"standard output could not be written: {problem.strerror}. The result is incomplete."
        ) from problem


def describe_system_error(problem: OSError) -> CharrnnError:
    """Describe an error of the operating system that nothing below could say more about."""
    try:
        check_current_folder()
        check_temporary_folder()
    except StorageError as refusal:
        return refusal
    named = f"{problem.filename}: " if problem.filename else ""
    return StorageError(f"{named}the system refused: {problem.strerror or problem}")


def note(message: str) -> None:
    """Write a note to stderr."""
    with ignore_stderr_errors():
        sys.stderr.write(_indent(explain_note(message)) + "\n")
        sys.stderr.flush()


def error(message: str) -> None:
    """Write an error message to stderr."""
    with ignore_stderr_errors():
        sys.stderr.write(f"{_apply_style('charrnn:', _RED, sys.stderr)} {_indent(message)}\n")
        sys.stderr.flush()


def echo(text: str) -> None:
    """Repeat text of the user on stderr, dim."""
    with ignore_stderr_errors():
        write_dim(text, sys.stderr)


def show_traceback(
    kind: type[BaseException], problem: BaseException, trace: TracebackType | None
) -> None:
    """Write the traceback of an exception to stderr; usable as ``sys.excepthook``."""
    with ignore_stderr_errors():
        sys.stderr.write(visible("".join(traceback.format_exception(kind, problem, trace))))
        sys.stderr.flush()


def _indent(message: str) -> str:
    """Indent all lines but the first, so that a file name with a newline cannot forge a message."""
    return visible(message).replace("\n", "\n  ")


def say(line: str = "") -> None:
    """Print a line on stdout."""
    with guard_stdout():
        sys.stdout.write(visible(line) + "\n")


def write_exactly(data: bytes) -> None:
    """Write bytes to stdout as they are."""
    with guard_stdout():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values on stdout, one aligned pair per line."""
    print_table((), list(facts.items()), left=(0, 1))


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    title: str = "",
    *,
    left: Collection[int] = (0,),
) -> None:
    """Print a table on stdout, below its title if there is one; see :func:`tabulate`."""
    _print([*(["", title, ""] if title else []), *tabulate(header, rows, left=left)])


def tabulate(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, left: Collection[int] = (0,)
) -> list[str]:
    """Lay out a table.

    Lines are neither wrapped nor cut at the width of the terminal, so that a program can read them
    through a pipe.

    Args:
        header: names of the columns; empty for a table without a header.
        rows: at least one row, each with the same number of cells.
        left: indices of the left-aligned columns; the others are right-aligned.

    Returns:
        The lines of the table.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=bool(header))
    for place, name in enumerate(header or rows[0]):
        side: Literal["left", "right"] = "left" if place in left else "right"
        table.add_column(Text(as_printed(in_one_line(name))), justify=side, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(as_printed(in_one_line(cell))) for cell in row))
    lines = io.StringIO()
    Console(file=lines, width=_ANY_WIDTH, color_system=None).print(table)
    return [line.rstrip(" ") for line in lines.getvalue().removesuffix("\n").split("\n")]


def as_printed(text: str) -> str:
    """Return text as stdout shows it: what its encoding lacks is escaped and takes more cells."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def print_json(value: Mapping[str, Any]) -> None:
    """Print a JSON object on one line of stdout, encoded by :func:`encode_json`."""
    _print([encode_json(value)])


def encode_json(value: Any) -> str:
    """Encode a value as JSON that every reader takes, in ASCII.

    A number that is not finite becomes null, and a surrogate, which stands for a byte that is not
    valid, U+FFFD.
    """
    return json.dumps(_make_plain(value), ensure_ascii=True, allow_nan=False)


def _print(lines: Sequence[str]) -> None:
    with guard_stdout():
        sys.stdout.write("\n".join(lines) + "\n")


def _make_plain(value: Any) -> Any:
    """Replace numbers that are not finite and surrogates, at any depth."""
    match value:
        case Mapping():
            return {_make_plain(name): _make_plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_make_plain(item) for item in value]
        case float() if not math.isfinite(value):
            return None
        case str() if not value.isascii():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case _:
            return value


class TextOutput:
    """Writes drawn text to stdout as it comes.

    A pipe or a file receives the exact bytes; a terminal shows control characters visibly.

    Args:
        raw: send the exact bytes to a terminal too.
    """

    def __init__(self, raw: bool) -> None:
        self._exact = raw or not sys.stdout.isatty()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: bytes) -> None:
        """Write bytes, UTF-8 or not, and flush."""
        with guard_stdout():
            if self._exact:
                sys.stdout.buffer.write(data)
            else:
                sys.stdout.write(visible(self._decoder.decode(data)))

    def end(self) -> None:
        """Show a replacement character if the text ends within a UTF-8 sequence."""
        with guard_stdout():
            sys.stdout.write(self._decoder.decode(b"", final=True))
