"""Sketches: a few hashes of a text that tell later how much of another text stands in it.

A text is taken as its spans of SPAN characters, or as its records. Each has a hash of 64 bits, and
the sketch keeps the smallest: a sample of the spans that depends on them alone, so that equal spans
are in the samples of all texts that hold them, wherever they stand (bottom-k sketches, Cohen and
Kaplan 2007). The sketch of several texts is made of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Alphabet, to_code_points
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText

SPAN = 32
"""Characters of a span. Two texts of one language share next to none of that length."""

MOST_HASHES = 2048
"""The most hashes of a sketch."""

Hashes = NDArray[np.uint64]
"""The hashes of a sketch, shape (N,), ascending and each once."""

_CHARACTERS_AT_ONCE = 1 << 17  # Larger arrays would not fit into the cache of a processor.
_BASE = 0x9E3779B97F4A7C15
_Places = slice | NDArray[np.int64]
_MIXERS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_FEW = 0.05


def make_sketch(text: EncodedText, alphabet: Alphabet) -> Hashes:
    """Make the sketch of a text.

    Args:
        text: N characters.
        alphabet: the meaning of its ids.
    """
    sketch = np.empty(0, np.uint64)
    for hashes in _hash_parts(text, alphabet):
        smaller = hashes[hashes < sketch[-1]] if len(sketch) == MOST_HASHES else hashes
        if len(smaller):
            sketch = merge_sketches(sketch, smaller)
    return sketch


def merge_sketches(one: Hashes, other: Hashes) -> Hashes:
    """Make the sketch of two texts together."""
    return np.union1d(one, other)[:MOST_HASHES]


def estimate_known_share(
    known: Hashes, train: EncodedText, held_out: EncodedText, alphabet: Alphabet
) -> float:
    """Estimate the share of a held-out text that stands in other texts.

    Spans that the training text holds too say nothing about the others, unless it holds nearly all.

    Args:
        known: the sketch of the other texts.
        train: the training text.
        held_out: the held-out text.
        alphabet: the meaning of the ids of both.
    """
    asked = make_sketch(held_out, alphabet)
    for sketch in (asked, known):
        if len(sketch) == MOST_HASHES:
            asked = asked[asked <= sketch[-1]]
    if not len(asked) or not np.isin(asked, known).any():
        return 0.0
    repeated = np.zeros(len(asked), np.bool_)
    for hashes in _hash_parts(train, alphabet):
        repeated |= np.isin(asked, hashes[hashes <= asked[-1]])
    if (~repeated).sum() > _FEW * len(asked):
        asked = asked[~repeated]
    return float(np.isin(asked, known).mean())


def _hash_parts(text: EncodedText, alphabet: Alphabet) -> Iterator[Hashes]:
    """Hash the spans or records of a text, block by block."""
    if not len(text):
        return
    terms = to_code_points(alphabet.characters).astype(np.uint64) + 1
    match text:
        case ContinuousText(ids):
            for begin in range(0, max(len(ids) - SPAN + 1, 1), _CHARACTERS_AT_ONCE):
                block = ids[begin : begin + _CHARACTERS_AT_ONCE + SPAN - 1]
                length = min(SPAN, len(block))
                yield _hash(terms[block], slice(len(block) - length + 1), slice(length, None))
        case RecordText(ids):
            starts = text.starts() + 1
            first = 0
            while first < len(starts) - 1:
                end = starts[first] + _CHARACTERS_AT_ONCE
                last = max(int(np.searchsorted(starts, end)) - 1, first + 1)
                bounds = starts[first : last + 1] - starts[first]
                block = ids[starts[first] : starts[last]]
                yield _hash(terms[block], bounds[:-1], bounds[1:] - 1)
                first = last


def _hash(terms: NDArray[np.uint64], begins: _Places, ends: _Places) -> Hashes:
    """Hash parts of a text by polynomials modulo 2 ** 64, whose base is odd.

    Args:
        terms: a number for each character, above 0, shape (T,).
        begins: the places of T + 1 where the N parts begin.
        ends: the places where they end.
    """
    with np.errstate(over="ignore"):
        sums = np.zeros(len(terms) + 1, np.uint64)
        np.cumsum(terms * _list_powers(_BASE, len(terms)), out=sums[1:])
        inverses = _list_powers(_invert(_BASE), len(sums))
        hashes = (sums[ends] - sums[begins]) * inverses[begins]
        for shift, factor in _MIXERS:
            hashes = (hashes ^ (hashes >> np.uint64(shift))) * np.uint64(factor)
        mixed: Hashes = hashes ^ (hashes >> np.uint64(31))
        return mixed


@lru_cache(4)
def _list_powers(base: int, count: int) -> NDArray[np.uint64]:
    powers = np.full(count, base, np.uint64)
    powers[:1] = 1
    return np.cumprod(powers)


def _invert(odd: int) -> int:
    return pow(odd, -1, 1 << 64)
