"""Texts as independent records: names, headlines, verses, log lines.

In a corpus of records RECORD_END stands before the first record and after every one. Thus every
RECORD_END but the last is followed by the beginning of a record, and to predict RECORD_END is to
predict that a record ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from charrnn.data.alphabet import RECORD_END
from charrnn.data.text_reader import TextReader
from charrnn.errors import CorpusError, Remedy

LINE, PARAGRAPH = "line", "paragraph"
"""Records that are lines, and records separated by blank lines; any other string is a separator."""

_NEWLINE = "\n"


def find_separator(records: str) -> str:
    """Find the string between two records: line, paragraph or the separator itself is given."""
    return {LINE: _NEWLINE, PARAGRAPH: 2 * _NEWLINE}.get(records, records)


class Divider:
    r"""Divides a text that comes in chunks into records; empty ones are left out.

    >>> divider = Divider("line")
    >>> divider.feed("Ada\n\nGra") + divider.feed("ce\n") + divider.finish()
    'Ada\x1eGrace\x1e'

    Args:
        records: line, paragraph, or a separator in the symbols of the text.

    Attributes:
        count: records so far.
        dropped: empty records so far, which were left out.
    """

    def __init__(self, records: str) -> None:
        self._kind = records
        self._separator = _NEWLINE if records == PARAGRAPH else find_separator(records)
        self._held = ""
        self._paragraph: list[str] = []
        self.count = self.dropped = 0

    def feed(self, text: str) -> str:
        """Take in the next chunk, and return the records that ended, RECORD_END after each.

        Raises:
            CorpusError: a record holds RECORD_END.
        """
        *parts, self._held = (self._held + text).split(self._separator)
        return self._join(self._paragraphs(parts) if self._kind == PARAGRAPH else parts)

    def finish(self) -> str:
        """End the text, and return its last record if one is open; a new text may follow.

        The newline that ends a file is no part of a record.

        Raises:
            CorpusError: the record holds RECORD_END.
        """
        last, self._held = self._held.removesuffix(_NEWLINE), ""
        if self._kind == PARAGRAPH:
            return self._join(self._paragraphs([last, ""]))
        return self._join([last] if last else [])

    def _paragraphs(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if line.strip():
                self._paragraph.append(line)
            elif self._paragraph:
                yield _NEWLINE.join(self._paragraph)
                self._paragraph = []

    def _join(self, records: Iterable[str]) -> str:
        found = list(records)
        kept = [record for record in found if record]
        self.count += len(kept)
        self.dropped += len(found) - len(kept)
        joined = "".join(record + RECORD_END for record in kept)
        if joined.count(RECORD_END) > len(kept):
            raise CorpusError(
                "it holds the character U+001E, which ends a record here",
                Remedy("take it out"),
                Remedy("separate the records there", "records", RECORD_END),
            )
        return joined


def divide_text(chunks: Iterable[str], records: str) -> Iterator[str]:
    """Divide a text into records, and yield them as they end; see :class:`Divider`."""
    divider = Divider(records)
    yield from map(divider.feed, chunks)
    yield divider.finish()


class RecordReader:
    """Reads texts as records; no record runs from one file into the next.

    Iterating yields one text of records, chunk by chunk.

    Args:
        reader: the texts.
        records: line, paragraph, or a separator in the reader's symbols.

    Attributes:
        start: characters of the file before the chunk that came last.

    Raises:
        CorpusError: while iterating; a text holds RECORD_END.
    """

    def __init__(self, reader: TextReader, records: str) -> None:
        self._reader = reader
        self._divider = Divider(records)
        self._seen = 0
        self.start = 0

    @property
    def name(self) -> str:
        """The name of the text that the chunk that came last is from."""
        return f"{self._reader.name} (as records, with an end after each)"

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes that were read."""
        return self._reader.digest

    @property
    def notes(self) -> list[str]:
        """Remarks for the user on characters and records that were left out or changed."""
        return self._reader.notes

    @property
    def count(self) -> int:
        """Records so far."""
        return self._divider.count

    def __iter__(self) -> Iterator[str]:
        yield RECORD_END
        for _, chunks in groupby(self._reader, key=lambda _: self._reader.file):
            self.start = 0
            for text in self._divide(chunks):
                yield text
                self.start += len(text)
        if self._divider.dropped:
            self.notes.append(f"left out {self._divider.dropped:,} records as empty")

    def _divide(self, chunks: Iterable[str]) -> Iterator[str]:
        try:
            yield from map(self._divider.feed, chunks)
            yield self._divider.finish()
        except CorpusError as problem:
            problem.message = f"{self._reader.name}: {problem.message}"
            raise
