"""A text described: its characters and lines, what simple models make of it, what to choose."""

from __future__ import annotations

import math
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from charrnn.cli import terminal
from charrnn.cli.progress import describe_choice
from charrnn.config.training import SourceConfig, TrainConfig
from charrnn.data.corpus import Corpus, SplitCorpus, fit_corpus
from charrnn.data.inputs import gather, is_generated
from charrnn.data.statistics import (
    RARE,
    SPAN,
    CharacterStatistics,
    Group,
    Layout,
    Lengths,
    count_characters,
    measure_copied_share,
    measure_layout,
)
from charrnn.evaluation.baselines import COMPRESSORS, Baselines, measure_baselines
from charrnn.training.auto_config import TOLD, complete_settings
from charrnn.training.session import settle

_MOST_CHARACTERS = 1 << 24
_SHOWN_CHARACTERS = 20


@dataclass(frozen=True)
class Description:
    """All that is known of a text.

    Attributes:
        name: as the user named it.
        corpus: the text.
        characters: what it is made of.
        layout: its lines and paragraphs.
        copied: the share of the held-out part's spans that stand in the other.
        baselines: what the held-out part costs simple models that have read the other.
        chosen: the settings that training it would begin with.
        reason: the same, and why, for people.
    """

    name: str
    corpus: Corpus
    characters: CharacterStatistics
    layout: Layout
    copied: float
    baselines: Baselines
    chosen: dict[str, Any]
    reason: str


def describe(sources: Sequence[str], encoding: str | None, *, as_json: bool) -> None:
    """Read texts as one, look into them, and print what was found."""
    with tempfile.TemporaryDirectory() as folder:
        paths, names = gather(sources, Path(folder))
        corpus = fit_corpus(paths, encoding, names=names)
    for message in corpus.notes:
        terminal.note(message)
    found = _describe(", ".join(sources), corpus, generated=all(map(is_generated, sources)))
    if as_json:
        terminal.print_json(_as_data(found))
    else:
        terminal.print_facts(_contents(found))
        _print_costs(found.baselines)


def _describe(name: str, corpus: Corpus, *, generated: bool) -> Description:
    settings = complete_settings({})
    split = SplitCorpus.of(corpus, settings["valid"])
    learnt, held_out = split.train.ids, split.held_out.ids
    request, chosen = settle(settings, SourceConfig(), split, generated=generated)
    settings = {**request.model.to_dict(), **request.train.to_dict()}
    return Description(
        name,
        corpus,
        count_characters(corpus.ids, corpus.alphabet),
        measure_layout(corpus.ids, corpus.alphabet),
        measure_copied_share(learnt[-_MOST_CHARACTERS:], held_out[:_MOST_CHARACTERS]),
        measure_baselines(
            learnt, held_out, corpus.alphabet, tuple(COMPRESSORS), most=_MOST_CHARACTERS
        ),
        {name: settings[name] for name in TOLD},
        describe_choice(chosen) if chosen else "",
    )


def _as_data(found: Description) -> dict[str, Any]:
    baselines = found.baselines
    return {
        "text": found.name,
        "characters": len(found.corpus),
        "sha256": found.corpus.digest,
        **asdict(found.characters),
        **asdict(found.layout),
        "copied_share": found.copied,
        "held_out": {
            "share": TrainConfig.valid,
            "learnt_characters": baselines.learnt,
            "scored_characters": baselines.scored,
            "ngram_bits_per_char": [nats / math.log(2) for nats in baselines.ngrams],
            "compressor_bits_per_char": {
                name: nats / math.log(2) for name, nats in baselines.compressors.items()
            },
        },
        "chosen": found.chosen,
    }


def _contents(found: Description) -> dict[str, str]:
    """The characters and lines, for people."""
    characters, layout = found.characters, found.layout
    facts = {
        "text": found.name,
        "SHA-256": found.corpus.digest,
        "size": f"{len(found.corpus):,} characters, {characters.bytes:,} bytes",
        "alphabet": f"{characters.different:,} characters",
    }
    if characters.scripts:
        facts["letters"] = ", ".join(
            f"{count:,} {script}" for script, count in characters.scripts.items()
        )
    if characters.rare.count:
        facts["rare"] = f"{_name(characters.rare)} occur less than {RARE} times each"
    for name, group in characters.groups.items():
        facts[name] = f"{group.count:,}: {_name(group)}"
    if characters.mixed_scripts:
        facts["mixed scripts"] = (
            f"{characters.mixed_scripts:,} times a Latin, Greek or Cyrillic letter stands beside "
            "one of another of these"
        )
    facts["lines"] = f"{_lengths(layout.lines)}; {layout.blank_lines:,} blank ones besides"
    facts["paragraphs"] = _lengths(layout.paragraphs)
    facts["repeated lines"] = f"{layout.repeated_share:.1%} ({layout.repeated_lines:,})"
    facts["copied"] = (
        f"{found.copied:.1%} of the spans of {SPAN} characters held out stand in the rest as well"
    )
    facts["would choose"] = found.reason
    return facts


def _lengths(lengths: Lengths) -> str:
    median = f"{lengths.median:,.1f}".removesuffix(".0")
    return f"{lengths.count:,}, median {median} characters, longest {lengths.longest:,}"


def _name(group: Group) -> str:
    """The characters of a group, those that cannot be seen by their code points."""
    shown = " ".join(
        c if c.isprintable() and not unicodedata.combining(c) else f"U+{ord(c):04X}"
        for c in group.characters[:_SHOWN_CHARACTERS]
    )
    more = len(group.characters) - _SHOWN_CHARACTERS
    return f"{shown} and {more:,} more" if more > 0 else shown


def _print_costs(baselines: Baselines) -> None:
    costs = {f"n-grams of order {order}": nats for order, nats in enumerate(baselines.ngrams)}
    costs |= baselines.compressors
    terminal.print_table(
        ["", "nats", "bits"],
        [[name, f"{nats:.4f}", f"{nats / math.log(2):.4f}"] for name, nats in costs.items()],
        title=f"cost of a character held out (the mean of {baselines.scored:,}), to whoever has "
        f"read the rest ({baselines.learnt:,})",
    )
