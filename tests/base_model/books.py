"""The text that the English base model is trained on: public-domain books in several dresses.

Publishers and transcribers set the same English in different characters. Each book gets one dress
at random, so that the model meets them all:

    quotes    plain (' and ") or typographic
    lines     a paragraph a line, or wrapped to a width between 60 and 79 columns
    dashes    an em dash, two hyphens, or two hyphens with blanks
"""

from __future__ import annotations

import random
import re
import tarfile
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HELD_OUT = ("Algernon Blackwood", "Ambrose Bierce", "Anna Sewell", "Kate Chopin", "Kenneth Grahame")
"""Authors of whom the model reads nothing: their books are the held-out part."""

ALPHABET = frozenset(
    "\n" + "".join(map(chr, range(0x20, 0x7F))) + "\u2014\u2018\u2019\u201c\u201d\u2026"
    "\u00a3\u00b0\u00e0\u00e2\u00e6\u00e7\u00e8\u00e9\u00ea\u00ee\u00ef\u00f1\u00f4\u00f6\u0153\u00fc"
)
"""The characters that are learnt; others are rare in English books."""

_HEADER_END = re.compile(r"^-{5,}\s*$", re.MULTILINE)
_LONGEST_HEADER = 2_000

_PLAIN = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_CLOSING = str.maketrans("'\"", "\u2019\u201d")
_ELISIONS = (
    r"(?:tis|twas|twere|twill|twould|twixt|em|im|er|un|bout|cause|neath|gainst|round|til|\d+s?)"
)
_OPENING_SINGLE = re.compile(
    rf"(?:(?<![^\s(\[\u201c\"])|(?<=[-\u2014])(?=.\w))'(?!{_ELISIONS}\b|\s|$)",
    re.IGNORECASE | re.MULTILINE,
)
_OPENING_DOUBLE = re.compile(
    r"(?:(?<![^\s(\[\u2018'])|(?<=[-\u2014])(?=.['\u2018]?\w))\"(?!\s|$)", re.MULTILINE
)
_DASH = re.compile(r"[^\S\n]*(?:\u2014+|(?<!-)-{2,4}(?!-))[^\S\n]*")
_QUOTES = frozenset("'\"\u2018\u2019\u201c\u201d")
_WIDTHS = (60, 79)

_SPELLINGS = {
    "\t": " ",
    "\u2028": " ",
    "\u2010": "-",
    "\u2011": "-",
    "\u2013": "-",
    "\u2212": "-",
    "\u2015": "\u2014",
    "\u2044": "/",
    "\u00c6": "Ae",
    "\u0152": "Oe",
    "\u00df": "ss",
    "\u00f8": "o",
    "\u0142": "l",
    "\u00bc": " 1/4",
    "\u00bd": " 1/2",
    "\u00be": " 3/4",
}
"""Characters that are not merely accented letters, in those of ALPHABET."""


@dataclass(frozen=True)
class Book:
    """A book.

    Attributes:
        author: its author.
        title: its title.
        text: what is printed in it, a paragraph a line, with an empty line between paragraphs.
    """

    author: str
    title: str
    text: str


def read_books(archive: Path) -> list[Book]:
    """Read the books of a tar archive, whose files are called ``AUTHOR - TITLE.txt``."""
    books = []
    with tarfile.open(archive) as files:
        for member in files:
            stream = files.extractfile(member) if member.isfile() else None
            if stream is None:
                continue
            author, _, title = Path(member.name).stem.partition(" - ")
            text = stream.read().decode("utf-8-sig").replace("\r\n", "\n")
            header = _HEADER_END.search(text, 0, _LONGEST_HEADER)
            body = text[header.end() :] if header else text
            books.append(Book(author.strip(), title.strip(), body.strip() + "\n"))
    return sorted(books, key=lambda book: (book.author, book.title))


def dress(text: str, rng: random.Random) -> str:
    """Write a text with one kind of quotes, lines and dashes, chosen at random."""
    dash = rng.choice(("\u2014", "--", " -- "))
    text = set_dashes(text, dash)
    text = curl_quotes(text) if rng.random() < 0.5 else text.translate(_PLAIN)
    if rng.random() < 0.5:
        width = rng.randint(*_WIDTHS)
        text = "\n".join(_wrap(line, width) for line in text.split("\n"))
    return text


def set_dashes(text: str, dash: str) -> str:
    """Write every dash of a text in one form."""
    return _DASH.sub(lambda found: _set_dash(text, found, dash), text)


def _set_dash(text: str, found: re.Match[str], dash: str) -> str:
    """Set a dash: without blanks where a line or a quotation begins or ends beside it."""
    mark, before, after = dash.strip(), text[: found.start()][-2:], text[found.end() :][:2]
    if mark == dash:
        return mark
    opens = (
        not before
        or before[-1] == "\n"
        or (before[-1] in _QUOTES and (len(before) == 1 or before[0].isspace()))
    )
    closes = (
        not after or after[0] in "\n,.;:!?" or (after[0] in _QUOTES and not after[1:].isalnum())
    )
    return " " * (not opens) + mark + " " * (not closes)


def curl_quotes(text: str) -> str:
    """Make plain quotes typographic; those that are already stay.

    A quote opens after a blank or a bracket, and after a dash if a letter follows; any other, and
    the apostrophe of an elision, closes.
    """
    text = _OPENING_DOUBLE.sub("\u201c", text)
    text = _OPENING_SINGLE.sub("\u2018", text)
    return text.translate(_CLOSING)


def _wrap(line: str, width: int) -> str:
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) or line


def spell(text: str) -> str:
    """Write a text in the characters of ALPHABET: others without their accents, or left out."""
    return "".join(c if c in ALPHABET else _spell_plainly(c) for c in text)


@cache
def _spell_plainly(character: str) -> str:
    plain = _SPELLINGS.get(character) or unicodedata.normalize("NFKD", character)
    return "".join(c for c in plain if c in ALPHABET)


def dress_books(books: Iterable[Book], seed: int) -> Iterator[str]:
    """Give each book its dress, in the characters of ALPHABET."""
    for book in books:
        rng = random.Random(f"{seed} {book.author} {book.title}")
        yield spell(dress(book.text, rng))


def order_books(books: Iterable[Book], seed: int) -> tuple[list[Book], list[Book]]:
    """Return the books to learn, in an order of chance, and the books held out."""
    learnt = [book for book in books if book.author not in HELD_OUT]
    held_out = [book for book in books if book.author in HELD_OUT]
    random.Random(seed).shuffle(learnt)
    return learnt, held_out
