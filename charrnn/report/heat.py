"""Numbers along a text as the colours behind its characters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from charrnn.alphabet import RECORD_END

BITS = (0.5, 1.0, 2.0, 3.0, 4.5, 6.5, 9.0)
"""Where one colour of the surprisal map ends and the next begins."""

_ACTIVATIONS = (0.1, 0.3, 0.5, 0.7, 0.9)


class Run(NamedTuple):
    """Neighbouring characters of one colour: the colour's class in the style sheet, and they."""

    colour: str
    text: str


def by_bits(symbols: str, bits: Sequence[float]) -> list[Run]:
    """A text coloured by what its characters cost."""
    return list(_colour(symbols, bits, lambda cost: f"bits-{bisect_right(BITS, cost)}"))


def by_activation(symbols: str, activations: Sequence[float]) -> list[Run]:
    """A text coloured by the activation, from -1 to 1, of a unit."""

    def colour(active: float) -> str:
        strength = bisect_right(_ACTIVATIONS, abs(active))
        return f"{'below' if active < 0 else 'above'}-{strength}" if strength else "still"

    return list(_colour(symbols, activations, colour))


def _colour(symbols: str, values: Iterable[float], colour: Callable[[float], str]) -> Iterator[Run]:
    """Newlines, and ends of records, are shown by a sign as well, which carries their colour."""
    coloured = zip(map(colour, values), symbols, strict=True)
    for shade, group in groupby(coloured, lambda one: one[0]):
        text = "".join(symbol for _, symbol in group)
        yield Run(shade, text.replace("\n", "\u21b5\n").replace(RECORD_END, "\u241e\n"))
