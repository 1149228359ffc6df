"""Text made safe to show, and the nearest known word to a mistyped one."""

from __future__ import annotations

import difflib
import os
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
"""Code points that are replaced by marks, newlines and tabs included."""

_IN_TEXT = {code: mark for code, mark in _MARKS.items() if chr(code) not in "\n\t"}


def visible(text: str) -> str:
    r"""Replace control characters by marks, newlines and tabs excepted.

    A terminal or a page would obey escape sequences, carriage returns and marks that reverse the
    writing direction; a model may have learned them, and a path may hold them. Invisible characters
    are replaced as well.

    >>> visible("a\x1b[2Jb")
    'a␛[2Jb'
    """
    return _encodable(decode_typed(text).translate(_IN_TEXT))


def in_one_line(text: str) -> str:
    """Replace control characters by marks as :func:`visible` does, newlines and tabs included."""
    return _encodable(decode_typed(text).translate(_MARKS))


def decode_typed(text: str) -> str:
    r"""Decode a name or an argument whose bytes the system's encoding could not.

    Where that is ASCII, Python keeps the bytes of other characters in lone surrogates (PEP 383). If
    they are UTF-8 they are decoded here.

    >>> decode_typed("na\udcc3\udcafve")
    'naïve'
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # Surrogates that stand for no bytes.
        return text


def as_file_name(text: str) -> str:
    """Return text as the system's encoding can name a file; the inverse of decode_typed."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return os.fsdecode(text.encode("utf-8", "surrogateescape"))
    return text


def _encodable(text: str) -> str:
    """Spell out surrogates, which stand for bytes of a path that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that is most like ``word``; None if none is like it.

    >>> nearest("trian", ["eval", "train", "sample"])
    'train'
    """
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: the nearest known one, if any is near.

    >>> did_you_mean("trian", ["eval", "train"])
    '; did you mean train?'
    """
    close = nearest(word, known)
    return f"; did you mean {close}?" if close else ""
