"""How a text is laid out in lines and paragraphs, and how much of it stands there twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.alphabet import Alphabet, Ids

SPAN = 64
"""Characters of a span that is looked for elsewhere; a power of two."""

_CHUNK = 1 << 20
_MIXER = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.uint64(29)


@dataclass(frozen=True)
class Lengths:
    """How many there are of something, and how long they are in characters.

    Attributes:
        count: how many.
        median: the median of their lengths; 0 of none.
        longest: the length of the longest; 0 of none.
    """

    count: int
    median: float
    longest: int

    @classmethod
    def of(cls, lengths: list[int]) -> Lengths:
        """Sum up some lengths."""
        if not lengths:
            return cls(0, 0.0, 0)
        return cls(len(lengths), float(np.median(lengths)), max(lengths))


@dataclass(frozen=True)
class Layout:
    """A text's lines and paragraphs.

    Attributes:
        lines: those with something on them, their newlines not counted.
        blank_lines: those with nothing but white space.
        paragraphs: runs of lines between blank ones.
        repeated_lines: lines with something on them that stand there again, after the first time.
    """

    lines: Lengths
    blank_lines: int
    paragraphs: Lengths
    repeated_lines: int

    @property
    def repeated_share(self) -> float:
        """The share of lines that are repeated."""
        return self.repeated_lines / max(self.lines.count, 1)


def lay_out(ids: Ids, alphabet: Alphabet) -> Layout:
    """Measure the lines of a text, shape (N,)."""
    lines: list[int] = []
    paragraphs: list[int] = []
    different: set[int] = set()
    blank = 0
    inside = False
    for line in _lines(ids, alphabet):
        if not line.strip():
            blank += 1
            inside = False
            continue
        lines.append(len(line))
        # Hashes of 64 bits for the lines themselves: a text of many lines needs no more memory.
        different.add(hash(line))
        if inside:
            paragraphs[-1] += 1 + len(line)
        else:
            paragraphs.append(len(line))
        inside = True
    return Layout(Lengths.of(lines), blank, Lengths.of(paragraphs), len(lines) - len(different))


def _lines(ids: Ids, alphabet: Alphabet) -> Iterator[str]:
    unfinished: list[str] = []
    for begin in range(0, len(ids), _CHUNK):
        first, *others = alphabet.decode(ids[begin : begin + _CHUNK]).split("\n")
        unfinished.append(first)
        for line in others:
            yield "".join(unfinished)
            unfinished = [line]
    if rest := "".join(unfinished):
        yield rest


def copied_share(learnt: Ids, text: Ids) -> float:
    """The share of a text's spans of :data:`SPAN` characters that stand in another text.

    Much of it in what is held out means that a model is asked for what it has been told.
    """
    if len(text) < SPAN or len(learnt) < SPAN:
        return 0.0
    known, asked = np.sort(_fingerprints(learnt)), np.sort(_fingerprints(text))
    nearest = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return float((known[nearest] == asked).mean())


def _fingerprints(ids: Ids) -> NDArray[np.uint64]:
    """A number of 64 bits for each span, put together from those of its halves."""
    numbers = (ids.astype(np.uint64) + np.uint64(1)) * _MIXER
    width = 1
    while width < SPAN:
        ends = numbers[width:]
        numbers = numbers[:-width] * _MIXER
        numbers += ends
        numbers ^= numbers >> _FOLD
        width *= 2
    return numbers
