"""Alphabets: map characters to ids and back.

One class serves two kinds of alphabet. A *text* alphabet holds the Unicode code points of a corpus
in ascending order. A *bytes* alphabet holds all 256 byte values, written as the code points U+0000
to U+00FF, so that all code between reading a file and writing one handles both kinds alike.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.config.inference import UNKNOWN_CHOICES
from charrnn.data.disk_array import GrowingArray, split_into_blocks
from charrnn.errors import CorpusError, Remedy, UnknownCharacterError

TAKE_BYTES = Remedy("take every byte as a symbol", "encoding", None)
"""The way out for a text that no encoding suits."""


_UNKNOWN_REMEDIES = (
    Remedy("skip such characters", "unknown", "skip"),
    Remedy("replace them", "unknown", "replace"),
)

_DEFAULT_PRIMES = "\n "


def encode_default_prime(alphabet: Alphabet) -> Ids:
    """Encode the prime that is used if none is given, shape (1,).

    It is a newline or, if the alphabet lacks it, a space, or else the first character.
    """
    first = next((c for c in _DEFAULT_PRIMES if c in alphabet.characters), alphabet.characters[0])
    return alphabet.encode(first)


def count_ids(ids: Ids, alphabet_size: int) -> NDArray[np.int64]:
    """Count the occurrences of each id, shape (V,), block by block to save memory."""
    counts = np.zeros(alphabet_size, dtype=np.int64)
    for part in split_into_blocks(ids):
        counts += np.bincount(part, minlength=alphabet_size)
    return counts


Ids = NDArray[Any]
"""Ids in the smallest unsigned integer type that fits the alphabet, shape (N,)."""

RECORD_END = "\x1e"
"""The end of a record, U+001E RECORD SEPARATOR; see ``data/records.py``."""

STRAY_END = "\udc1e"
"""Stands for RECORD_END within a record: no model knows it there, as it knows no lone surrogate."""

_ALL_BYTES = bytes(range(256)).decode("latin-1")
_PREFERRED_REPLACEMENTS = "\ufffd?_ "


def to_code_points(text: str) -> NDArray[np.uint32]:
    """Convert a text to its code points, shape (len(text),)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def format_character(character: str) -> str:
    """Format a character for an error message: quoted and escaped, with its code point."""
    return f"{character!r} (U+{ord(character):04X})"


def find_smallest_dtype(count: int) -> np.dtype[Any]:
    """Find the smallest unsigned integer type that can hold 0 to ``count`` - 1."""
    return np.min_scalar_type(max(count - 1, 0))


_NO_BYTE = "\udc00"


def is_invalid_byte(character: str) -> bool:
    """Return whether a character stands for a byte that its encoding does not allow (PEP 383)."""
    return _NO_BYTE <= character < "\udd00"


def keep_invalid_bytes(problem: UnicodeError) -> tuple[str | bytes, int]:
    """Decode bytes that an encoding does not allow, each to U+DC00 and its value, and encode these.

    An error handler for :func:`codecs.register_error`. For bytes from 0x80 on it is that of
    PEP 383, which has no place for the others. Any other lone surrogate is encoded as if it were a
    character.
    """
    if isinstance(problem, UnicodeDecodeError):
        invalid = problem.object[problem.start : problem.end]
        return "".join(chr(ord(_NO_BYTE) + byte) for byte in invalid), problem.end
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    character = problem.object[problem.start]
    if is_invalid_byte(character):
        return bytes([ord(character) - ord(_NO_BYTE)]), problem.start + 1
    return character.encode("utf-8", "surrogatepass"), problem.start + 1


KEEPING_BYTES = "charrnn.bytes"
"""The name of the error handler :func:`keep_invalid_bytes`."""

codecs.register_error(KEEPING_BYTES, keep_invalid_bytes)

_LONGEST_SEQUENCE = 4


def drop_cut_characters(data: bytes) -> bytes:
    """Leave out the rest of a character at the beginning of some UTF-8, and a part at its end.

    A text that was cut at a number of bytes begins and ends so.

    >>> drop_cut_characters("\u00e9t\u00e9".encode()[1:-1]).decode()
    't'
    """
    begin = 0
    while begin < min(_LONGEST_SEQUENCE, len(data)) and data[begin] & 0xC0 == 0x80:
        begin += 1
    whole = data[begin:] if begin < _LONGEST_SEQUENCE else data
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(whole)
    return whole[: len(whole) - len(decoder.getstate()[0])]


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
        """Build an alphabet of the characters in a text, in the order of their code points."""
        return cls("".join(sorted(set(characters))))

    @classmethod
    def bytes_alphabet(cls) -> Alphabet:
        """Build the alphabet of all byte values."""
        return cls(_ALL_BYTES, "bytes")

    def __len__(self) -> int:
        return len(self.characters)

    @cached_property
    def _code_points(self) -> NDArray[np.uint32]:
        return to_code_points(self.characters)

    @cached_property
    def _ids_by_code_point(self) -> NDArray[np.int32]:
        """The id of each code point; -1 if the alphabet lacks it, as in the last entry."""
        codes = self._code_points
        table = np.full(int(codes.max()) + 2, -1, dtype=np.int32)
        table[codes] = np.arange(len(codes), dtype=np.int32)
        return table

    @cached_property
    def replacement(self) -> str:
        """The character that ``unknown="replace"`` inserts: the first of U+FFFD, ?, _ and space.

        An alphabet without these uses its first character, but not the end of a record.
        """
        for character in _PREFERRED_REPLACEMENTS + self.characters:
            if character in self.characters and character != RECORD_END:
                return character
        return self.characters[0]

    @cached_property
    def byte_lengths(self) -> NDArray[np.int64]:
        """The number of bytes of each character in a file (UTF-8 for text), shape (V,)."""
        if self.kind == "bytes":
            return np.ones(len(self), dtype=np.int64)
        return np.array([len(c.encode()) for c in self.characters], dtype=np.int64)

    def symbols(self, text: str) -> str:
        """Convert a text to symbols: unchanged, or one symbol for each byte of its UTF-8."""
        if self.kind == "text":
            return text
        return text.encode("utf-8", KEEPING_BYTES).decode("latin-1")

    def symbols_in(self, data: bytes, name: str, unknown: str = "error") -> str:
        """Convert bytes, UTF-8 for a text alphabet, to symbols: the inverse of :meth:`to_bytes`.

        Args:
            data: the bytes.
            name: their name in an error message.
            unknown: treatment of characters that the alphabet lacks. Unless it is error, a byte
                that is not UTF-8 is one of them, a lone surrogate (PEP 383).

        Raises:
            CorpusError: the bytes are not UTF-8, and ``unknown`` is error.
        """
        if self.kind == "bytes":
            return data.decode("latin-1")
        try:
            return data.decode(errors="strict" if unknown == "error" else "surrogateescape")
        except UnicodeDecodeError as problem:
            raise CorpusError(
                f"{name}: byte {problem.start:,} is not UTF-8", *_UNKNOWN_REMEDIES
            ) from None

    def encode(self, symbols: str, unknown: str = "error", *, start: int = 0) -> Ids:
        """Encode symbols as ids, shape (N,); ``unknown="skip"`` makes N smaller.

        Args:
            symbols: text as :meth:`symbols` returns it.
            unknown: treatment of characters that the alphabet lacks: error, skip or replace.
            start: number of characters before these, for the position in an error message.

        Raises:
            UnknownCharacterError: the alphabet lacks a character; names its position, from 1.
        """
        if unknown not in UNKNOWN_CHOICES:
            raise ValueError(f"unknown must be one of {UNKNOWN_CHOICES}")
        table = self._ids_by_code_point
        ids = table[np.minimum(to_code_points(symbols), len(table) - 1)]
        lacking = ids < 0
        if lacking.any():
            if unknown == "error":
                raise self._describe_unknown(symbols, int(lacking.argmax()), start)
            if unknown == "skip":
                ids = ids[~lacking]
            else:
                ids[lacking] = self.characters.index(self.replacement)
        return ids.astype(find_smallest_dtype(len(self)))

    def _describe_unknown(self, symbols: str, position: int, start: int) -> UnknownCharacterError:
        """Make the error about an unknown symbol; see :meth:`encode`."""
        character = symbols[position]
        shown, meaning = format_character(character), ""
        if character == STRAY_END:
            shown = format_character(RECORD_END)
            meaning = ": it ends a record, and cannot be within one"
        elif is_invalid_byte(character):
            byte = ord(character) - ord(_NO_BYTE)
            meaning = f": it stands for the byte 0x{byte:02X}, which the encoding does not allow"
        return UnknownCharacterError(
            f"{shown} at character {start + position + 1:,} is not among the {len(self)} "
            f"characters the model knows{meaning}",
            *_UNKNOWN_REMEDIES,
            character=character,
        )

    def knows(self, symbols: str) -> NDArray[np.bool_]:
        """Return for each symbol whether the alphabet contains it, shape (N,)."""
        table = self._ids_by_code_point
        known: NDArray[np.bool_] = table[np.minimum(to_code_points(symbols), len(table) - 1)] >= 0
        return known

    def count_unknown(self, symbols: str) -> int:
        """Count the symbols that the alphabet lacks."""
        return int((~self.knows(symbols)).sum())

    def decode(self, ids: Iterable[int] | Ids) -> str:
        """Decode ids to symbols; :meth:`to_bytes` converts these to the bytes of a file."""
        wanted = ids if isinstance(ids, np.ndarray) else np.fromiter(ids, np.int64)
        codes = self._code_points[wanted]
        return codes.tobytes().decode("utf-32-le")

    def to_bytes(self, symbols: str) -> bytes:
        """Convert symbols to bytes: UTF-8 for a text alphabet, else the byte values themselves."""
        return symbols.encode("utf-8" if self.kind == "text" else "latin-1")

    def to_dict(self) -> dict[str, str]:
        """Convert to plain data for JSON; a bytes alphabet lists no characters."""
        return {"kind": self.kind, "characters": self.characters if self.kind == "text" else ""}

    @classmethod
    def from_dict(cls, data: object) -> Alphabet:
        """Rebuild an alphabet from the output of :meth:`to_dict`.

        Raises:
            ValueError: the data is no such output, or not a valid alphabet.
        """
        if not isinstance(data, dict) or set(data) != {"kind", "characters"}:
            raise ValueError("an alphabet is a table of kind and characters")
        if data["kind"] == "bytes" and data["characters"] == "":
            return cls.bytes_alphabet()
        if not isinstance(data["characters"], str):
            raise ValueError("an alphabet's characters are a string")
        return cls(data["characters"], data["kind"])


class AlphabetBuilder:
    """Builds an alphabet and the ids of a text of any size in one pass.

    Characters get provisional ids in the order of their first occurrence; the ids are sorted at the
    end. They are small integers, one byte each for up to 256 different characters, and are kept in
    memory or in a temporary file, see ``disk_array.py``.
    """

    def __init__(self) -> None:
        self._provisional = np.full(sys.maxunicode + 1, -1, dtype=np.int32)
        self._codes: list[int] = []
        self._ids = GrowingArray(find_smallest_dtype(0))

    def __len__(self) -> int:
        """The number of characters added so far."""
        return len(self._ids)

    def add(self, symbols: str) -> None:
        """Add the next part of the text."""
        codes = to_code_points(symbols)
        ids = self._provisional[codes]
        new = np.unique(codes[ids < 0])
        if new.size:
            self._provisional[new] = len(self._codes) + np.arange(new.size, dtype=np.int32)
            self._codes.extend(int(code) for code in new)
            ids = self._provisional[codes]
        self._ids.add(ids.astype(find_smallest_dtype(len(self._codes))))

    def finish(self) -> tuple[Alphabet, Ids]:
        """Return the alphabet in ascending order and the ids of the whole text, shape (N,).

        Raises:
            ValueError: nothing was added.
            CorpusError: the text contains surrogates, which a text encoding should not yield.
        """
        codes = np.array(self._codes, dtype=np.int64)
        if ((codes >= 0xD800) & (codes <= 0xDFFF)).any():
            raise CorpusError(
                "the encoding yields surrogates, which are not characters",
                TAKE_BYTES,
            )
        alphabet = Alphabet("".join(map(chr, sorted(self._codes))))
        final = np.empty(len(codes), dtype=find_smallest_dtype(len(codes)))
        final[np.argsort(codes)] = np.arange(len(codes))
        self._ids.translate(final)
        return alphabet, self._ids.array()
