"""A model's score beside what the same text costs whoever only counts or compresses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from charrnn.checkpoints.model_file import ModelFile
from charrnn.data.alphabet import Ids
from charrnn.errors import CharrnnError
from charrnn.evaluation.baselines import Baselines, measure_baselines
from charrnn.training.run_data import RunData

_MOST_CHARACTERS = 1 << 22
_COMPRESSOR = "xz"


@dataclass(frozen=True)
class Comparison:
    """The baselines of a text.

    Attributes:
        baselines: None if what the model has learnt from is not at hand.
        scored_all: whether they are of the whole text.
    """

    baselines: Baselines | None
    scored_all: bool

    @classmethod
    def of(cls, data: RunData, model: ModelFile, ids: Ids) -> Comparison:
        """Let them read the text that the model was trained on, and then ``ids``, shape (N,)."""
        try:
            learnt = data.split.train.ids
        except CharrnnError:
            # The model's own score stands all the same.
            return cls(None, scored_all=False)
        found = measure_baselines(learnt, ids, model.alphabet, [_COMPRESSOR], most=_MOST_CHARACTERS)
        return cls(found, found.scored == len(ids))

    def as_data(self) -> dict[str, Any] | None:
        """The figures for JSON."""
        if self.baselines is None:
            return None
        best = self.baselines.best_order
        return {
            "ngram_order": best,
            "ngram_nats_per_char": self.baselines.ngrams[best],
            f"{_COMPRESSOR}_nats_per_char": self.baselines.compressors[_COMPRESSOR],
            "learnt_characters": self.baselines.learnt,
            "scored_characters": self.baselines.scored,
        }

    def as_facts(self) -> dict[str, str]:
        """The figures for people."""
        if self.baselines is None:
            return {"baselines": "none: the text that the model was trained on is not at hand"}
        best = self.baselines.best_order
        facts = {
            f"n-grams of order {best}": brief(self.baselines.ngrams[best]),
            _COMPRESSOR: brief(self.baselines.compressors[_COMPRESSOR]),
        }
        if not self.scored_all:
            facts["both"] = f"of the first {self.baselines.scored:,} characters"
        return facts


def brief(nats: float) -> str:
    """A cost of a character in both units."""
    return f"{nats:.4f} nats, {nats / math.log(2):.4f} bits per character"
