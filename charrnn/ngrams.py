"""n-gram models with Witten-Bell smoothing: what a text costs whoever knows no more than counts.

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

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from charrnn.alphabet import Ids

_BITS = 64


def score(learnt: Ids, text: Ids, alphabet_size: int, orders: int) -> Iterator[NDArray[np.float64]]:
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
