"""What each character of a passage cost, and what was expected where it cost most."""

from __future__ import annotations

import math
from dataclasses import dataclass

from charrnn.alphabet import Alphabet, Ids
from charrnn.expectations import expect, find_worst, measure
from charrnn.reading import Reader

_BEFORE = 24
_EXPECTED = 3


@dataclass(frozen=True)
class Costly:
    """A character that the model did not expect.

    Attributes:
        before: the characters it came after.
        symbol: itself.
        bits: what it cost.
        expected: the likeliest characters there, with their probabilities.
    """

    before: str
    symbol: str
    bits: float
    expected: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Passage:
    """A text, the bits that each of its characters cost, and those that cost most, falling."""

    symbols: str
    bits: tuple[float, ...]
    costliest: tuple[Costly, ...]


def read_passage(
    reader: Reader, ids: Ids, alphabet: Alphabet, worst: int, end: int | None = None
) -> Passage:
    """Read a passage (N,), N >= 1, from an empty state, and find ``worst`` costly characters.

    With the id that ends a record, each is read so, and the end before them all is left out.
    """
    symbols = alphabet.decode(ids)
    nats = measure(reader, ids, end)
    bits = tuple((nats / math.log(2)).tolist())
    costliest = tuple(
        Costly(
            before=symbols[max(one.position - _BEFORE, 0) : one.position],
            symbol=symbols[one.position],
            bits=bits[one.position],
            expected=tuple((alphabet.characters[other], p) for other, p in one.likeliest),
        )
        for one in expect(reader, ids, find_worst(nats, worst), _EXPECTED, end)
    )
    scored = slice(0 if end is None else 1, None)
    return Passage(symbols[scored], bits[scored], costliest)
