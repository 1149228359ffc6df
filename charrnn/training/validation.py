"""Validation: the held-out text that a run scores from time to time."""

from __future__ import annotations

from collections.abc import Iterator

from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
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
        text: empty for none. Of more than MOST_SCORED characters the first are scored; of records,
            the first whole ones.
    """

    def __init__(self, text: EncodedText) -> None:
        self.text = text.first(MOST_SCORED)

    def __len__(self) -> int:
        return len(self.text)

    def tally(self, network: CharModel) -> Tally:
        """Return a tally for the scores that the network gives the text."""
        text = self.text
        return Tally(text.scored, network.head.out_features, opened=text.unscored > 0)

    def score(self, network: CharModel) -> Iterator[tuple[float, int]]:
        """Score the text part by part.

        Yields:
            The sum of a part's scores in nats, and the number of its characters.
        """
        match self.text:
            case RecordText(ids, end):
                yield from score_records(TorchReader(network), ids, end)
            case ContinuousText(ids):
                for nats in score(network, ids, streams_for(len(ids))):
                    yield float(nats.sum()), nats.numel()
