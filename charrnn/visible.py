"""Text that somebody else wrote, made fit to be looked at: control characters become marks."""

from __future__ import annotations

_BIDI = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C]
_MARKS = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "\u2421",
    **{code: f"<U+{code:04X}>" for code in [*range(0x80, 0xA0), *_BIDI]},
}
_IN_TEXT = {code: mark for code, mark in _MARKS.items() if chr(code) not in "\n\t"}


def visible(text: str) -> str:
    """A text with its control characters shown as marks, newlines and tabs excepted.

    Escape sequences, carriage returns and marks that reverse the writing direction would be obeyed
    by a terminal or a page; a model may have learnt them, and a path may hold them.
    """
    return text.translate(_IN_TEXT).encode("utf-8", "backslashreplace").decode()
