"""What a report says, before it is put on a page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from charrnn.gradients import Reach
from charrnn.novelty import Overlap
from charrnn.report.neurons import Neuron
from charrnn.report.surprisal import Passage
from charrnn.summary import Summary


@dataclass(frozen=True)
class Drawn:
    """A text that the model wrote.

    Attributes:
        temp: the temperature it was drawn at.
        text: itself, as a file would hold it.
    """

    temp: float
    text: str


@dataclass(frozen=True)
class Copied:
    """How much of a text stands in the training text.

    Attributes:
        name: of the text.
        overlap: the figures.
        quote: the longest span; empty if there is none.
        line: of the training text, counted from 1, in which it begins there; of records, the one.
    """

    name: str
    overlap: Overlap
    quote: str
    line: int


@dataclass(frozen=True)
class Contents:
    """Everything that a report says.

    Attributes:
        run: settings, figures and cost.
        read: what to call the text that the passage is from.
        drawn: texts at several temperatures.
        copied: memorisation: the same texts, and held-out text of the same length.
        passage: what each character of a text cost.
        neurons: units that follow something.
        reaches: how far back the gradient reaches; empty if the text is too short for it.
    """

    run: Summary
    read: str
    drawn: list[Drawn]
    copied: list[Copied]
    passage: Passage
    neurons: list[Neuron]
    reaches: list[Reach]

    @property
    def bits_per_char(self) -> float | None:
        """The best held-out loss in bits; None if nothing is held out."""
        best = self.run.progress.best_nats_per_char
        return None if best is None else best / math.log(2)
