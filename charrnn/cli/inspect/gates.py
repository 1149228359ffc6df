"""charrnn inspect gates: measure the saturation of gates."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
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
    from charrnn.analysis.gates import Saturation


_MOSTLY = 0.9


@explained(
    """Measure how often each gate is saturated: shut (below 0.1) or open (above 0.9).

    charrnn inspect gates
    charrnn inspect gates runs/tales another.txt --json
    """
)
def gates(
    arguments: SubjectArgument = None,
    unknown: Unknown = "error",
    encoding: Encoding = "utf-8",
    stack_round: StackRound = None,
    # One text is read step by step, which is too little work to divide.
    threads: Annotated[int, option(ComputeConfig, "threads")] = 1,
    corpus: TrainingText = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn inspect gates``."""
    from charrnn.cli.arguments import load_and_read
    from charrnn.cli.progress import PassBars

    model, read = load_and_read(
        arguments or [],
        encoding=encoding,
        unknown=unknown,
        stack_round=stack_round,
        threads=threads,
        corpus=corpus,
    )
    with closing(PassBars()) as bars:
        bars.show("gates", 0, len(read.text))  # It takes seconds to load torch.
        network = model.torch_model()
        from charrnn.analysis.gates import MOST_CHARACTERS, measure_saturation

        characters = min(len(read.text), MOST_CHARACTERS)
        show = partial(bars.show, "gates", total=characters)
        found = measure_saturation(network, read.text, show)
    if as_json:
        terminal.print_json(
            {
                "model": str(model.path),
                "source": read.name,
                "characters": characters,
                "gates": [
                    {"layer": one.layer, "gate": one.gate, "shut": one.shut, "open": one.open}
                    for one in found
                ],
            }
        )
        return
    terminal.print_facts(
        {
            "model": str(model.path),
            "text": read.name,
            "characters": f"{characters:,}, from the beginning",
        }
    )
    _print_saturations(found)


def _print_saturations(found: Sequence[Saturation]) -> None:
    def share(values: Sequence[float]) -> str:
        return f"{sum(values) / len(values):.1%}"

    def mostly(values: Sequence[float]) -> str:
        return f"{sum(value > _MOSTLY for value in values)} of {len(values)}"

    terminal.print_table(
        ["gate", "shut", "open", "mostly shut", "mostly open"],
        [
            [
                f"layer {one.layer} {one.gate}",
                share(one.shut),
                share(one.open),
                mostly(one.shut),
                mostly(one.open),
            ]
            for one in found
        ],
        title="share of time that gates are below 0.1 (shut) or above 0.9 (open), "
        "and gates that are so for nine tenths of the time",
    )
