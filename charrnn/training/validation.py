"""What a run holds out and scores as it goes, to tell how well it does on text it has not read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from charrnn.data.alphabet import Ids
from charrnn.evaluation.metrics import Tally
from charrnn.evaluation.scorer import score_records
from charrnn.evaluation.torch_scorer import score, streams_for
from charrnn.inference.torch_backend import TorchReader
from charrnn.models.char_model import CharModel

MOST_SCORED = 200_000
"""Characters, from the beginning, that an evaluation during training scores: enough to tell one
evaluation from the next, and seconds of work where a large text's tenth would be minutes."""


class HeldOut:
    """The held-out text as training scores it.

    Args:
        ids: the text, shape (N,); empty for none. Of more than MOST_SCORED characters the first; of
            records, whole ones.
        end: the id that ends a record; None if the text is one.
    """

    def __init__(self, ids: Ids, end: int | None = None) -> None:
        self._end = end
        self.ids = ids[:MOST_SCORED] if end is None else _first_records(ids, end)

    def __len__(self) -> int:
        return len(self.ids)

    def tally(self, network: CharModel) -> Tally:
        """What adds up the scores that the network gives it."""
        # The end before the first record is read, and the first character of a text is not.
        return Tally(self.ids, network.head.out_features, opened=self._end is not None)

    def score(self, network: CharModel) -> Iterator[tuple[float, int]]:
        """The nats of some more of its characters, and how many they are."""
        if self._end is not None:
            yield from score_records(TorchReader(network), self.ids, self._end)
            return
        for nats in score(network, self.ids, streams_for(len(self.ids))):
            yield float(nats.sum()), nats.numel()


def _first_records(ids: Ids, end: int) -> Ids:
    """The records that fit, the first one in any case."""
    marks = np.flatnonzero(ids == end)
    if not len(marks):
        return ids
    within = int(np.searchsorted(marks, MOST_SCORED))
    return ids[: marks[min(max(within - 1, 1), len(marks) - 1)] + 1]
