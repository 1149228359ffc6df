"""Texts as independent records: names, headlines, verses, log lines.

In a corpus of records RECORD_END stands before the first record and after every one. Thus every
RECORD_END but the last is followed by the beginning of a record, and to predict RECORD_END is to
predict that a record ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from charrnn.data.alphabet import RECORD_END, STRAY_END
from charrnn.data.text_reader import TextReader
from charrnn.errors import CorpusError, Remedy

LINE, PARAGRAPH = "line", "paragraph"
"""Records that are lines, and records separated by blank lines; any other string is a separator."""

_NEWLINE = "\n"

_MOST_INDENT = 1 << 20
"""White space that is held before a line is taken not to be blank."""


def find_separator(records: str) -> str:
    """Find the string between two records: line, paragraph or the separator itself is given."""
    return {LINE: _NEWLINE, PARAGRAPH: 2 * _NEWLINE}.get(records, records)


class Divider:
    r"""Divides a text that comes in chunks into records; empty ones are left out.

    A record is returned part by part as it comes. Of any text only the last characters are held,
    in which a separator may have begun, so that an endless record takes no more memory than a
    short one, and time grows with the length of the text alone.

    >>> divider = Divider("line")
    >>> divider.feed("Ada\n\nGra") + divider.feed("ce\n") + divider.finish()
    'Ada\x1eGrace\x1e'

    Args:
        records: line, paragraph, or a separator in the symbols of the text.
        keeps_ends: True puts STRAY_END in the place of a RECORD_END within a record, where it would
            be an error otherwise.

    Attributes:
        count: records so far.
        dropped: empty records so far, which were left out.
    """

    def __init__(self, records: str, *, keeps_ends: bool = False) -> None:
        self._keeps_ends = keeps_ends
        self._by_paragraph = records == PARAGRAPH
        self._separator = _NEWLINE if self._by_paragraph else find_separator(records)
        # The newline that ends a file is held too, until it is known to be no part of a record.
        self._most_held = len(self._separator) - 1 or int(self._separator != _NEWLINE)
        self._held = ""
        self._is_open = False
        self._indent: list[str] | None = []
        self._indented = 0
        self.count = self.dropped = 0

    def feed(self, text: str) -> str:
        """Take in the next chunk, and return what it adds, RECORD_END after each ended record.

        Raises:
            CorpusError: a record holds RECORD_END.
        """
        *ended, rest = (self._held + text).split(self._separator)
        begun = max(len(rest) - self._most_held, 0)
        self._held = rest[begun:]
        return self._add([*ended, rest[:begun]])

    def finish(self) -> str:
        """End the text, and return the end of its last record if one is open.

        The newline that ends a file is no part of a record. A new text may follow.

        Raises:
            CorpusError: the record holds RECORD_END.
        """
        last, self._held = self._held.removesuffix(_NEWLINE), ""
        added = self._add([last])
        if self._by_paragraph:
            return added + self._add(["", "", ""])
        return added + (self._end() if self._is_open else "")

    def _add(self, parts: Sequence[str]) -> str:
        """Add parts of the text, with a separator between each and the next."""
        # Joined, the parts are searched at once: there may be millions.
        if RECORD_END in "".join(parts):
            if not self._keeps_ends:
                raise CorpusError(
                    "it holds the character U+001E, which ends a record here",
                    Remedy("take it out"),
                    Remedy("separate the records there", "records", RECORD_END),
                )
            parts = [part.replace(RECORD_END, STRAY_END) for part in parts]
        return "".join(self._add_lines(parts)) if self._by_paragraph else self._add_records(parts)

    def _add_records(self, parts: Sequence[str]) -> str:
        first, *others = parts
        self._is_open = self._is_open or bool(first)
        if not others:
            return first
        *whole, begun = others
        ended = [record for record in whole if record]
        if self._is_open:
            ended.insert(0, first)
        self.count += len(ended)
        self.dropped += len(others) - len(ended)
        self._is_open = bool(begun)
        return RECORD_END.join((*ended, begun))

    def _add_lines(self, parts: Sequence[str]) -> Iterator[str]:
        """Add lines to a paragraph; a blank one ends it, and no blank one is part of it.

        The white space before a line is held until the line is known not to be blank, as it is
        once it has more than _MOST_INDENT characters.
        """
        for number, part in enumerate(parts):
            if number:
                if self._indent is not None and self._is_open:
                    yield self._end()
                self._indent, self._indented = [], 0
            if self._indent is None:
                yield part
                continue
            self._indent.append(part)
            self._indented += len(part)
            if self._indented > _MOST_INDENT or part.strip():
                yield (_NEWLINE if self._is_open else "") + "".join(self._indent)
                self._is_open, self._indent = True, None

    def _end(self) -> str:
        self.count += 1
        self._is_open = False
        return RECORD_END


def divide_text(chunks: Iterable[str], records: str) -> Iterator[str]:
    """Divide a text to be read by a model into records, and yield their parts as they come.

    A RECORD_END within a record becomes a STRAY_END; see :class:`Divider`.
    """
    return divide_texts([chunks], records)


def divide_texts(texts: Iterable[Iterable[str]], records: str) -> Iterator[str]:
    """Divide texts as :func:`divide_text` does; no record runs from one text into the next."""
    divider = Divider(records, keeps_ends=True)
    for chunks in texts:
        yield from map(divider.feed, chunks)
        yield divider.finish()


class RecordReader:
    """Reads texts as records; no record runs from one file into the next, the same file or another.

    Iterating yields one text of records, chunk by chunk.

    Args:
        reader: the texts.
        records: line, paragraph, or a separator in the reader's symbols.
        keeps_ends: see :class:`Divider`.

    Attributes:
        signs: what is odd about the texts.
        start: characters of the file before the chunk that came last.

    Raises:
        CorpusError: while iterating; a text holds RECORD_END.
    """

    def __init__(self, reader: TextReader, records: str, *, keeps_ends: bool = False) -> None:
        self._reader = reader
        self._divider = Divider(records, keeps_ends=keeps_ends)
        self.signs = reader.signs
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
        dropped = self._divider.dropped
        left_out = [f"left out {dropped:,} records as empty"] if dropped else []
        return [*self._reader.notes, *left_out]

    @property
    def count(self) -> int:
        """Records so far."""
        return self._divider.count

    def __iter__(self) -> Iterator[str]:
        yield RECORD_END
        for chunks in self._reader.texts():
            self.start = 0
            for text in self._divide(chunks):
                yield text
                self.start += len(text)

    def _divide(self, chunks: Iterable[str]) -> Iterator[str]:
        try:
            yield from map(self._divider.feed, chunks)
            yield self._divider.finish()
        except CorpusError as problem:
            problem.message = f"{self._reader.name}: {problem.message}"
            raise
