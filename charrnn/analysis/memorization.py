"""Memorization: the overlap of drawn text with the training text, span by span and exact.

The drawn text is made into a suffix automaton, the smallest automaton that follows every substring
of it. The training text is run through it once. After each character the automaton is in the state
of the longest suffix of the characters read that the drawn text holds too, and each state keeps the
longest such suffix and its position. The suffixes of a span occur wherever the span does, so a pass
from the longest states to the shortest completes the others. That takes one step (amortized) for
each character of the training text, and yields for every position of the drawn text the longest
span ending there that the training text holds. An n-gram occurs in the training text if and only if
the span that ends with it has n characters or more, which answers all n at once.

Sources: McCoy et al. 2023, "How much do language models copy from their training data?" (n-grams as
a measure, beside those of held-out text); Blumer et al. 1985, "The smallest automaton recognizing
the subwords of a text"; Chang & Lawler 1994, "Sublinear approximate string matching" (matching
statistics).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Alphabet, Ids
from charrnn.data.encoded_text import EncodedText

LONGEST_GRAM = 32
"""Shares are given for n-grams of up to so many characters."""

_BETWEEN = -1
_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Span:
    """A stretch of a text that occurs in the searched text.

    Attributes:
        start: its first position in the text, from 0.
        length: its characters.
        offset: the first position in the searched text at which it occurs, from 0.
    """

    start: int
    length: int
    offset: int


@dataclass(frozen=True)
class Overlap:
    """The overlap of a text with the searched text.

    Attributes:
        characters: of the text.
        found: for n = 1 to LONGEST_GRAM, the number of the text's n-grams that the searched text
            holds, each counted as often as the text has it.
        grams: for the same n, the number of the text's n-grams.
        longest: the longest span that the searched text holds, the first of several; None if it
            holds no character of the text.
    """

    characters: int
    found: tuple[int, ...]
    grams: tuple[int, ...]
    longest: Span | None

    @property
    def shares(self) -> tuple[float | None, ...]:
        """The share of n-grams that were found, by n from 1; None where the text has none."""
        return tuple(
            found / grams if grams else None
            for found, grams in zip(self.found, self.grams, strict=True)
        )


@dataclass(frozen=True)
class Quote:
    """A span of a text, quoted from the training text that it occurs in.

    Attributes:
        span: its places in both.
        text: its text; bytes that are not UTF-8 become U+FFFD.
        number: the line or, in a text of records, the record that it begins in, from 1.
    """

    span: Span
    text: str
    number: int


def quote_longest(overlap: Overlap, trained_on: EncodedText, alphabet: Alphabet) -> Quote | None:
    r"""Quote the longest span of an overlap from the training text; None if there is no span.

    >>> from charrnn.data.encoded_text import ContinuousText
    >>> alphabet = Alphabet.of("\nabc")
    >>> trained_on = ContinuousText(alphabet.encode("ab\nca"))
    >>> (overlap,) = measure_overlaps([alphabet.encode("cab")], trained_on.ids)
    >>> quote_longest(overlap, trained_on, alphabet)
    Quote(span=Span(start=0, length=2, offset=3), text='ca', number=2)
    """
    span = overlap.longest
    if span is None:
        return None
    symbols = alphabet.decode(trained_on.ids[span.offset : span.offset + span.length])
    return Quote(
        span,
        alphabet.to_bytes(symbols).decode("utf-8", "replace"),
        trained_on.find_place(span.offset, alphabet).number,
    )


def measure_overlaps(texts: Sequence[Ids], searched: Ids) -> list[Overlap]:
    """Measure the overlap of each text with ``searched``.

    Args:
        texts: short texts, each of shape (N,).
        searched: a long text in the same alphabet, shape (M,).
    """
    symbols: list[int] = []
    for text in texts:
        symbols += [*text.tolist(), _BETWEEN]
    automaton = SuffixAutomaton(symbols)
    automaton.read(searched)
    lengths, ends = automaton.find_spans()
    overlaps = []
    begin = 0
    for text in texts:
        there = slice(begin, begin + len(text))
        overlaps.append(_summarize(lengths[there], ends[there]))
        begin += len(text) + 1
    return overlaps


def compare_with_held_out(
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
    overlaps = [sum_overlaps([*islice(measured, len(pieces))]) for pieces in cut]
    return overlaps[: len(drawn)], overlaps[len(drawn) :]


def sum_overlaps(overlaps: Sequence[Overlap]) -> Overlap:
    """Add up the overlaps of several texts; the start of the longest span is that in its text."""
    spans = [overlap.longest for overlap in overlaps if overlap.longest]
    return Overlap(
        characters=sum(overlap.characters for overlap in overlaps),
        found=tuple(map(sum, zip(*(overlap.found for overlap in overlaps), strict=True))),
        grams=tuple(map(sum, zip(*(overlap.grams for overlap in overlaps), strict=True))),
        longest=max(spans, key=lambda span: span.length, default=None),
    )


def _summarize(lengths: NDArray[np.int64], ends: NDArray[np.int64]) -> Overlap:
    """Summarize the longest spans that end at each character of a text, both (N,)."""
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


class SuffixAutomaton:
    """The suffix automaton of some symbols.

    A state stands for the spans that end at the same positions of the symbols. They are suffixes of
    one another: the longest has ``_length`` symbols, and the shortest has one symbol more than the
    longest span of the state in ``_suffix``. State 0 is that of the empty span.

    Args:
        symbols: those of a short text.
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
        """Part the spans of a state and a symbol from the longer ones of their common state."""
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
        """Run a text through, and keep for each state its longest span, the first position at
        which that span ended, and the first position at which any span of the state ended.
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

    def find_spans(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find for each symbol the longest span ending there that was read, both shape (N,).

        Returns:
            The length of the span, and the first position of the text at which it ended (-1 for a
            length of 0).
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
        found = [self._find_reached(state, reached) for state in self._after]
        return np.array([reached[state] for state in found], np.int64), np.array(
            [end[state] for state in found], np.int64
        )

    def _find_reached(self, state: int, reached: Sequence[int]) -> int:
        """Follow the suffixes of a state to the first one that was reached."""
        while state and not reached[state]:
            state = self._suffix[state]
        return state
