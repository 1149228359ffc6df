"""charrnn sample --novelty: compare drawn text with the text that the model was trained on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from charrnn.analysis.memorization import (
    LONGEST_GRAM,
    Overlap,
    Quote,
    compare_with_held_out,
    quote_longest,
    sum_overlaps,
)
from charrnn.cli import terminal
from charrnn.data.alphabet import Alphabet
from charrnn.data.corpus import SplitCorpus
from charrnn.inference.sampling import Piece

_SHOWN_GRAMS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, LONGEST_GRAM)
_SHOWN_CHARACTERS = 160


class Comparison:
    """Records drawn text and measures the share of it that occurs in the training text.

    Args:
        alphabet: the model's.
        split: the text that the model was trained on.
    """

    def __init__(self, alphabet: Alphabet, split: SplitCorpus) -> None:
        self._alphabet = alphabet
        self._trained_on, self._held_out = split.train, split.held_out
        self._drawn: dict[int, str] = defaultdict(str)

    def watch(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Yield the pieces unchanged and record them."""
        for piece in pieces:
            self._drawn[piece.sample] += piece.symbols
            yield piece

    def tell(self) -> None:
        """Print the figures of all samples on stderr."""
        drawn, held_out = map(sum_overlaps, self._measure())
        sides = {"drawn": drawn, "held out": held_out}
        rows = [
            [str(n), *(_format_percent(overlap.shares[n - 1]) for overlap in sides.values())]
            for n in _SHOWN_GRAMS
        ]
        title = (
            f"share of n-grams that occur in the {len(self._trained_on):,} characters trained on: "
            f"of {drawn.characters:,} drawn, {held_out.characters:,} held out"
        )
        longest = [
            f"longest span {side}: {self._describe_longest(overlap)}"
            for side, overlap in sides.items()
        ]
        lines = terminal.tabulate(["n", *sides], rows)
        for line in ["", title, "", *lines, "", *longest]:
            terminal.note(line)

    def complete(self, described: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the JSON objects with the figures of their samples, after the last one is drawn."""
        objects = list(described)
        for one, drawn, held_out in zip(objects, *self._measure(), strict=True):
            yield {
                **one,
                "novelty": {
                    "drawn": self._list_figures(drawn),
                    "held_out": self._list_figures(held_out),
                },
            }

    def _measure(self) -> tuple[list[Overlap], list[Overlap]]:
        drawn = [self._alphabet.encode(symbols) for symbols in self._drawn.values()]
        return compare_with_held_out(drawn, self._trained_on, self._held_out)

    def _list_figures(self, overlap: Overlap) -> dict[str, Any]:
        quote = self._quote(overlap)
        return {
            "characters": overlap.characters,
            "shares": overlap.shares,
            "longest": quote
            and {
                "characters": quote.span.length,
                "start": quote.span.start,
                "offset": quote.span.offset,
                self._trained_on.unit: quote.number,
                "text": quote.text,
            },
        }

    def _describe_longest(self, overlap: Overlap) -> str:
        """Describe the longest span for people: its length, its origin and its text."""
        quote = self._quote(overlap)
        if quote is None:
            return "none"
        shown = quote.text[:_SHOWN_CHARACTERS]
        return (
            f"{quote.span.length:,} characters, from {self._trained_on.unit} {quote.number:,} "
            f"(character {quote.span.offset + 1:,}) of the training text:\n  "
            + json.dumps(shown, ensure_ascii=False)
            + ("..." if len(quote.text) > len(shown) else "")
        )

    def _quote(self, overlap: Overlap) -> Quote | None:
        return quote_longest(overlap, self._trained_on, self._alphabet)


def _format_percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
