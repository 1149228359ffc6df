"""N-grams: how often each character followed each short string in a text, and what that predicts.

The context of order k is the k characters before a place. C(h c) is the number of times that the
character c followed the context h in the text that was counted, C(h) the sum of it over c, and T(h)
the number of different characters that followed h. The model of order k falls back on the one below
with the weight of unseen characters after h (Witten-Bell smoothing):

    P_k(c | h) = (C(h c) + T(h) P_(k-1)(c | h')) / (C(h) + T(h))      h' is h without its first
    P_(-1)(c)  = 1 / V                                                V is the size of the alphabet

Strings that occur once may be left out: their share goes to the order below. So does that of the
end of the text, which counts as a character that followed once.

    P_k(c | h) = (C(h c) + (C(h) + T(h) - K(h)) P_(k-1)(c | h')) / (C(h) + T(h))
    K(h)       = the sum of C(h c) over the c that are kept

Of a context nothing is kept but its own count C(h) and these C(h c): what is left out occurs once
each, so T(h) is the number of c that are kept and C(h) - K(h).

Where no string of h is kept, P_k is P_(k-1). Each P_k sums to one over the alphabet and is nowhere
zero, though it may be too small for a float: no probability is returned below LEAST_PROBABILITY.

The strings of order k, a context h and a character c after it, are numbered in ascending order of
the context's number and the character. A string's number is that of the context of order k + 1 that
it is: one table holds the counts, and leads from a context to the next one.

Sources: Witten & Bell 1991, "The zero-frequency problem: estimating the probabilities of novel
events in adaptive text compression" (method C); Chen & Goodman 1996, "An empirical study of
smoothing techniques for language modeling", for the recursion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

UNSEEN = -1
"""The number of a context that does not occur in the text."""

LEAST_PROBABILITY = 1e-30

_BITS = 64


class Strings(NamedTuple):
    """The strings of one order, in ascending order of their contexts and their last characters.

    Attributes:
        begins: the number of the first string of each context, and after the last context that of
            all strings, shape (contexts + 1,), int32.
        characters: the last character of each string, shape (strings,), int32.
        counts: how often each string occurs, shape (strings,), int32.
        totals: C(h) + T(h) of each context, shape (contexts,), int32.
    """

    begins: NDArray[np.int32]
    characters: NDArray[np.int32]
    counts: NDArray[np.int32]
    totals: NDArray[np.int32]

    @classmethod
    def of(
        cls,
        begins: NDArray[Any],
        characters: NDArray[Any],
        counts: NDArray[Any],
        of_contexts: NDArray[Any] | None,
    ) -> Strings:
        """Make the strings of their counts and those of their contexts, C(h).

        The context of order 0 has no count: None.

        Raises:
            ValueError: a context occurs less often than what follows it.
        """
        sums = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
        kept = sums[begins[1:]] - sums[begins[:-1]]
        left_out = (kept if of_contexts is None else of_contexts) - kept
        if left_out.min(initial=0) < 0:
            raise ValueError("a context occurs less often than what follows it")
        totals = kept + np.diff(begins) + 2 * left_out
        arrays = (begins, characters, counts, totals)
        return cls(*(np.ascontiguousarray(array, np.int32) for array in arrays))

    def find(self, contexts: NDArray[Any], characters: NDArray[Any]) -> NDArray[np.int32]:
        """Find the numbers of strings by their contexts and characters; UNSEEN where there is none.

        Args:
            contexts: numbers of contexts, or UNSEEN, any shape.
            characters: of the same shape; below 0 where there is none.
        """
        known = np.maximum(contexts, 0)
        first, last = self.begins[known], self.begins[known + 1]
        while (first < last).any():
            middle = (first + last) // 2
            before = (first < last) & (self._at(middle) < characters)
            first, last = np.where(before, middle + 1, first), np.where(before, last, middle)
        found = (first < self.begins[known + 1]) & (self._at(first) == characters) & (contexts >= 0)
        numbers: NDArray[np.int32] = np.where(found, first, UNSEEN).astype(np.int32)
        return numbers

    def _at(self, strings: NDArray[Any]) -> NDArray[np.int32]:
        last: NDArray[np.int32] = self.characters[np.minimum(strings, len(self.characters) - 1)]
        return last


@dataclass(frozen=True, eq=False)
class Ngrams:
    """The n-grams of a text.

    Attributes:
        alphabet_size: V.
        orders: the strings of order 0, 1, ..., K - 1.
    """

    alphabet_size: int
    orders: tuple[Strings, ...]

    @property
    def history(self) -> int:
        """The number of characters that the longest context has."""
        return len(self.orders) - 1

    def find_contexts(self, history: NDArray[Any], ids: NDArray[Any]) -> NDArray[np.int32]:
        """Find the contexts after each character of rows side by side.

        Args:
            history: characters before them (R, K - 1), the oldest first; UNSEEN where there is
                none.
            ids: characters (T, R).

        Returns:
            The numbers of the contexts of each order (T, R, K), or UNSEEN.
        """
        text = np.concatenate([history.T, ids])
        contexts = np.full((len(text) + 1, *text.shape[1:], len(self.orders)), UNSEEN, np.int32)
        contexts[..., 0] = 0
        for order, strings in enumerate(self.orders[:-1]):
            contexts[1:, :, order + 1] = strings.find(contexts[:-1, :, order], text)
        return contexts[len(text) - len(ids) + 1 :]

    def predict(self, contexts: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Predict the character after each of some places.

        Args:
            contexts: numbers of the contexts of each order (N, K), from :meth:`find_contexts`.

        Returns:
            Probabilities (N, V), at least LEAST_PROBABILITY, and the highest order (N,) whose
            context was seen.
        """
        predicted = np.full((len(contexts), self.alphabet_size), 1 / self.alphabet_size, np.float32)
        highest = np.zeros(len(contexts), np.int32)
        for order, strings in enumerate(self.orders):
            of_places = contexts[:, order]
            known = np.flatnonzero(of_places >= 0)
            kept = strings.begins[of_places[known] + 1] - strings.begins[of_places[known]]
            seen, kept = known[kept > 0], kept[kept > 0]
            begins, totals = strings.begins[of_places[seen]], strings.totals[of_places[seen]]
            # Each string that follows one of these contexts, and the row of its context.
            rows = np.repeat(np.arange(len(seen)), kept)
            each = np.arange(len(rows)) + np.repeat(begins - (np.cumsum(kept) - kept), kept)
            shares = strings.counts[each] / totals[rows]
            left = 1 - np.bincount(rows, shares, minlength=len(seen))
            predicted[seen] *= left.astype(np.float32)[:, None]
            predicted[seen[rows], strings.characters[each]] += shares.astype(np.float32)
            highest[seen] = order
        return np.maximum(predicted, np.float32(LEAST_PROBABILITY)), highest

    def predict_targets(
        self, contexts: NDArray[Any], targets: NDArray[Any]
    ) -> Iterator[NDArray[np.float64]]:
        """Yield the probabilities (N,) of characters under the models of order 0, 1, 2, ...

        Args:
            contexts: as :meth:`predict` takes them (N, K).
            targets: the characters that follow (N,).
        """
        predicted = np.full(len(contexts), 1 / self.alphabet_size)
        for order, strings in enumerate(self.orders):
            of_places = contexts[:, order]
            sums = np.concatenate(([0], np.cumsum(strings.counts, dtype=np.int64)))
            kept = np.where(of_places >= 0, np.diff(sums[strings.begins])[of_places], 0)
            totals = strings.totals[of_places]
            found = strings.find(of_places, targets)
            counts = np.where(found >= 0, strings.counts[found], 0)
            predicted = np.divide(
                counts + (totals - kept) * predicted,
                totals,
                out=predicted.copy(),
                where=kept > 0,
            )
            yield predicted


def count_ngrams(
    ids: NDArray[Any],
    alphabet_size: int,
    *,
    orders: int,
    most: int,
    repeated_from: int | None = None,
    end: int | None = None,
) -> Ngrams:
    """Count the n-grams of a text.

    Args:
        ids: the text, shape (N,), N at least 1.
        alphabet_size: V.
        orders: K at most, the number of orders from 0; a text of fewer characters has fewer.
        most: strings at most; orders that would make them more are left out.
        repeated_from: the order from which on strings that occur once are left out, 1 at least;
            None keeps all.
        end: the id of RECORD_END, which no context goes beyond; None for a continuous text.
    """
    counted: list[Strings] = []
    contexts, known = np.zeros(len(ids), np.int32), np.arange(len(ids))
    number_of_contexts = 1
    while len(counted) < orders and len(known):
        keys = contexts[known].astype(np.uint64)
        keys *= np.uint64(alphabet_size)
        keys += ids[known].astype(np.uint64)
        different, numbers = number_keys(keys)
        counts = np.bincount(numbers, minlength=len(different))
        if repeated_from is not None and len(counted) >= repeated_from:
            different, counts, numbers = _leave_out(counts < 2, different, counts, numbers)
        if not len(different):
            break
        if counted and len(different) + sum(len(each.counts) for each in counted) > most:
            break
        follows, characters = np.divmod(different, np.uint64(alphabet_size))
        begins = np.searchsorted(follows, np.arange(number_of_contexts + 1, dtype=np.uint64))
        of_contexts = counted[-1].counts if counted else None
        counted.append(Strings.of(begins, characters, counts, of_contexts))
        number_of_contexts = len(different)
        # The string that ends at a place is the context of the next one.
        contexts = np.full(len(ids), UNSEEN, np.int32)
        contexts[known[known + 1 < len(ids)] + 1] = numbers[known + 1 < len(ids)]
        if end is not None and len(counted) > 1:
            contexts[1:][ids[:-1] == end] = UNSEEN
        known = np.flatnonzero(contexts >= 0)
    return Ngrams(alphabet_size, tuple(counted))


def _leave_out(
    left_out: NDArray[np.bool_],
    keys: NDArray[np.uint64],
    counts: NDArray[np.int64],
    numbers: NDArray[np.int32],
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int32]]:
    """Leave keys out and number the others; the number of a place whose key is left out is UNSEEN.

    Args:
        left_out: which keys (S,).
        keys: different keys (S,).
        counts: how often each occurs (S,).
        numbers: the number of each place's key (N,).
    """
    kept = ~left_out
    renumbered = np.where(kept, np.cumsum(kept) - 1, UNSEEN).astype(np.int32)
    return keys[kept], counts[kept], renumbered[numbers]


def number_keys(keys: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Number keys, shape (N,), in ascending order; overwrites ``keys``.

    The result is that of np.unique with its inverse, several times as fast: a key and its position
    are sorted as one integer, if they fit into one.

    Returns:
        The different keys in ascending order, and the number of each key among them, shape (N,).
    """
    bits = len(keys).bit_length()
    if int(keys.max(initial=0)).bit_length() + bits > _BITS:
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
