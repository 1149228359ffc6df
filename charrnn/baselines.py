"""What a text costs whoever has read another and only counts or compresses: figures to beat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from charrnn import ngrams
from charrnn.alphabet import Alphabet, Ids
from charrnn.compressors import bits_given

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
        scores = ngrams.score(learnt, text, len(alphabet), ORDERS)
        nats = tuple(float(costs.mean()) for costs in scores)
        per_bit = math.log(2) / len(text)
        compressed = {name: cost * per_bit for name, cost in bits.result().items()}
    return Baselines(nats, compressed, len(learnt), len(text))
