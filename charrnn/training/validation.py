"""Validation: score the held-out text during training."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from charrnn.config.model import ModelConfig
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.data.ngrams import Ngrams
from charrnn.evaluation.metrics import ScoreSum
from charrnn.evaluation.scorer import Part, score, score_records, streams_for
from charrnn.inference.backend import Backend
from charrnn.inference.native_backend import NativeBackend, build_network, can_serve
from charrnn.inference.torch_backend import TorchBackend
from charrnn.models.char_model import CharModel
from charrnn.models.ngram_expert import NgramExpert
from charrnn.training.expert_choice import choose_expert, count_for_expert

MOST_SCORED = 200_000
"""The most characters that an evaluation during training scores, counted from the beginning: enough
to compare evaluations, and seconds of work where a tenth of a large text would take minutes."""

_CONTEXT = 512
"""The least number of characters read before a scored one, except at the text's beginning. The loss
is approximate for a network that remembers more; the exact loss would take longer."""

_LEAST_CHARACTERS = 4 * _CONTEXT


class HeldOut:
    """The validation split as training scores it.

    Args:
        text: the held-out text; empty if there is none. The first MOST_SCORED characters of it are
            scored, or as many whole records as they hold.
        config: of the network; where the native library supports it, that scores.
        counted: the training text, whose n-grams the expert counts; None if there is to be none.
        experts: see :func:`charrnn.training.expert_choice.choose_expert`.

    Attributes:
        text: the part that is scored.
        expert: of the last score, which it is part of; None if it was that of the network alone.
    """

    def __init__(
        self,
        text: EncodedText,
        config: ModelConfig,
        counted: EncodedText | None = None,
        experts: str = "none",
    ) -> None:
        self.text = text.first(MOST_SCORED)
        self.expert: NgramExpert | None = None
        self._config = config
        self._counted, self._experts = counted, experts
        self._ngrams: Ngrams | None = None

    def __len__(self) -> int:
        return len(self.text)

    def open_sum(self, network: CharModel) -> ScoreSum:
        """Begin the sum of the network's loss on the text."""
        text = self.text
        return ScoreSum(text.scored, network.head.out_features, opened=text.unscored > 0)

    def score(self, network: CharModel) -> Iterator[Part]:
        """Fit the expert, score the text with it part by part, and yield each part's loss."""
        self.expert = None
        if self._counted is not None:
            if self._ngrams is None:
                characters = network.head.out_features
                self._ngrams = count_for_expert(self._counted, characters)
            alone = self._load(network)
            self.expert = choose_expert(alone, self.text, self._ngrams, self._experts)
        backend = self._load(network)
        match self.text:
            case RecordText() as text:
                return score_records(backend, text)
            case ContinuousText(ids):
                streams = streams_for(len(ids), backend.state_size, _LEAST_CHARACTERS)
                return score(backend, ids, streams, again=_CONTEXT)

    def _load(self, network: CharModel) -> Backend:
        weights = network.state_dict()
        on_cpu = all(weight.device.type == "cpu" for weight in weights.values())
        if not on_cpu or not can_serve(self._config):
            return TorchBackend(network, self.expert)
        arrays = {name: weight.numpy() for name, weight in weights.items()}
        native = build_network(self._config, arrays, expert=self.expert)
        return NativeBackend(native, torch.get_num_threads())
