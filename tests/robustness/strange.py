"""Strange bytes, texts and names, drawn; and what must never reach a terminal."""

import codecs
import encodings.aliases
import random
import unicodedata
from itertools import pairwise

from charrnn.data.text_reader import check_encoding
from charrnn.errors import UsageError

_HARD = (
    *("a", "b ", "\n", "\r\n", "\r", "\t", "\0", "é", "\u4e0a", "\U0001f980", "\ufeff", "\u0301"),
    *("\x1b[31m", "\x1b]0;title\x07", "\x1b[2J", "\x9b2J", "\x7f", "\x08", "\x85", "\x90"),
    *("\u202e", "\u2066", "\u2069", "\u200f", "\u061c", "\u2028", "\u2029", "\u200b", "\u200d"),
    *("\U000e0041", "\ufe0f", "[red]", "[/]", "{}", "%s", "--help", "+AAAA", "\\x41", "~{", "\xff"),
)
_SPOILING = (b"\xff", b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf0\x9f", b"\xe4\xb8", b"\x1b$B")
_OPENINGS = ("", "", "-", "--", "[red]", "[/]", ".", "..", "~", " ", "\u202e", "\x1b[31m")
_BIDI_CLASSES = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_BIDI_MARKS = {"LEFT-TO-RIGHT MARK", "RIGHT-TO-LEFT MARK", "ARABIC LETTER MARK"}


def known_encodings() -> list[str]:
    """Every encoding that ``--encoding`` takes, by the name of its codec."""
    names = {*encodings.aliases.aliases.values(), "utf_8_sig", "raw_unicode_escape"}
    known = []
    for name in sorted(names):
        try:
            check_encoding(name)
        except UsageError:
            continue
        known.append(name)
    return known


def draw_text(rng: random.Random, most: int = 60) -> str:
    """A text of hard pieces and of characters from anywhere, surrogates excepted."""
    pieces = []
    for _ in range(rng.randrange(most)):
        anywhere = rng.randrange(0x110000 if rng.random() < 0.3 else 0x300)
        is_surrogate = 0xD800 <= anywhere < 0xE000
        pieces.append(rng.choice(_HARD) if rng.random() < 0.7 or is_surrogate else chr(anywhere))
    return "".join(pieces)


def draw_bytes(rng: random.Random, encoding: str) -> bytes:
    """Random bytes, or a text in an encoding, as often as not with some bytes spoiled."""
    if rng.random() < 0.2:
        return rng.randbytes(rng.randrange(200))
    data = bytearray(codecs.encode(draw_text(rng), encoding, "ignore"))
    while rng.random() < 0.5:
        place = rng.randrange(len(data) + 1)
        data[place : place + rng.randrange(3)] = rng.choice((*_SPOILING, rng.randbytes(1), b""))
    return bytes(data)


def draw_cuts(rng: random.Random, data: bytes) -> list[bytes]:
    """The same bytes in pieces, none of them empty."""
    count = rng.randrange(len(data) + 1)
    places = sorted({0, len(data), *(rng.randrange(len(data) + 1) for _ in range(count))})
    return [data[a:b] for a, b in pairwise(places)]


def draw_name(rng: random.Random) -> str:
    """A name that a file can have, whatever it does to a terminal or a command line."""
    text = rng.choice(_OPENINGS) + draw_text(rng, 8) + ("x" * rng.randrange(1, 240))
    data = text.encode().translate(None, b"/\0")[: rng.randrange(10, 256)]
    if rng.random() < 0.3:
        data = data[:-1] + bytes([rng.randrange(0x80, 0x100)])
    return data.decode("utf-8", "surrogateescape")


def obeyed(text: str) -> set[str]:
    """The characters of a text that a terminal would obey rather than show."""
    return {character for character in set(text) if _is_obeyed(character)}


def _is_obeyed(character: str) -> bool:
    return (
        (unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character not in "\n\t")
        or unicodedata.bidirectional(character) in _BIDI_CLASSES
        or unicodedata.name(character, "") in _BIDI_MARKS
    )
