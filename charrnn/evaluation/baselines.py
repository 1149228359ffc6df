"""What a text costs whoever has read another and only counts or compresses: figures to beat.

What the standard library's compressors make of a text once they have read another.

The cost of a text is the compressed size of both together less that of the first alone. The three
look back differently far: zlib 32 kilobytes, bz2 to the beginning of a block of 900, and xz over
everything. Unlike a model that has been trained, all of them go on learning as they read the text.

n-gram models with Witten-Bell smoothing: what a text costs whoever knows no more than counts.

The model of order k predicts a character c from the k characters h before it. C(h c) says how often
c followed h in the text that is learnt from, C(h) is the sum of that over c, and T(h) is how many
different characters followed. Each order falls back on the one below by as much as h used to be
followed by something new:

    P_k(c | h) = (C(h c) + T(h) P_(k-1)(c | h')) / (C(h) + T(h))      h' is h without its first
    P_(-1)(c)  = 1 / V                                                V is the alphabet's size

Where h was never seen, P_k is P_(k-1). Each P_k sums to one over the alphabet, and none is zero.

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

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Alphabet, Ids

ORDERS = 6
"""n-gram models that are tried: order 0, which looks at nothing before, to order 5."""

_SHARE_SCORED = 4


@dataclass(frozen=True)
class Baselines:
    """What a text costs, in nats per character.

    Attributes:
        ngrams: under the n-gram model of each order from 0.
        compressors: under each compressor, by name.
        learnt: characters that were read before.
        scored: characters that the figures are the mean of.
    """

    ngrams: tuple[float, ...]
    compressors: dict[str, float]
    learnt: int
    scored: int

    @property
    def best_order(self) -> int:
        """The order of the best n-gram model."""
        return self.ngrams.index(min(self.ngrams))


def measure(
    learnt: Ids, text: Ids, alphabet: Alphabet, compressors: Sequence[str], *, most: int
) -> Baselines:
    """Measure the baselines of a text, given another.

    Args:
        learnt: what is read before, shape (N,); of more than ``most`` characters the last.
        text: what is scored, shape (M,), M at least 1; of more than a quarter of ``most`` the
            first.
        alphabet: what both are written in.
        compressors: which of the compressors to try.
        most: bounds the time, and the memory, to some 60 bytes a character.
    """
    learnt, text = learnt[-most:], text[: most // _SHARE_SCORED]
    before, after = (alphabet.to_bytes(alphabet.decode(ids)) for ids in (learnt, text))
    # The compressors run beside the counting: they let go of the interpreter.
    with ThreadPoolExecutor(max_workers=1) as pool:
        bits = pool.submit(bits_given, before, after, compressors)
        scores = score_ngrams(learnt, text, len(alphabet), ORDERS)
        nats = tuple(float(costs.mean()) for costs in scores)
        per_bit = math.log(2) / len(text)
        compressed = {name: cost * per_bit for name, cost in bits.result().items()}
    return Baselines(nats, compressed, len(learnt), len(text))


_LEAST_DICTIONARY, _MOST_DICTIONARY = 1 << 12, 1 << 26


def _xz(data: bytes) -> bytes:
    # A dictionary as long as the text reaches all of it, and takes no more memory than it must.
    size = min(max(len(data), _LEAST_DICTIONARY), _MOST_DICTIONARY)
    return lzma.compress(data, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": size}])


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": lambda data: zlib.compress(data, 9),
    "bz2": lambda data: bz2.compress(data, 9),
    "xz": _xz,
}
"""The compressors by name, each at its strongest within reason."""


def bits_given(learnt: bytes, text: bytes, names: Sequence[str]) -> dict[str, int]:
    """Bits that a text costs after another under each of some compressors, two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        both = {name: pool.submit(COMPRESSORS[name], learnt + text) for name in names}
        first = {name: pool.submit(COMPRESSORS[name], learnt) for name in names}
        return {name: 8 * (len(both[name].result()) - len(first[name].result())) for name in names}


_BITS = 64


def score_ngrams(
    learnt: Ids, text: Ids, alphabet_size: int, orders: int
) -> Iterator[NDArray[np.float64]]:
    """What each character of a text costs under the models of order 0, 1, 2, ..., in turn.

    Args:
        learnt: what the models have counted, shape (N,); may be empty.
        text: what follows it, shape (M,). Its first characters are predicted from the last of
            ``learnt``; what it holds itself is not counted.
        alphabet_size: V.
        orders: how many models.

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
        strings, number = _number(keys)
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


def _number(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """The different keys in ascending order, and each key's place among them; spoils ``keys``.

    The same as np.unique with its inverse, but several times as fast: a key and where it stands are
    sorted as one number, if they fit into one.
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
