"""Baselines: the cost of a text under compressors and n-gram models that have read another text.

A compressor charges a text the compressed size of both texts together less that of the first. The
three of the standard library look back differently far: zlib 32 kilobytes, bz2 to the beginning of
a block of 900, xz over everything. Unlike a trained model they go on learning as they read.

The n-gram models are those of ``data/ngrams.py``.
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
from charrnn.data.ngrams import UNSEEN, count_ngrams

ORDERS = 6
"""The number of n-gram models: order 0, which has no context, to order 5."""

MOST_TO_COMPARE = 1 << 22
"""Characters that are read for baselines which a model's score is compared with."""

MOST_TO_DESCRIBE = 1 << 24
"""Characters that are read for the baselines of a corpus that is described."""

_SHARE_SCORED = 4
_LEAST_DICTIONARY, _MOST_DICTIONARY = 1 << 12, 1 << 26


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
    if not len(learnt):
        yield from [np.full(len(text), math.log(alphabet_size))] * orders
        return
    ngrams = count_ngrams(learnt, alphabet_size, orders=orders, most=len(learnt) * orders)
    before = learnt[-orders:]
    read = np.concatenate([before, text])[:-1].astype(np.int64)
    history = np.full((1, ngrams.history), UNSEEN)
    contexts = ngrams.find_contexts(history, read[:, None])[len(before) - 1 :, 0]
    nats = np.empty(0)
    for probabilities in ngrams.predict_targets(contexts, text.astype(np.int64)):
        nats = -np.log(probabilities)
        yield nats
    # The longest contexts are those of the whole text that was learnt.
    yield from [nats] * (orders - len(ngrams.orders))
