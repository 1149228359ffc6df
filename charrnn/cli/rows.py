r"""Output of charrnn score: a line for each unit of a text, with bits, bits per character, text.

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
from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np

from charrnn.cli import terminal
from charrnn.data.alphabet import RECORD_END
from charrnn.display import MARKED
from charrnn.evaluation.surprisal import NEWLINE, UnitPart

MOST_HELD = 1 << 20
"""Bytes of a unit's text that are kept in memory; a longer text is kept in a temporary file."""

_ENDINGS = {"line": NEWLINE, "record": RECORD_END}
_LOWEST_SURROGATE, _HIGHEST_SURROGATE = 0xDC80, 0xDCFF
_ESCAPES = {
    **{code: f"\\u{code:04x}" for code in MARKED},
    **{code: f"\\x{code & 0xFF:02x}" for code in range(_LOWEST_SURROGATE, _HIGHEST_SURROGATE + 1)},
    **str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}),
}


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
        self.characters += len(part.nats) - int(np.isnan(part.nats).sum())
        self._nats.append(float(np.nansum(part.nats)))
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
        by: the kind of unit: line, record, character or window.
        is_bytes: True if the symbols of the text are bytes.
        as_json: print a JSON object for each unit instead of columns separated by tabs.
    """

    def __init__(self, by: str, *, is_bytes: bool, as_json: bool) -> None:
        self._by, self._is_bytes, self._as_json = by, is_bytes, as_json

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
            symbols = part.symbols.removesuffix(_ENDINGS.get(self._by, ""))
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
