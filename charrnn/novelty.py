"""How much of a text stands in another one, word for word: is a model writing, or reciting?

A short text (what was drawn) is made into a suffix automaton, through which the long one (what was
trained on) is run once: for every place of the short text that tells how long a span that ends
there stands in the long one. An n-gram stands there if and only if that span has n characters or
more, so all n are answered at once. Everything is exact.

Source: McCoy et al. 2023, "How much do language models copy from their training data?" (the n-grams
as a measure, beside those of held-out text).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise

import numpy as np
from numpy.typing import NDArray

from charrnn.alphabet import Alphabet, Ids
from charrnn.automaton import SuffixAutomaton

LONGEST_GRAM = 32
"""Shares are given for n-grams of up to so many characters."""

_BETWEEN = -1


@dataclass(frozen=True)
class Span:
    """A stretch of one text that stands in another.

    Attributes:
        start: where it begins in the text that was looked at, in characters from 0.
        length: its characters.
        offset: where it begins in the text that was searched, the first of such places.
    """

    start: int
    length: int
    offset: int


@dataclass(frozen=True)
class Overlap:
    """How much of a text stands in another.

    Attributes:
        characters: of the text that was looked at.
        found: for n = 1 to LONGEST_GRAM, how many of its n-grams stand in the other, each counted
            as often as it occurs.
        grams: how many there are.
        longest: the longest span that does, the first of several; None if no character does.
    """

    characters: int
    found: tuple[int, ...]
    grams: tuple[int, ...]
    longest: Span | None

    @property
    def shares(self) -> tuple[float | None, ...]:
        """The share of n-grams that are found, by n from 1; None where a text has none."""
        return tuple(
            found / grams if grams else None
            for found, grams in zip(self.found, self.grams, strict=True)
        )


def measure_overlaps(texts: Sequence[Ids], searched: Ids) -> list[Overlap]:
    """How much of each text stands in ``searched``.

    Args:
        texts: short ones, each of shape (N,).
        searched: a long one in the same alphabet, shape (M,).
    """
    symbols: list[int] = []
    for text in texts:
        symbols += [*text.tolist(), _BETWEEN]
    automaton = SuffixAutomaton(symbols)
    automaton.read(searched)
    lengths, ends = automaton.spans()
    overlaps = []
    begin = 0
    for text in texts:
        there = slice(begin, begin + len(text))
        overlaps.append(_summarise(lengths[there], ends[there]))
        begin += len(text) + 1
    return overlaps


def compare(
    drawn: Sequence[Ids], trained_on: Ids, held_out: Ids, end: int | None = None
) -> tuple[list[Overlap], list[Overlap]]:
    """How much of each drawn text stands in what was trained on, and how much of held-out text.

    The held-out text is taken in stretches as long as the drawn ones, one after another while it
    lasts: longer texts have longer spans in common, so figures compare at the same length only.
    With the id that ends a record, each record of them is a text of its own: that two stand beside
    one another says nothing.
    """
    places = pairwise(np.cumsum([0, *map(len, drawn)]))
    texts = [*drawn, *(held_out[begin:after] for begin, after in places)]
    parted = [_records_of(text, end) for text in texts]
    measured = iter(measure_overlaps([*chain.from_iterable(parted)], trained_on))
    overlaps = [together([*islice(measured, len(records))]) for records in parted]
    return overlaps[: len(drawn)], overlaps[len(drawn) :]


def together(overlaps: Sequence[Overlap]) -> Overlap:
    """The overlap of several texts as one; a span's start is that in its own text."""
    spans = [overlap.longest for overlap in overlaps if overlap.longest]
    return Overlap(
        characters=sum(overlap.characters for overlap in overlaps),
        found=tuple(map(sum, zip(*(overlap.found for overlap in overlaps), strict=True))),
        grams=tuple(map(sum, zip(*(overlap.grams for overlap in overlaps), strict=True))),
        longest=max(spans, key=lambda span: span.length, default=None),
    )


def line_of(text: Ids, offset: int, alphabet: Alphabet, end: int | None = None) -> int:
    """The line, counted from 1, that a character of a text stands in.

    With the id that ends a record, and stands before the first, it is the record.
    """
    if end is not None:
        return int(np.count_nonzero(text[: offset + 1] == end))
    newline = alphabet.characters.find("\n")
    return int(np.count_nonzero(text[:offset] == newline)) + 1


def _records_of(text: Ids, end: int | None) -> list[Ids]:
    """The records of a text, its first and last perhaps cut; the text itself if it has none."""
    if end is None:
        return [text]
    return [part[part != end] for part in np.split(text, np.flatnonzero(text == end))]


def _summarise(lengths: NDArray[np.int64], ends: NDArray[np.int64]) -> Overlap:
    """The overlap of a text, from the longest span that ends at each of its characters."""
    sizes = range(1, LONGEST_GRAM + 1)
    longest = None
    if lengths.any():
        last = int(lengths.argmax())
        length = int(lengths[last])
        longest = Span(last + 1 - length, length, int(ends[last]) + 1 - length)
    return Overlap(
        characters=len(lengths),
        found=tuple(int(np.count_nonzero(lengths >= n)) for n in sizes),
        grams=tuple(max(len(lengths) + 1 - n, 0) for n in sizes),
        longest=longest,
    )
