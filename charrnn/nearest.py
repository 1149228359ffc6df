"""The nearest word to one that nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
