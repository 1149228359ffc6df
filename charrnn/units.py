"""The units that a measured text is told in: lines, or so many characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from charrnn.alphabet import RECORD_END
from charrnn.reading import Doubles
from charrnn.surprisal import NEWLINE, Measured


class Part(NamedTuple):
    """A unit of a text, or some of it: its symbols, their nats, and whether the unit ends here."""

    symbols: str
    nats: Doubles
    last: bool


Ends = Callable[[str, int], Iterable[int]]
"""Ends(symbols, begun): where units end among some symbols, after each; ``begun`` is how many
characters the first unit had before them."""


def ends_of_lines(symbols: str, begun: int) -> Iterator[int]:  # noqa: ARG001
    """A line ends after its newline."""
    return (found.end() for found in re.finditer(NEWLINE, symbols))


def ends_of_records(symbols: str, begun: int) -> Iterator[int]:  # noqa: ARG001
    """A record ends after its RECORD_END."""
    return (found.end() for found in re.finditer(RECORD_END, symbols))


def ends_of_windows(size: int) -> Ends:
    """So many characters make a unit."""
    return lambda symbols, begun: range(size - begun, len(symbols) + 1, size)


def cut(measured: Iterable[Measured], ends: Ends) -> Iterator[Part]:
    """The same text in units; what is left at its end is one too."""
    begun = 0
    for symbols, nats in measured:
        begin = 0
        for end in ends(symbols, begun):
            yield Part(symbols[begin:end], nats[begin:end], last=True)
            begin, begun = end, 0
        if begin < len(symbols):
            yield Part(symbols[begin:], nats[begin:], last=False)
            begun += len(symbols) - begin
    if begun:
        yield Part("", np.empty(0), last=True)
