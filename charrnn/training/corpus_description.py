"""Description of a corpus before it is trained on: its statistics, baselines and settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from charrnn.data.corpus import Corpus, SplitCorpus
from charrnn.data.statistics import (
    CharacterStatistics,
    Layout,
    count_characters,
    measure_copied_share,
    measure_layout,
)
from charrnn.evaluation.baselines import COMPRESSORS, MOST_TO_DESCRIBE, Baselines, measure_baselines
from charrnn.training.progress import SettingsChosen


@dataclass(frozen=True)
class SuggestedSettings:
    """The settings that training would choose for a text.

    Attributes:
        settings: by name, those that are reported.
        event: the event that reports the choice; None if there was nothing to choose.
    """

    settings: dict[str, Any]
    event: SettingsChosen | None


@dataclass(frozen=True)
class CorpusDescription:
    """Everything that is known about a text.

    Attributes:
        name: as the user named it.
        corpus: the text.
        characters: statistics of its characters.
        layout: its lines and paragraphs.
        copied_share: the share of spans of the held-out part that occur in the training part.
        baselines: losses of simple models on the held-out part, fitted to the training part.
        suggested: the settings that training would choose; None without torch, whose speed they
            depend on.
    """

    name: str
    corpus: Corpus
    characters: CharacterStatistics
    layout: Layout
    copied_share: float
    baselines: Baselines
    suggested: SuggestedSettings | None


def describe_split(
    name: str, split: SplitCorpus, suggested: SuggestedSettings | None
) -> CorpusDescription:
    """Measure a text and describe it.

    Args:
        name: the user's name for it.
        split: the text; its held-out part has a character at least.
        suggested: the settings that training would choose; None if they are not known.
    """
    corpus, learned, held_out = split.corpus, split.train.ids, split.held_out.ids
    return CorpusDescription(
        name=name,
        corpus=corpus,
        characters=count_characters(corpus.ids, corpus.alphabet),
        layout=measure_layout(corpus.ids, corpus.alphabet),
        copied_share=measure_copied_share(learned[-MOST_TO_DESCRIBE:], held_out[:MOST_TO_DESCRIBE]),
        baselines=measure_baselines(
            learned, held_out, corpus.alphabet, tuple(COMPRESSORS), most=MOST_TO_DESCRIBE
        ),
        suggested=suggested,
    )
