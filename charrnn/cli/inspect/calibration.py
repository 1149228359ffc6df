"""charrnn inspect calibration: compare what a model expects with what comes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

from charrnn.cli import terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.options import (
    Debug,
    Encoding,
    Json,
    StackRound,
    SubjectArgument,
    TrainingText,
    Unknown,
    option,
)
from charrnn.config.training import ComputeConfig

if TYPE_CHECKING:
    from charrnn.analysis.calibration import PredictionGroup

MOST_CHARACTERS = 100_000
"""Characters of a text, from its beginning, that are read."""


@explained(
    """Compare how likely a model calls characters with how often they come.

    charrnn inspect calibration
    charrnn inspect calibration runs/tales another.txt --json
    """
)
def calibration(
    arguments: SubjectArgument = None,
    unknown: Unknown = "error",
    encoding: Encoding = "utf-8",
    stack_round: StackRound = None,
    threads: Annotated[int | None, option(ComputeConfig, "threads")] = ComputeConfig.threads,
    corpus: TrainingText = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn inspect calibration``."""
    from charrnn.analysis.calibration import measure_calibration
    from charrnn.cli.arguments import load_and_read
    from charrnn.cli.progress import PassBars
    from charrnn.errors import CorpusError

    model, read = load_and_read(
        arguments or [],
        encoding=encoding,
        unknown=unknown,
        stack_round=stack_round,
        threads=threads,
        corpus=corpus,
    )
    text = read.text.first(MOST_CHARACTERS)
    if len(text) < 2:
        raise CorpusError(f"{read.name}: {len(text)} characters are too few to compare")
    with closing(PassBars()) as bars:
        show = partial(bars.show, "calibration", total=len(text) - 1)
        found = measure_calibration(model.backend("scoring"), text, show)
    if as_json:
        terminal.print_json(
            {
                "model": str(model.path),
                "source": read.name,
                "characters": found.characters,
                "expected_bits_per_char": found.expected_nats / math.log(2),
                "bits_per_char": found.found_nats / math.log(2),
                "calibration": [asdict(group) for group in found.groups],
            }
        )
        return
    terminal.print_facts(
        {
            "model": str(model.path),
            "text": read.name,
            "characters": f"{found.characters:,}, from the beginning",
            "bits per character": f"{found.expected_nats / math.log(2):.4f} expected, "
            f"{found.found_nats / math.log(2):.4f} found",
        }
    )
    _print_groups(found.groups)


def _print_groups(groups: Sequence[PredictionGroup]) -> None:
    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.2%}"

    terminal.print_table(
        ["probability", "predictions", "expected", "found"],
        [
            [
                f"{group.least:.1%} to {group.most:.1%}",
                f"{group.count:,}",
                share(group.probability),
                share(group.came_true),
            ]
            for group in groups
        ],
        title="predictions by their probability, the mean of it, and the share that came true",
    )
