"""Bytes -> text, chunk by chunk, or an error that says where the encoding does not allow them."""

from __future__ import annotations

import codecs
import io
from pathlib import Path

from charrnn.errors import CorpusError, UsageError

MOST_PENDING = 1 << 20
"""Bytes that may wait for the end of a character; UTF-7 alone can make more than a few wait."""

_BYTE_ORDER_MARK = "\ufeff"
# They spell names and source code; what they make of a text depends on where its chunks end.
_NOT_FOR_FILES = frozenset({"idna", "punycode", "unicode-escape"})
_REMEDY = "Name the right one with --encoding, or use --bytes."


def check_encoding(encoding: str) -> None:
    """Raise UsageError unless ``encoding`` names a text encoding that Python knows."""
    try:
        # The first refuses codecs that do not yield text, the second names that mean a place.
        io.TextIOWrapper(io.BytesIO(), encoding=encoding).close()
        codecs.getincrementaldecoder(encoding)
        known = codecs.lookup(encoding).name.replace("_", "-") not in _NOT_FOR_FILES
    except (LookupError, ValueError):
        known = False
    if not known:
        raise UsageError(
            f"--encoding is {encoding!r:.60}, which is not a text encoding known here; "
            "try utf-8, latin-1, cp1252, utf-16 or shift_jis"
        )


class Decoder:
    """Decodes the bytes of one file as they come, and drops a byte-order mark that opens them.

    Attributes:
        dropped_mark: whether there was one that the encoding itself takes for text.

    Args:
        file: named in errors.
        encoding: one that :func:`check_encoding` accepts.
    """

    def __init__(self, file: Path, encoding: str) -> None:
        self.dropped_mark = False
        self._file = file
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._offset, self._lines, self._at_start = 0, 1, True

    def decode(self, data: bytes) -> str:
        """The text of some more bytes; none at all mean that the file has ended.

        Raises:
            CorpusError: the encoding does not allow them; names the first bad byte and its line.
        """
        state = self._decoder.getstate()
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeError as problem:
            raise CorpusError(
                f"{self._file}: {self._explain(problem, data, state)}. {_REMEDY}"
            ) from None
        if len(self._decoder.getstate()[0]) > MOST_PENDING:
            raise CorpusError(
                f"{self._file}: is not {self._encoding}: more than {MOST_PENDING:,} bytes without "
                f"an end. {_REMEDY}"
            )
        if self._at_start and text:
            self._at_start = False
            if text.startswith(_BYTE_ORDER_MARK):
                self.dropped_mark = True
                text = text[1:]
        self._lines += text.count("\n")
        self._offset += len(data)
        return text

    def _explain(self, problem: UnicodeError, data: bytes, state: tuple[bytes, int]) -> str:
        """What is wrong with some bytes, before which the decoder was in a state."""
        if not isinstance(problem, UnicodeDecodeError):
            return f"is not {self._encoding}: {problem}"
        # Counted from the chunk's end, since a codec may cut a byte-order mark off.
        sound = len(data) - len(problem.object) + problem.start
        self._decoder.setstate(state)
        try:
            before = self._decoder.decode(data[: max(sound, 0)])
        except UnicodeError as earlier:
            # As of UTF-16 that lacks its byte-order mark, which is looked for last.
            return self._explain(earlier, data, state)
        return (
            f"byte {self._offset + sound:,} (0x{problem.object[problem.start]:02X}, "
            f"line {self._lines + before.count(chr(10)):,}) is not {self._encoding}"
        )
