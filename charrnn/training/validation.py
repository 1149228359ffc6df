"""Validation: the held-out text that a run scores from time to time."""

from __future__ import annotations

from collections.abc import Iterator

from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.evaluation.metrics import Tally
from charrnn.evaluation.scorer import Part, score, score_records, streams_for
from charrnn.inference.torch_backend import TorchBackend
from charrnn.models.char_model import CharModel

MOST_SCORED = 200_000
"""Characters, from the beginning, that an evaluation during training scores: enough to tell one
evaluation from the next, and seconds of work where a large text's tenth would be minutes."""

_CONTEXT = 512
"""Characters that are read, at least, before any that is scored, but at the text's beginning. The
score of a network that remembers more is not exact; an exact one would take longer."""

_LEAST_CHARACTERS = 4 * _CONTEXT


class HeldOut:
    """The held-out text as training scores it.

    Args:
        text: empty for none. Of more than MOST_SCORED characters the first are scored; of records,
            the first whole ones.

    Attributes:
        text: the part that is scored.
    """

    def __init__(self, text: EncodedText) -> None:
        self.text = text.first(MOST_SCORED)

    def __len__(self) -> int:
        return len(self.text)

    def open_tally(self, network: CharModel) -> Tally:
        """Open a tally for the scores that the network gives the text."""
        text = self.text
        return Tally(text.scored, network.head.out_features, opened=text.unscored > 0)

    def score(self, network: CharModel) -> Iterator[Part]:
        """Score the text part by part."""
        backend = TorchBackend(network)
        match self.text:
            case RecordText() as text:
                return score_records(backend, text)
            case ContinuousText(ids):
                streams = streams_for(len(ids), backend.state_size, _LEAST_CHARACTERS)
                return score(backend, ids, streams, again=_CONTEXT)
