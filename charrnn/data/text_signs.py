r"""Signs that a text is another than was meant: they are told with a way out, never acted on.

A text is taken exactly as it is, so that UTF-16 without a byte-order mark becomes a text in which
every other character is NUL, and the lines of a list that was written on Windows become records
that end with a carriage return. Nothing fails then, and nothing is well.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from charrnn.data.file_kinds import is_html
from charrnn.errors import Notice, Remedy

_HEAD = 1 << 16
"""Bytes or characters at the beginning of a text by which its encoding and form are judged."""

_LEAST_HEAD = 16
_ENOUGH = 1 << 12
"""Characters that are composed together, so that few pairs are divided."""

_WHOLLY_COMPOSED = 1 << 17
"""Characters at the beginning of a text that are all composed; composition takes long."""

_NAMED = 3

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
)
"""Byte-order marks, and the encodings that they go with; the first is the one to name."""

_WINDOWS = {
    "iso8859-1": "cp1252",
    "iso8859-2": "cp1250",
    "iso8859-5": "cp1251",
    "iso8859-7": "cp1253",
    "iso8859-8": "cp1255",
    "iso8859-9": "cp1254",
    "iso8859-15": "cp1252",
}
"""Encodings in which 0x80 to 0x9F are control characters, and those of Windows like them."""

_SPELLED_IN_ASCII = frozenset({"utf-7", "hz"})
_ISO_2022 = {b"\x1b$B": "iso2022_jp", b"\x1b$@": "iso2022_jp", b"\x1b$)C": "iso2022_kr"}
"""The escape sequences of ISO 2022 that turn to two bytes a character, and what has them."""

_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\r"))
_C1 = bytes(range(0x80, 0xA0))
_ALWAYS_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\n\r\f"

_FEW, _MANY, _MOST = 0.3, 0.6, 0.9
_LEAST_SEQUENCES = 3
"""Characters beyond ASCII that are no accident if all of them are valid UTF-8."""

_LEAD = re.compile(rb"[\xc2-\xf4]")
_JSON = re.compile(r'\s*(\{\s*"[^"\n]*"\s*:|\[\s*\{\s*")')
_LINE_ENDS = "\n\r\x0b\x0c\x85\u2028\u2029"
_TO_CP1252 = {
    ord(bytes([byte]).decode("cp1252")): byte
    for byte in range(0x80, 0xA0)
    if byte not in b"\x81\x8d\x8f\x90\x9d"
}

_WITHOUT_RETURNS = Remedy("take the carriage returns out first, with tr -d '\\r'")
_TO_NEWLINES = Remedy("turn them into newlines first, with tr '\\r' '\\n'")


def guess_encoding(head: bytes) -> str | None:
    r"""Guess the encoding of a text from its first bytes; None if they do not tell.

    A byte-order mark tells; so do the zeros in the upper bytes of UTF-16 and UTF-32, the escape
    sequences of ISO 2022, and several characters beyond ASCII that are valid UTF-8.

    >>> guess_encoding("The heron".encode("utf-16-le"))
    'utf-16-le'
    >>> guess_encoding("Grüße aus Köln".encode())
    'utf-8'
    >>> guess_encoding(b"The heron") is None
    True
    """
    marked = next((names[0] for mark, *names in _MARKS if head.startswith(mark)), None)
    guess = marked or _guess_wide(head) or _guess_iso_2022(head)
    return guess or ("utf-8" if _is_utf8_beyond_ascii(head) else None)


def _guess_wide(head: bytes) -> str | None:
    if 0 not in head:
        return None
    lanes = [head[lane : len(head) // 4 * 4 : 4] for lane in range(4)]
    if not lanes[0]:
        return None
    for order, (low, *high) in (("le", lanes), ("be", lanes[::-1])):
        zeros = [lane.count(0) / len(lane) for lane in high[1:]]
        if min(zeros) >= _MOST and low.count(0) / len(low) <= _FEW:
            return f"utf-32-{order}"
    pairs = [head[lane : len(head) // 2 * 2 : 2] for lane in range(2)]
    for order, (low, upper) in (("le", pairs), ("be", pairs[::-1])):
        is_upper = 0 in upper and _measure_share(upper, _CONTROLS) >= _MANY
        if is_upper and _measure_share(low, _CONTROLS) <= _FEW:
            return f"utf-16-{order}"
    return None


def _guess_iso_2022(head: bytes) -> str | None:
    guess = next((name for escape, name in _ISO_2022.items() if escape in head), None)
    return guess if guess and _decodes(head, guess) else None


def _decodes(head: bytes, encoding: str) -> bool:
    """Return whether bytes are valid; they may end within a character."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _measure_share(data: bytes, some: bytes) -> float:
    return 1 - len(data.translate(None, some)) / len(data)


def _is_utf8_beyond_ascii(head: bytes) -> bool:
    if head.isascii() or not _decodes(head, "utf-8"):
        return False
    return len(_LEAD.findall(head)) >= _LEAST_SEQUENCES


class _Sign(NamedTuple):
    """A sign, of one text or of several.

    Attributes:
        message: about the texts whose names stand before it; figures in braces are summed.
        remedies: the ways out.
        is_urgent: True if nothing that is read of the text is right.
    """

    message: str
    remedies: tuple[Remedy, ...] = ()
    is_urgent: bool = False


_DROPPED_MARK = _Sign("dropped the byte-order mark")
_AGAIN = _Sign(
    "given more than once, and read each time",
    (Remedy("give it once, so that no text is both learned and held out"),),
)
_GLUED = _Sign(
    "no newline at the end, so that the next text begins on the last line",
    (Remedy("end it with a newline"),),
)
_JSON_FOUND = _Sign(
    "JSON, whose names, braces and escapes are read as text too",
    (Remedy("take the text out of it first, to leave them out"),),
)
_HTML_FOUND = _Sign(
    "HTML, whose tags are read as text too",
    (Remedy("convert it to plain text first, to leave them out"),),
)
_CHARACTERS = (
    (
        "\0",
        _Sign(
            "{count:,} NUL characters (U+0000), which belong to no plain text",
            (Remedy("take them out first, with tr -d '\\0'"),),
        ),
    ),
    (
        "\ufeff",
        _Sign(
            "{count:,} byte-order marks (U+FEFF) within the text, where nobody sees them",
            (Remedy("take them out first"),),
        ),
    ),
    (
        "\ufffd",
        _Sign(
            "{count:,} replacement characters (U+FFFD), left by a decoding that went wrong",
            (Remedy("take the text from where it came from, and name the encoding there"),),
        ),
    ),
)
_DECOMPOSED = _Sign(
    "at least {count:,} parts of letters, such as an accent by itself (decomposed, NFD)",
    (Remedy("compose them first, with uconv -x nfc"),),
)


class TextSigns:
    """Watches texts while they are read, and tells what is odd about them.

    Args:
        encoding: as which they are read; None takes every byte as a symbol.
        separator: the string between two records, if they are read as records.
        may_divide: True if the user may choose another separator.
    """

    def __init__(
        self, encoding: str | None, separator: str | None = None, *, may_divide: bool = False
    ) -> None:
        self._encoding, self._separator, self._may_divide = encoding, separator, may_divide
        self._found: dict[_Sign, dict[str, Mapping[str, int]]] = {}
        self._told: set[tuple[_Sign, str]] = set()
        self._files: set[tuple[int, int]] = set()
        self._unended: str | None = None
        self.begin("")

    def begin(self, name: str) -> None:
        """Begin the next text."""
        self._name = name
        self.head, self._text = b"", ""
        self._judged = -1
        self._counts: Counter[str] = Counter()
        self._held, self._last, self._uncomposed = "", "", ""
        self._composed = 0

    def identify(self, device: int, inode: int) -> None:
        """Tell which file the text is in; some file systems do not know it, and give 0."""
        if inode and (device, inode) in self._files:
            self._note(_AGAIN)
        self._files.add((device, inode))

    def look(self, data: bytes) -> None:
        """Look at the next bytes, before they are decoded."""
        if len(self.head) < _HEAD:
            self.head += data[: _HEAD - len(self.head)]

    def add(self, text: str) -> None:
        """Take in the next part of the text."""
        if not text:
            return
        if not self._last and self._unended is not None:
            self._note_of(self._unended, _GLUED, {})
            self._unended = None
        self._last = text[-1]
        if len(self._text) < _HEAD:
            self._text += text[: _HEAD - len(self._text)]
            if self._judged < 0 and len(self.head) >= _LEAST_HEAD:
                self._judge_head()
        self._count_line_ends(text)
        if self._encoding is None:
            return
        for character, _ in _CHARACTERS:
            self._counts[character] += text.count(character)
        self._uncomposed += text if self._composed < _WHOLLY_COMPOSED else text[:_ENOUGH]
        if len(self._uncomposed) >= _ENOUGH:
            self._count_parts()

    def drop_mark(self) -> None:
        """Tell that the text began with a byte-order mark, which is no part of it."""
        self._note(_DROPPED_MARK)

    def end(self) -> None:
        """End the text."""
        if self._judged < len(self.head):
            self._judge_head()
        # Lines that end with both may be cut between the two.
        self._counts["\r\n" if self._counts["\r\n"] else "\r"] += len(self._held)
        self._held = ""
        self._count_parts()
        if any(sign.is_urgent and self._name in texts for sign, texts in self._found.items()):
            return
        for sign in self._judge_line_ends():
            self._note(sign, **{name: self._counts[end] for name, end in _ENDS.items()})
        for character, sign in _CHARACTERS:
            if self._counts[character]:
                self._note(sign, count=self._counts[character])
        if self._counts["parts"] > 0:
            self._note(_DECOMPOSED, count=self._counts["parts"])
        if self._last and self._encoding is not None and self._separator is None:
            self._unended = None if self._last in _LINE_ENDS else self._name

    @cached_property
    def _codec(self) -> str:
        """The encoding by the name that Python has for it."""
        return codecs.lookup(self._encoding).name if self._encoding else ""

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """Ways out of all that was found so far."""
        return tuple(dict.fromkeys(way for sign in self._found for way in sign.remedies))

    @property
    def notices(self) -> list[Notice]:
        """The notices of what was found and is not yet told."""
        return self._describe_untold(self._found)

    def find_ways_around(self, character: str) -> tuple[Remedy, ...]:
        """Find ways out for a character that a model does not know.

        The text may be in another encoding than it is read in, or the character be a sign itself.
        """
        encodings = [way for sign in self._found if sign.is_urgent for way in sign.remedies]
        signs = {"\r": (_WITHOUT_RETURNS,), **{each: sign.remedies for each, sign in _CHARACTERS}}
        return tuple(dict.fromkeys(encodings)) or signs.get(character, ())

    def take_urgent(self) -> list[Notice]:
        """Return what cannot wait for the end of the text, once."""
        urgent = [sign for sign in self._found if sign.is_urgent]
        notices = self._describe_untold(urgent)
        self._told.update((sign, name) for sign in urgent for name in self._found[sign])
        return notices

    def _note(self, sign: _Sign, **figures: int) -> None:
        self._note_of(self._name, sign, figures)

    def _note_of(self, name: str, sign: _Sign, figures: Mapping[str, int]) -> None:
        self._found.setdefault(sign, {})[name] = figures

    def _describe_untold(self, signs: Iterable[_Sign]) -> list[Notice]:
        untold = {
            sign: [name for name in self._found[sign] if (sign, name) not in self._told]
            for sign in signs
        }
        return [self._describe(sign, names) for sign, names in untold.items() if names]

    def _describe(self, sign: _Sign, names: Sequence[str]) -> Notice:
        named = ", ".join(names[:_NAMED])
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        figures: Counter[str] = Counter()
        for name in names:
            figures.update(self._found[sign][name])
        return Notice(f"{named}{more}: {sign.message.format(**figures)}", *sign.remedies)

    def _judge_head(self) -> None:
        """Judge the encoding and the form of the text by its beginning."""
        self._judged = len(self.head)
        if self._encoding is None:
            return
        for sign in (self._judge_encoding(), self._judge_controls(), self._judge_decoding()):
            if sign:
                self._note(sign)
        if _JSON.match(self._text):
            self._note(_JSON_FOUND)
        if is_html(self.head):
            self._note(_HTML_FOUND)

    def _judge_encoding(self) -> _Sign | None:
        guess = guess_encoding(self.head)
        if guess is None and self._reads_ascii_as_something_else():
            guess = "utf-8"
        marked = next((names for mark, *names in _MARKS if self.head.startswith(mark)), [])
        if guess is None or self._codec in (guess, *marked, *_SPELLED_IN_ASCII):
            return None
        if guess.startswith("iso2022") and self._codec.startswith("iso2022"):
            return None
        if not marked and self._codec in ("utf-16", "utf-32", "utf-8-sig"):
            return None
        seen = "the byte-order mark is that of" if marked else "the bytes look like"
        return _Sign(
            f"read as {self._encoding}, but {seen} {guess}",
            (Remedy("name its encoding", "encoding", guess),),
            is_urgent=True,
        )

    def _reads_ascii_as_something_else(self) -> bool:
        """Return whether plain ASCII was decoded as other characters, as by UTF-16 or EBCDIC."""
        plain = self.head.isascii() and not self.head.translate(None, _ALWAYS_PLAIN)
        return plain and self._text[: len(self.head)] != self.head.decode()[: len(self._text)]

    def _judge_controls(self) -> _Sign | None:
        windows = _WINDOWS.get(self._codec)
        if windows is None or not set(_C1) & set(self.head):
            return None
        return _Sign(
            f"read as {self._encoding}, with control characters where {windows} has quotation "
            "marks, dashes and letters",
            (Remedy("name that encoding", "encoding", windows),),
        )

    def _judge_decoding(self) -> _Sign | None:
        if self._text.isascii():
            return None
        try:
            before = self._text.translate(_TO_CP1252).encode("latin-1")
        except UnicodeEncodeError:
            return None
        if self._codec not in ("utf-8", "utf-8-sig") or not _is_utf8_beyond_ascii(before):
            return None
        return _Sign(
            "UTF-8 that was once decoded as cp1252, two or three characters for one",
            (Remedy("undo it first, with iconv -f utf-8 -t cp1252"),),
        )

    def _count_line_ends(self, text: str) -> None:
        """Count the line ends of each kind; one may be divided between two parts of the text."""
        text = self._held + text
        self._held = "\r" if text[-1] == "\r" else ""
        returns = text.count("\r") - len(self._held)
        both = text.count("\r\n") if returns else 0
        self._counts["\r\n"] += both
        self._counts["\r"] += returns - both
        self._counts["\n"] += text.count("\n") - both

    def _count_parts(self) -> None:
        """Count the characters that composition would leave out of some text."""
        text, self._uncomposed = self._uncomposed[:_WHOLLY_COMPOSED], ""
        self._composed += len(text)
        if not text.isascii():
            self._counts["parts"] += len(text) - len(unicodedata.normalize("NFC", text))

    def _judge_line_ends(self) -> Iterator[_Sign]:
        both, returns, newlines = (self._counts[end] for end in _ENDS.values())
        separator = self._separator or ""
        bytes_alone = self._encoding is None and not separator
        if not both + returns or "\r" in separator or bytes_alone:
            return
        if both and "\n" in separator:
            is_paragraph = separator == "\n\n"
            of_all = "" if returns + newlines or is_paragraph else separator.replace("\n", "\r\n")
            yield _Sign(
                "{both:,} lines end with a carriage return before the newline, which stays in the "
                "records",
                (_WITHOUT_RETURNS, *self._divide_by(of_all)),
            )
        elif both and not returns + newlines:
            yield _Sign(
                "every line ends with a carriage return before the newline, and both are read",
                (_WITHOUT_RETURNS,),
            )
        elif returns and not both + newlines:
            by_return = "\r" if separator == "\n" else ""
            yield _Sign(
                "lines end with a carriage return alone, so that they are read as one line",
                (*self._divide_by(by_return), _TO_NEWLINES),
            )
        else:
            ways = {
                "{both:,} with \\r\\n": both,
                "{returns:,} with \\r": returns,
                "{newlines:,} with \\n": newlines,
            }
            found = ", ".join(way for way, count in ways.items() if count)
            yield _Sign(f"lines end in different ways: {found}", (Remedy("make them alike first"),))

    def _divide_by(self, separator: str) -> tuple[Remedy, ...]:
        if not separator or not self._may_divide:
            return ()
        return (Remedy("separate the records there", "records", separator),)


_ENDS = {"both": "\r\n", "returns": "\r", "newlines": "\n"}
