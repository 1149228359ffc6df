"""How much of a text stands in another one, word for word: is a model writing, or reciting?

A short text (what was drawn) is made into a suffix automaton, through which the long one (what was
trained on) is run once: for every place of the short text that tells how long a span that ends
there stands in the long one. An n-gram stands there if and only if that span has n characters or
more, so all n are answered at once. Everything is exact.

Source: McCoy et al. 2023, "How much do language models copy from their training data?" (the n-grams
as a measure, beside those of held-out text).

The suffix automaton of a short text: what of it stands in a long one, and where.

It is the smallest machine that can follow every substring of the short text. The long text is run
through it once: after each character the machine is in the state of the longest end of what was
read that stands in the short text too; each state keeps the longest it saw, and where. With a span
all its suffixes are there, so a last pass, from the longest states to the shortest, tells the rest.
It takes one step for each character of the long text (amortised).

Sources: Blumer et al. 1985, "The smallest automaton recognizing the subwords of a text"; Chang &
Lawler 1994, "Sublinear approximate string matching" (matching statistics).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Ids
from charrnn.data.encoded_text import EncodedText

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
    drawn: Sequence[Ids], trained_on: EncodedText, held_out: EncodedText
) -> tuple[list[Overlap], list[Overlap]]:
    """Measure the overlaps of drawn texts, and of held-out text, with the training text.

    The held-out text is taken in stretches as long as the drawn ones, one after another while it
    lasts: longer texts have longer spans in common, so figures compare at the same length only.
    Records are measured each by itself, since the order in which they stand says nothing.

    Args:
        drawn: the drawn texts, each of shape (N,), cut as the held-out text is.
        trained_on: the text to search.
        held_out: text that was not trained on.

    Returns:
        The overlap of each drawn text, and that of each stretch of held-out text.
    """
    places = pairwise(np.cumsum([0, *map(len, drawn)]))
    texts = [
        *(held_out.with_ids(ids) for ids in drawn),
        *(held_out[begin:after] for begin, after in places),
    ]
    cut = [text.pieces() for text in texts]
    measured = iter(measure_overlaps([*chain.from_iterable(cut)], trained_on.ids))
    overlaps = [together([*islice(measured, len(pieces))]) for pieces in cut]
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


_AT_ONCE = 1 << 16


class SuffixAutomaton:
    """The suffix automaton of some symbols.

    State 0 is the empty span's. A state stands for the spans that end at the same places of the
    symbols: suffixes of one another, the longest of ``_length`` symbols, the shortest one longer
    than the longest of the state that ``_suffix`` names.

    Args:
        symbols: a short text's.
    """

    def __init__(self, symbols: Sequence[int]) -> None:
        self._next: list[dict[int, int]] = [{}]
        self._suffix = [-1]
        self._length = [0]
        self._after: list[int] = []
        for symbol in symbols:
            self._append(symbol)
        self._reached = [0] * len(self._next)
        self._end = [-1] * len(self._next)
        self._first = [-1] * len(self._next)

    def _append(self, symbol: int) -> None:
        last = self._after[-1] if self._after else 0
        new = self._add({}, self._length[last] + 1, 0)
        self._after.append(new)
        state = last
        while state >= 0 and symbol not in self._next[state]:
            self._next[state][symbol] = new
            state = self._suffix[state]
        if state < 0:
            return
        follower = self._next[state][symbol]
        if self._length[follower] != self._length[state] + 1:
            follower = self._split(state, symbol)
        self._suffix[new] = follower

    def _split(self, state: int, symbol: int) -> int:
        """Give the spans of a state and a symbol a state apart from longer ones."""
        whole = self._next[state][symbol]
        part = self._add(self._next[whole].copy(), self._length[state] + 1, self._suffix[whole])
        self._suffix[whole] = part
        while state >= 0 and self._next[state].get(symbol) == whole:
            self._next[state][symbol] = part
            state = self._suffix[state]
        return part

    def _add(self, followers: dict[int, int], length: int, suffix: int) -> int:
        self._next.append(followers)
        self._length.append(length)
        self._suffix.append(suffix)
        return len(self._next) - 1

    def read(self, text: Ids) -> None:
        """Run a text through; keep the longest span that each state saw, its first end, and where
        the state first saw any.
        """
        # Local names: this loop takes all the time there is.
        following, suffix, lengths = self._next, self._suffix, self._length
        reached, end, first = self._reached, self._end, self._first
        state = length = 0
        for begin in range(0, len(text), _AT_ONCE):
            for place, symbol in enumerate(text[begin : begin + _AT_ONCE].tolist(), begin):
                followers = following[state]
                while symbol not in followers and state:
                    state = suffix[state]
                    length = lengths[state]
                    followers = following[state]
                if symbol not in followers:
                    continue
                state = followers[symbol]
                length += 1
                if length > reached[state]:
                    if not reached[state]:
                        first[state] = place
                    reached[state] = length
                    end[state] = place

    def spans(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each symbol, the length of the longest span that ends there and was read, and the
        place in the text where it ended first (-1 for a length of 0).
        """
        reached, end, first = self._reached.copy(), self._end.copy(), self._first.copy()
        for state in sorted(range(1, len(reached)), key=lambda state: -self._length[state]):
            shorter = self._suffix[state]
            if not (shorter and reached[state]):
                continue
            # Wherever a span of this state ended, so did the whole of the shorter one.
            if reached[shorter] < self._length[shorter] or first[state] < end[shorter]:
                reached[shorter], end[shorter] = self._length[shorter], first[state]
            if first[shorter] < 0 or first[state] < first[shorter]:
                first[shorter] = first[state]
        found = [self._longest(state, reached) for state in self._after]
        return np.array([reached[state] for state in found], np.int64), np.array(
            [end[state] for state in found], np.int64
        )

    def _longest(self, state: int, reached: Sequence[int]) -> int:
        """The state of the longest suffix that was reached, of those that end with a state's."""
        while state and not reached[state]:
            state = self._suffix[state]
        return state
