"""Results of reading a text with a model; in a notebook they draw themselves."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.evaluation.baselines import Baselines
from charrnn.evaluation.metrics import Score

_BITS_OF_FULL_COLOR = 10.0


@dataclass(frozen=True)
class Evaluation:
    """The score of a text: every character once, the state carried from the first to the last.

    Attributes:
        text: the name of the text.
        score: its negative log-likelihood.
        records: records of the text; None if it is one text.
        reset_nats_per_char: the same with the state forgotten after every so many characters; None
            if that was not asked for.
        dynamic_nats_per_char: the same with the weights following the text; None if that was not
            asked for.
        baselines: n-grams and compressors that have read the training text; None if they were not
            asked for, or the training text is not at hand.
        held_out_learnt: the share of a held-out text that the base model was trained on, so that
            the score is too low for a text that is new; else 0.

    >>> evaluation = Evaluation("a line", Score(nats=6.9, characters=10, bytes=10))
    >>> round(evaluation.bits_per_char, 3)
    0.995
    """

    text: str
    score: Score
    records: int | None = None
    reset_nats_per_char: float | None = None
    dynamic_nats_per_char: float | None = None
    baselines: Baselines | None = None
    held_out_learnt: float = 0.0

    @property
    def characters(self) -> int:
        """Characters that were scored."""
        return self.score.characters

    @property
    def nats_per_char(self) -> float:
        """Cross entropy in nats per character."""
        return self.score.nats_per_char

    @property
    def bits_per_char(self) -> float:
        """Cross entropy in bits per character."""
        return self.score.bits_per_char

    @property
    def bits_per_byte(self) -> float:
        """Cross entropy in bits per byte of the text in UTF-8."""
        return self.score.bits_per_byte

    @property
    def perplexity(self) -> float:
        """The exponential of the cross entropy, per character."""
        return self.score.perplexity

    @property
    def bits_per_record(self) -> float | None:
        """Bits of a record in the mean, its end included; None if the text is one."""
        return self.score.bits / self.records if self.records else None

    def to_dict(self) -> dict[str, Any]:
        """List the figures by their names in JSON."""
        figures: dict[str, Any] = {
            "nats_per_char": self.nats_per_char,
            "bits_per_char": self.bits_per_char,
            "bits_per_byte": self.bits_per_byte,
            "perplexity": self.perplexity,
            "characters": self.characters,
        }
        if self.records:
            figures |= {"bits_per_record": self.bits_per_record, "records": self.records}
        for name in ("reset_nats_per_char", "dynamic_nats_per_char"):
            if (value := getattr(self, name)) is not None:
                figures[name] = value
        if self.held_out_learnt:
            figures["held_out_learnt"] = self.held_out_learnt
        return figures

    def _repr_html_(self) -> str:
        rows = {
            "text": self.text,
            "characters": f"{self.characters:,}",
            "nats per character": f"{self.nats_per_char:.4f}",
            "bits per character": f"{self.bits_per_char:.4f}",
            "bits per byte": f"{self.bits_per_byte:.4f}",
            "perplexity": f"{self.perplexity:.3f}",
        }
        body = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in rows.items()
        )
        return f"<table>{body}</table>"


@dataclass(frozen=True)
class Surprisal:
    """The bits of each character of a text under a model.

    Attributes:
        text: the characters that were read, as the model spells them.
        bits: of each of them, shape (N,), float64.

    >>> surprisal = Surprisal("ab", np.array([1.0, 3.0]))
    >>> surprisal.bits_per_char
    2.0
    """

    text: str
    bits: NDArray[np.float64]

    @property
    def bits_per_char(self) -> float:
        """The mean over the text; NaN if it is empty."""
        return float(self.bits.mean()) if len(self.bits) else math.nan

    def _repr_html_(self) -> str:
        spans = (
            f"<span title='{bits:.2f} bits' style='background:rgba(214,69,65,"
            f"{min(bits / _BITS_OF_FULL_COLOR, 1):.2f})'>{html.escape(character)}</span>"
            for character, bits in zip(self.text, self.bits, strict=True)
        )
        return f"<pre style='white-space:pre-wrap'>{''.join(spans)}</pre>"
