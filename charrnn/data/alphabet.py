"""Characters <-> ids.

Two kinds of alphabet share one class. A *text* alphabet holds the Unicode code points of a corpus
in ascending order. A *bytes* alphabet holds all 256 byte values; its symbols are written as the
code points U+0000 to U+00FF, so everything between reading a file and writing one is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.config.inference import UNKNOWN_CHOICES
from charrnn.data.disk_array import Growing, in_parts
from charrnn.errors import CorpusError, Remedy, UnknownCharacterError

_OPENINGS = "\n "


def opening(alphabet: Alphabet) -> Ids:
    """What is read where nothing else is given, shape (1,): a newline if there is one."""
    first = next((c for c in _OPENINGS if c in alphabet.characters), alphabet.characters[0])
    return alphabet.encode(first)


def count_ids(ids: Ids, alphabet_size: int) -> NDArray[np.int64]:
    """How often each id occurs, shape (V,), counted part by part to save memory."""
    counts = np.zeros(alphabet_size, dtype=np.int64)
    for part in in_parts(ids):
        counts += np.bincount(part, minlength=alphabet_size)
    return counts


Ids = NDArray[Any]
"""Ids in the smallest unsigned integer type that fits the alphabet, shape (N,)."""

RECORD_END = "\x1e"
"""Ends a record where a text is made of such; see ``data/records.py``. U+001E, RECORD SEPARATOR."""

_ALL_BYTES = bytes(range(256)).decode("latin-1")
_PREFERRED_REPLACEMENTS = "\ufffd?_ "


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of a text, shape (len(text),)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def name_of(character: str) -> str:
    """A character as an error message shows it: quoted and escaped, with its code point."""
    return f"{character!r} (U+{ord(character):04X})"


def smallest_type(count: int) -> np.dtype[Any]:
    """The smallest unsigned integer type that can number ``count`` things from 0."""
    return np.min_scalar_type(max(count - 1, 0))


@dataclass(frozen=True)
class Alphabet:
    """An ordered set of characters; a character's id is its place in the order.

    >>> alphabet = Alphabet.of("hello")
    >>> alphabet.characters
    'ehlo'
    >>> alphabet.decode(alphabet.encode("hole"))
    'hole'

    Raises:
        ValueError: no characters, a character twice, a surrogate, or a bytes alphabet that is not
            the 256 byte values in order.
    """

    characters: str
    kind: str = "text"

    def __post_init__(self) -> None:
        if not self.characters:
            raise ValueError("an alphabet needs at least one character")
        if len(set(self.characters)) != len(self.characters):
            raise ValueError("an alphabet holds each character once")
        if any("\ud800" <= character <= "\udfff" for character in self.characters):
            raise ValueError("an alphabet holds no surrogates")
        if self.kind not in ("text", "bytes"):
            raise ValueError(f"an alphabet is of text or of bytes, not of {self.kind!r:.40}")
        if self.kind == "bytes" and self.characters != _ALL_BYTES:
            raise ValueError("a bytes alphabet holds the 256 byte values in order")

    @classmethod
    def of(cls, characters: Iterable[str]) -> Alphabet:
        """The alphabet of the characters that occur, in the order of their code points."""
        return cls("".join(sorted(set(characters))))

    @classmethod
    def bytes_alphabet(cls) -> Alphabet:
        """The alphabet of all byte values, so that every file can be scored."""
        return cls(_ALL_BYTES, "bytes")

    def __len__(self) -> int:
        return len(self.characters)

    @cached_property
    def _code_points(self) -> NDArray[np.uint32]:
        return code_points(self.characters)

    @cached_property
    def _ids_by_code_point(self) -> NDArray[np.int32]:
        """Id of each code point; -1 where the alphabet lacks it, as in the last entry."""
        codes = self._code_points
        table = np.full(int(codes.max()) + 2, -1, dtype=np.int32)
        table[codes] = np.arange(len(codes), dtype=np.int32)
        return table

    @cached_property
    def replacement(self) -> str:
        """What ``unknown="replace"`` puts in: U+FFFD, ?, _ or a blank, whichever it has first.

        If it has none, its first character, but not one that would end a record.
        """
        for character in _PREFERRED_REPLACEMENTS + self.characters:
            if character in self.characters and character != RECORD_END:
                return character
        return self.characters[0]

    @cached_property
    def byte_lengths(self) -> NDArray[np.int64]:
        """Bytes that each character takes in a file (UTF-8 for text), shape (V,)."""
        if self.kind == "bytes":
            return np.ones(len(self), dtype=np.int64)
        return np.array([len(c.encode()) for c in self.characters], dtype=np.int64)

    def symbols(self, text: str) -> str:
        """A text as this alphabet spells it: itself, or one symbol for each byte of its UTF-8."""
        if self.kind == "text":
            return text
        return text.encode("utf-8", "surrogateescape").decode("latin-1")

    def symbols_in(self, data: bytes, name: str) -> str:
        """The symbols that bytes hold, UTF-8 for a text alphabet: :meth:`to_bytes` undone.

        Raises:
            CorpusError: not UTF-8; ``name`` says what.
        """
        if self.kind == "bytes":
            return data.decode("latin-1")
        try:
            return data.decode()
        except UnicodeDecodeError as problem:
            raise CorpusError(f"{name}: byte {problem.start:,} is not UTF-8") from None

    def encode(self, symbols: str, unknown: str = "error", *, start: int = 0) -> Ids:
        """Ids of the symbols, shape (N,); N is smaller if ``unknown="skip"`` left some out.

        Args:
            symbols: text spelt by :meth:`symbols`.
            unknown: what to do with a character the alphabet lacks: error, skip or replace.
            start: characters that came before, for the position in an error message.

        Raises:
            UnknownCharacterError: a character it lacks, with its position (counted from 1).
        """
        if unknown not in UNKNOWN_CHOICES:
            raise ValueError(f"unknown must be one of {UNKNOWN_CHOICES}")
        table = self._ids_by_code_point
        ids = table[np.minimum(code_points(symbols), len(table) - 1)]
        lacking = ids < 0
        if lacking.any():
            if unknown == "error":
                position = int(lacking.argmax())
                raise UnknownCharacterError(
                    f"{name_of(symbols[position])} at character {start + position + 1:,} is not "
                    f"among the {len(self)} characters the model knows",
                    Remedy("leave such characters out", "unknown", "skip"),
                    Remedy("put another in their place", "unknown", "replace"),
                )
            if unknown == "skip":
                ids = ids[~lacking]
            else:
                ids[lacking] = self.characters.index(self.replacement)
        return ids.astype(smallest_type(len(self)))

    def knows(self, symbols: str) -> NDArray[np.bool_]:
        """Of each symbol whether the alphabet has it, shape (N,)."""
        table = self._ids_by_code_point
        known: NDArray[np.bool_] = table[np.minimum(code_points(symbols), len(table) - 1)] >= 0
        return known

    def count_unknown(self, symbols: str) -> int:
        """How many of the symbols the alphabet lacks."""
        return int((~self.knows(symbols)).sum())

    def decode(self, ids: Iterable[int] | Ids) -> str:
        """The symbols of ids; :meth:`to_bytes` turns them into what a file would hold."""
        wanted = ids if isinstance(ids, np.ndarray) else np.fromiter(ids, np.int64)
        codes = self._code_points[wanted]
        return codes.tobytes().decode("utf-32-le")

    def to_bytes(self, symbols: str) -> bytes:
        """What symbols stand for: UTF-8 for a text alphabet, else the bytes themselves."""
        return symbols.encode("utf-8" if self.kind == "text" else "latin-1")

    def to_dict(self) -> dict[str, str]:
        """Plain data, fit for JSON; a bytes alphabet needs no listing."""
        return {"kind": self.kind, "characters": self.characters if self.kind == "text" else ""}

    @classmethod
    def from_dict(cls, data: object) -> Alphabet:
        """Rebuild from :meth:`to_dict`'s output.

        Raises:
            ValueError: not what :meth:`to_dict` writes, or not a sound alphabet.
        """
        if not isinstance(data, dict) or set(data) != {"kind", "characters"}:
            raise ValueError("an alphabet is a table of kind and characters")
        if data["kind"] == "bytes" and data["characters"] == "":
            return cls.bytes_alphabet()
        if not isinstance(data["characters"], str):
            raise ValueError("an alphabet's characters are a string")
        return cls(data["characters"], data["kind"])


class AlphabetBuilder:
    """Numbers characters as they come, then sorts: one pass over a text of any size.

    Ids are kept as small integers: N bytes for a text of N characters, 2N where more than 256 of
    them differ; see ``disk_array.py`` for where.
    """

    def __init__(self) -> None:
        self._provisional = np.full(sys.maxunicode + 1, -1, dtype=np.int32)
        self._codes: list[int] = []
        self._ids = Growing(smallest_type(0))

    def __len__(self) -> int:
        """Characters taken in so far."""
        return len(self._ids)

    def add(self, symbols: str) -> None:
        """Take in the next part of the text."""
        codes = code_points(symbols)
        ids = self._provisional[codes]
        new = np.unique(codes[ids < 0])
        if new.size:
            self._provisional[new] = len(self._codes) + np.arange(new.size, dtype=np.int32)
            self._codes.extend(int(code) for code in new)
            ids = self._provisional[codes]
        self._ids.add(ids.astype(smallest_type(len(self._codes))))

    def finish(self) -> tuple[Alphabet, Ids]:
        """The alphabet in ascending order and the whole text's ids, shape (N,).

        Raises:
            ValueError: nothing was added.
            CorpusError: the text holds surrogates, which no encoding of text should yield.
        """
        codes = np.array(self._codes, dtype=np.int64)
        if ((codes >= 0xD800) & (codes <= 0xDFFF)).any():
            raise CorpusError(
                "the encoding yields surrogates, which are not characters",
                Remedy("take every byte as a symbol", "bytes"),
            )
        alphabet = Alphabet("".join(map(chr, sorted(self._codes))))
        final = np.empty(len(codes), dtype=smallest_type(len(codes)))
        final[np.argsort(codes)] = np.arange(len(codes))
        self._ids.translate(final)
        return alphabet, self._ids.array()
