"""Baselines: the cost of a text under compressors and n-gram models that have read another text.

A compressor charges a text the compressed size of both texts together less that of the first. The
three of the standard library look back differently far: zlib 32 kilobytes, bz2 to the beginning of
a block of 900, xz over everything. Unlike a trained model they go on learning as they read.

The n-gram models have Witten-Bell smoothing. The model of order k predicts a character c from the k
characters h before it. C(h c) is the number of times that c followed h in the text that is learnt
from, C(h) the sum of it over c, and T(h) the number of different characters that followed h. Each
order falls back on the one below with the weight of unseen characters after h:

    P_k(c | h) = (C(h c) + T(h) P_(k-1)(c | h')) / (C(h) + T(h))      h' is h without its first
    P_(-1)(c)  = 1 / V                                                V is the size of the alphabet

Where h was never seen, P_k is P_(k-1). Each P_k sums to one over the alphabet and is nowhere zero.

Sources: Witten & Bell 1991, "The zero-frequency problem: estimating the probabilities of novel
events in adaptive text compression" (method C); Chen & Goodman 1996, "An empirical study of
smoothing techniques for language modeling", for the recursion.
"""

from __future__ import annotations

import bz2
import lzma
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Alphabet, Ids

ORDERS = 6
"""The number of n-gram models: order 0, which has no context, to order 5."""

MOST_TO_COMPARE = 1 << 22
"""Characters that are read for baselines which a model's score is compared with."""

MOST_TO_DESCRIBE = 1 << 24
"""Characters that are read for the baselines of a corpus that is described."""

_SHARE_SCORED = 4
_LEAST_DICTIONARY, _MOST_DICTIONARY = 1 << 12, 1 << 26
_BITS = 64


@dataclass(frozen=True)
class Baselines:
    """The cost of a text under each baseline, in nats per character.

    Attributes:
        ngrams: the cost under the n-gram model of each order from 0.
        compressors: the cost under each compressor, by name.
        learnt: characters that the baselines have learnt from.
        scored: characters that were scored.
    """

    ngrams: tuple[float, ...]
    compressors: dict[str, float]
    learnt: int
    scored: int

    @property
    def best_order(self) -> int:
        """The order of the best n-gram model."""
        return self.ngrams.index(min(self.ngrams))

    def to_dict(self) -> dict[str, Any]:
        """List the figures by their names in JSON."""
        return {
            "ngram_order": self.best_order,
            "ngram_nats_per_char": list(self.ngrams),
            "compressor_nats_per_char": self.compressors,
            "learnt_characters": self.learnt,
            "scored_characters": self.scored,
        }


def measure_baselines(
    learnt: Ids, text: Ids, alphabet: Alphabet, compressors: Sequence[str], *, most: int
) -> Baselines:
    """Measure the baselines of a text, given another.

    Args:
        learnt: the text to learn from, shape (N,); of more than ``most`` characters the last.
        text: the text to score, shape (M,), M at least 1; of more than a quarter of ``most``
            characters the first.
        alphabet: that of both.
        compressors: the names of those to try.
        most: bounds the time, and the memory to some 60 bytes for each of so many characters.
    """
    learnt, text = learnt[-most:], text[: most // _SHARE_SCORED]
    before, after = (alphabet.to_bytes(alphabet.decode(ids)) for ids in (learnt, text))
    # The compressors run beside the counting: they let go of the interpreter.
    with ThreadPoolExecutor(max_workers=1) as pool:
        bits = pool.submit(measure_compressed_bits, before, after, compressors)
        scores = score_ngrams(learnt, text, len(alphabet), ORDERS)
        nats = tuple(float(costs.mean()) for costs in scores)
        per_bit = math.log(2) / len(text)
        compressed = {name: cost * per_bit for name, cost in bits.result().items()}
    return Baselines(nats, compressed, len(learnt), len(text))


def _compress_xz(data: bytes) -> bytes:
    # A dictionary as long as the text reaches all of it, and takes no more memory than it must.
    size = min(max(len(data), _LEAST_DICTIONARY), _MOST_DICTIONARY)
    return lzma.compress(data, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": size}])


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": lambda data: zlib.compress(data, 9),
    "bz2": lambda data: bz2.compress(data, 9),
    "xz": _compress_xz,
}
"""The compressors by name, each at a strong setting."""


def measure_compressed_bits(learnt: bytes, text: bytes, names: Sequence[str]) -> dict[str, int]:
    """Measure the bits that each compressor takes for a text after another, two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        both = {name: pool.submit(COMPRESSORS[name], learnt + text) for name in names}
        first = {name: pool.submit(COMPRESSORS[name], learnt) for name in names}
        return {name: 8 * (len(both[name].result()) - len(first[name].result())) for name in names}


def score_ngrams(
    learnt: Ids, text: Ids, alphabet_size: int, orders: int
) -> Iterator[NDArray[np.float64]]:
    """Score each character of a text under the models of order 0, 1, 2, ..., in turn.

    Args:
        learnt: the text that the models count, shape (N,); may be empty.
        text: the text to score, shape (M,), which the models do not count. Its first characters
            are predicted from the last of ``learnt``.
        alphabet_size: V.
        orders: the number of models.

    Yields:
        Nats of each character, shape (M,), for each order.
    """
    ids = np.concatenate([learnt, text])
    begin = len(learnt)
    context = np.zeros(len(ids), dtype=np.int32)
    probability = np.full(len(text), 1.0 / alphabet_size)
    for _ in range(orders):
        keys = context.astype(np.uint64)
        keys *= np.uint64(alphabet_size)
        keys += ids
        strings, number = _number_keys(keys)
        counts = np.bincount(number[:begin], minlength=len(strings))
        strings //= np.uint64(alphabet_size)
        contexts = strings.astype(np.int32)
        followed = np.bincount(contexts, counts)[context[begin:]]
        followers = np.bincount(contexts, counts > 0)[context[begin:]]
        mixed = counts[number[begin:]] + followers * probability
        seen = followed > 0
        probability = np.divide(mixed, followed + followers, out=probability, where=seen)
        yield -np.log(probability)
        # One character longer, and one place further on; nothing stands before the first.
        context[1:] = number[:-1]
        context[0] = len(strings)


def _number_keys(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Number keys, shape (N,), in ascending order; overwrites ``keys``.

    The result is that of np.unique with its inverse, several times as fast: a key and its position
    are sorted as one integer, if they fit into one.

    Returns:
        The different keys in ascending order, and the number of each key among them, shape (N,).
    """
    bits = len(keys).bit_length()
    if int(keys.max()).bit_length() + bits > _BITS:
        different, inverse = np.unique(keys, return_inverse=True)
        return different, inverse.astype(np.int32)
    keys <<= np.uint64(bits)
    keys |= np.arange(len(keys), dtype=np.uint64)
    keys.sort()
    order = (keys & np.uint64((1 << bits) - 1)).astype(np.int32)
    keys >>= np.uint64(bits)
    new = np.ones(len(keys), dtype=bool)
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    number = np.empty(len(keys), dtype=np.int32)
    number[order] = np.cumsum(new, dtype=np.int32) - 1
    return keys[new], number
