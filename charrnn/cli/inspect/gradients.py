"""charrnn inspect gradients: measure the reach of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

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
    from charrnn.analysis.gradients import Reach


_SHOWN_STEPS = (0, 1, 2, 5, 10, 20, 30, 50, 70, 100, 200, 500, 1000, 2000, 5000)


@explained(
    """Measure how far back the gradient of the loss reaches, layer by layer.

    charrnn inspect gradients
    charrnn inspect gradients runs/tales another.txt --steps 200

    A text of records is read as one text, so the gradient crosses the ends of records.
    """
)
def gradients(
    arguments: SubjectArgument = None,
    steps: Annotated[int, typer.Option(help="Characters to look back.", min=1, max=10_000)] = 100,
    unknown: Unknown = "error",
    encoding: Encoding = "utf-8",
    stack_round: StackRound = None,
    # A step is so little work that threads would wait for one another most of the time.
    threads: Annotated[int, option(ComputeConfig, "threads")] = 1,
    corpus: TrainingText = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn inspect gradients``."""
    from charrnn.cli.arguments import load_and_read
    from charrnn.cli.progress import PassBars
    from charrnn.data.encoded_text import RecordText

    model, read = load_and_read(
        arguments or [],
        encoding=encoding,
        unknown=unknown,
        stack_round=stack_round,
        threads=threads,
        corpus=corpus,
    )
    if isinstance(read.text, RecordText):
        terminal.note("the records are read as one text: the state is carried across their ends")
    with closing(PassBars("place")) as bars:
        bars.show("gradients", 0, 1)  # It takes seconds to load torch.
        network = model.torch_model()
        from charrnn.analysis.gradients import count_places, measure_reach

        places = count_places(len(read.text), steps)
        show = partial(bars.show, "gradients", total=places)
        reaches = measure_reach(network, read.text.ids, steps, on_progress=show)
    if as_json:
        terminal.print_json(
            {
                "model": str(model.path),
                "source": read.name,
                "look_back": steps,
                "places": places,
                "gradients": [
                    {"layer": reach.layer, "part": reach.part, "norms": reach.norms}
                    for reach in reaches
                ],
            }
        )
        return
    terminal.print_facts(
        {"model": str(model.path), "text": read.name, "places": f"{places}, evenly spread"}
    )
    _print_reaches(reaches, steps)


def _print_reaches(reaches: Sequence[Reach], steps: int) -> None:
    """Print the norms by k, with a column for each part of each layer's state."""
    shown = [k for k in _SHOWN_STEPS if k < steps] + [steps]
    terminal.print_table(
        ["k", *(f"layer {reach.layer} {reach.part}" for reach in reaches)],
        [[str(k), *(f"{reach.norms[k]:.2e}" for reach in reaches)] for k in shown],
        title="norm of dL(t) / ds(t - k), the mean over the text",
    )
