r"""charrnn score: print the surprisal of each line of a text as it arrives.

In columns separated by tabs the text is escaped, so that it stays in its line and column and no
terminal obeys it: a backslash becomes \\, a newline \n, a carriage return \r, a tab \t, any other
control character, line separator or mark of the writing direction \uXXXX, and a byte that is not
UTF-8 \xXX. Only escapes begin with a backslash, so the original text can be recovered.
"""

from __future__ import annotations

import codecs
import heapq
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Annotated

import typer

from charrnn.cli import terminal
from charrnn.cli.options import Debug, Encoding, StackRound, SubjectArgument, Unknown, option
from charrnn.config.inference import UseConfig
from charrnn.config.training import ComputeConfig
from charrnn.display import MARKED
from charrnn.errors import UnknownCharacterError, UsageError

if TYPE_CHECKING:
    from charrnn.api import Model
    from charrnn.evaluation.surprisal import Ends, UnitPart


_WINDOW = 100

MOST_HELD = 1 << 20
"""Bytes of a unit's text that are kept in memory; a longer text is kept in a temporary file."""

_LOWEST_SURROGATE, _HIGHEST_SURROGATE = 0xDC80, 0xDCFF
_ESCAPES = {
    **{code: f"\\u{code:04x}" for code in MARKED},
    **{code: f"\\x{code & 0xFF:02x}" for code in range(_LOWEST_SURROGATE, _HIGHEST_SURROGATE + 1)},
    **str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}),
}


def _check_unit(unit: str | None) -> str | None:
    if unit is not None and unit not in UNITS:
        raise typer.BadParameter(f"{unit!r} is not one of {', '.join(UNITS)}")
    return unit


UNITS = ("line", "record", "character", "window")
"""Units of a text that can be scored."""


def score(
    arguments: SubjectArgument = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(UNITS),
            help="Unit of each line of output. Left out: line, or record for a model of records.",
            callback=_check_unit,
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Characters of each window, with --by window; {_WINDOW} if left out.",
            min=1,
            show_default=False,
        ),
    ] = None,
    afresh: Annotated[
        bool | None,
        typer.Option(
            "--afresh/--carried",
            help="Read each line by itself, or all lines as one text. Left out: "
            "afresh by line, else carried; each record afresh in any case.",
            show_default=False,
        ),
    ] = None,
    worst: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Print only the N of the most bits per character, in descending order.",
            min=1,
            show_default=False,
        ),
    ] = None,
    unknown: Unknown = "error",
    encoding: Encoding = "utf-8",
    stack_round: StackRound = None,
    device: Annotated[str, option(ComputeConfig, "device")] = "cpu",
    threads: Annotated[int | None, option(UseConfig, "threads")] = UseConfig.threads,
    weights: Annotated[str, option(UseConfig, "weights")] = UseConfig.weights,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each, instead of columns.")
    ] = False,
    debug: Debug = False,
) -> None:
    r"""Score a text line by line: bits, bits per character, and the line.

    charrnn score app.log --worst 20
    tail -f app.log | charrnn score logs - --unknown replace
    charrnn score novel.txt --by window --window 200 --json
    charrnn score letter.txt --by character
    """
    if window is not None and by != "window":
        raise UsageError("--window needs --by window; give both, or leave it out")
    from charrnn import api
    from charrnn.cli.arguments import split_arguments
    from charrnn.data.alphabet import RECORD_END
    from charrnn.evaluation.surprisal import NEWLINE, Meter, split_into_units

    name, texts = split_arguments(arguments or [])
    model = api.load(name, device=device, threads=threads, weights=weights, stack_round=stack_round)
    by = by or ("line" if model.records is None else "record")
    _check_records(by, afresh, model)
    ending = NEWLINE if model.records is None else RECORD_END
    meter = Meter(model.backend("scoring"), model.alphabet, unknown, ending)
    chunks = _read(texts, model, encoding)
    if afresh is None:
        afresh = by == "line" or model.records is not None
    measured = meter.measure_afresh(chunks) if afresh else meter.measure_carried(chunks)
    ended = ending if by in ("line", "record") else ""
    rows = Rows(by, ended, is_bytes=model.alphabet.kind == "bytes", as_json=as_json)
    parts = split_into_units(measured, _ends(by, window or _WINDOW))
    try:
        rows.print_worst(parts, worst) if worst else rows.print_all(parts)
    except UnknownCharacterError as problem:
        problem.message = f"{_named(texts)}: {problem.message}"
        raise
    if meter.unknown:
        did = {"skip": "not scored", "replace": f"scored as {model.alphabet.replacement!r}"}
        terminal.note(f"{meter.unknown:,} characters the model does not know were {did[unknown]}")


def _ends(by: str, window: int) -> Ends:
    from charrnn.evaluation.surprisal import find_line_ends, find_record_ends, make_window_ends

    match by:
        case "record":
            return find_record_ends
        case "line":
            return find_line_ends
        case "character":
            return make_window_ends(1)
        case _:
            return make_window_ends(window)


def _check_records(by: str, afresh: bool | None, model: Model) -> None:
    """Raise UsageError for units that do not go with the model's kind of text."""
    if model.records is None:
        if by == "record":
            raise UsageError(f"{model.path} is not a model of records; give --by line")
    elif by == "line" or afresh is False:
        given = "--by line" if by == "line" else "--carried"
        raise UsageError(
            f"{model.path}: is a model of records, each read afresh; leave {given} out"
        )


def _read(texts: Sequence[str], model: Model, encoding: str) -> Iterator[str]:
    """Read the texts' symbols as they come; without texts, those of the held-out part."""
    from charrnn.data.inputs import stream_sources
    from charrnn.data.records import divide_text

    records = model.records
    if texts:
        chunks = stream_sources(
            texts, None if model.alphabet.kind == "bytes" else encoding, terminal.note
        )
        return chunks if records is None else divide_text(chunks, model.alphabet.symbols(records))
    return iter([model.alphabet.decode(model.read().text.scored)])


def _named(texts: Sequence[str]) -> str:
    return ", ".join("standard input" if text == "-" else text for text in texts)


def escape(text: str) -> str:
    """Escape a text for the last column; bytes that are not UTF-8 are surrogates (PEP 383)."""
    if text.isprintable() and "\\" not in text:
        return text
    return text.translate(_ESCAPES)


class _Row:
    """The figures and the text of a unit, as far as it has been read."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.characters = 0
        self._nats: list[float] = []
        self._text: IO[bytes] = tempfile.SpooledTemporaryFile(MOST_HELD)  # noqa: SIM115

    @property
    def bits(self) -> float:
        return math.fsum(self._nats) / math.log(2)

    @property
    def bits_per_char(self) -> float:
        """The mean over the scored characters; NaN if there are none."""
        return self.bits / self.characters if self.characters else math.nan

    def add(self, part: UnitPart, text: str) -> None:
        self.characters += part.scored
        self._nats.append(part.total)
        self._text.write(text.encode())

    def write(self, before: str, after: str) -> None:
        """Write the text to stdout, between two strings."""
        self._text.seek(0)
        with terminal.guard_stdout():
            sys.stdout.buffer.write(before.encode())
            shutil.copyfileobj(self._text, sys.stdout.buffer)
            sys.stdout.buffer.write(f"{after}\n".encode())


class Rows:
    """Prints a line for each unit of a text.

    Args:
        by: the kind of unit, one of UNITS.
        ending: what ends each unit and is not printed; empty for characters and windows.
        is_bytes: True if the symbols of the text are bytes.
        as_json: print a JSON object for each unit instead of columns separated by tabs.
    """

    def __init__(self, by: str, ending: str, *, is_bytes: bool, as_json: bool) -> None:
        self._by, self._ending, self._is_bytes, self._as_json = by, ending, is_bytes, as_json

    def print_all(self, parts: Iterable[UnitPart]) -> None:
        """Print each unit as soon as it ends."""
        for row in self._collect(parts):
            self._print(row)

    def print_worst(self, parts: Iterable[UnitPart], count: int) -> None:
        """Print the ``count`` units of the most bits per character, in descending order."""
        rows = (row for row in self._collect(parts) if row.characters)
        for row in heapq.nlargest(count, rows, key=lambda row: row.bits_per_char):
            self._print(row)

    def _collect(self, parts: Iterable[UnitPart]) -> Iterator[_Row]:
        number, row, decoder = 1, _Row(1), self._decoder()
        for part in parts:
            symbols = part.symbols.removesuffix(self._ending)
            if self._is_bytes:
                symbols = decoder.decode(symbols.encode("latin-1"), part.last)
            row.add(part, json.dumps(symbols)[1:-1] if self._as_json else escape(symbols))
            if part.last:
                yield row
                number += 1
                row, decoder = _Row(number), self._decoder()

    def _decoder(self) -> codecs.IncrementalDecoder:
        return codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def _print(self, row: _Row) -> None:
        if not self._as_json:
            row.write(f"{row.bits:.3f}\t{row.bits_per_char:.4f}\t", "")
            return
        figures = {
            self._by: row.number,
            "bits": row.bits,
            "bits_per_char": row.bits_per_char if row.characters else None,
            "characters": row.characters,
            "text": "",
        }
        row.write(json.dumps(figures, allow_nan=False).removesuffix('"}'), '"}')
