"""Text that somebody else wrote, made fit to be looked at: control characters become marks.

The nearest word to one that nobody knows.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_BIDI = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C]
_LINE_ENDS = [0x2028, 0x2029]
# Text can hide in these. The joiners U+200C and U+200D and the variation selectors are left alone:
# several scripts and most emoji are written with them.
_UNSEEN = [
    *(0x180E, 0x200B, 0xFEFF, *range(0x2060, 0x2065), *range(0x206A, 0x2070)),
    *(*range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)),
]
_MARKS = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "\u2421",
    **{code: f"<U+{code:04X}>" for code in [*range(0x80, 0xA0), *_BIDI, *_LINE_ENDS, *_UNSEEN]},
}
MARKED = tuple(_MARKS)
"""Code points that a terminal would obey, newlines and tabs included."""

_IN_TEXT = {code: mark for code, mark in _MARKS.items() if chr(code) not in "\n\t"}


def visible(text: str) -> str:
    """A text with its control characters shown as marks, newlines and tabs excepted.

    Escape sequences, carriage returns and marks that reverse the writing direction would be obeyed
    by a terminal or a page; a model may have learnt them, and a path may hold them. So are
    characters that nobody would see.
    """
    return _encodable(text.translate(_IN_TEXT))


def in_one_line(text: str) -> str:
    """As :func:`visible`, newlines and tabs included."""
    return _encodable(text.translate(_MARKS))


def _encodable(text: str) -> str:
    """A text with its surrogates, which stand for the bytes of a strange path, spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like ``word``; None where none is like it.

    >>> nearest("trian", ["eval", "train", "sample"])
    'train'
    """
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about a word that is not known: the nearest one, if any is near."""
    close = nearest(word, known)
    return f"; did you mean {close}?" if close else ""
