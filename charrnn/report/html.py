"""Rendering of a report as one HTML file.

The template engine escapes all foreign text (corpora, names, drawn text), and control characters
are made visible. The page contains no script, and its content policy allows none to run. Only the
plots are inserted unescaped; they contain no foreign text.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from charrnn import __version__
from charrnn.data.alphabet import RECORD_END
from charrnn.display import visible
from charrnn.report import plots
from charrnn.report.content import Contents
from charrnn.report.plots import pick_evenly
from charrnn.training.learnt import describe_learnt
from charrnn.training.run_summary import Measurement, Summary

_SHOWN_CHARACTERS = 600
_SHOWN_EVALUATIONS = 5
_ROWS_OF_EVALUATIONS = 25


def render(contents: Contents, command: str, name_setting: Callable[[str], str]) -> str:
    """Render the page.

    Args:
        contents: the content of the page.
        command: the command that repeats the run.
        name_setting: returns the user's name for a setting.

    Returns:
        The page as HTML.
    """
    run = contents.run
    passage = contents.passage
    environment = _make_environment()
    return environment.get_template("page.html").render(
        contents=contents,
        run=run,
        name=name_run(run.path),
        version=__version__,
        learnt=describe_learnt(run.held_out_learnt),
        mark=" (not new)" if run.held_out_learnt else "",
        training=plots.plot_training(run),
        reach=plots.plot_reach(contents.reaches),
        copying=plots.plot_copied(contents.copied),
        evaluations=pick_evenly(run.measurements, _ROWS_OF_EVALUATIONS),
        evolved=pick_evenly(_list_sampled(run), _SHOWN_EVALUATIONS),
        passage=color_by_bits(passage.symbols, passage.bits),
        bounds=BITS,
        mean_bits=math.fsum(passage.bits) / len(passage.bits),
        neurons=[
            (neuron, color_by_activation(neuron.symbols, neuron.activations))
            for neuron in contents.neurons
        ],
        settings=_list_settings(run, name_setting),
        command=command,
        shown=_SHOWN_CHARACTERS,
    )


def name_run(path: Path) -> str:
    """Name a run as its path does; where that ends in dots, as the folder does."""
    name = path.name
    return name if name.strip(".") else path.resolve().name or str(path.resolve())


def _make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("charrnn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    return environment


def _list_sampled(run: Summary) -> list[Measurement]:
    return [one for one in run.measurements if one.sample is not None]


def _list_settings(
    run: Summary, name_setting: Callable[[str], str]
) -> list[tuple[str, list[tuple[str, object, str]]]]:
    """List the settings of each group that the run uses: name, value and description."""
    request = run.request
    groups = {"Model": request.model, "Training": request.train, "Computing": request.compute}
    return [
        (
            title,
            [
                (name_setting(one.name), getattr(config, one.name), one.metadata["description"])
                for one in fields(config)
                if getattr(config, one.name) is not None
            ],
        )
        for title, config in groups.items()
    ]


BITS = (0.5, 1.0, 2.0, 3.0, 4.5, 6.5, 9.0)
"""Bounds in bits between the colors of the surprisal map."""

_ACTIVATIONS = (0.1, 0.3, 0.5, 0.7, 0.9)


class ColoredText(NamedTuple):
    """Adjacent characters of one color.

    Attributes:
        color: the color's class in the style sheet.
        text: the characters.
    """

    color: str
    text: str


def color_by_bits(symbols: str, bits: Sequence[float]) -> list[ColoredText]:
    """Color a text by the surprisal of its characters."""
    return list(_color(symbols, bits, lambda cost: f"bits-{bisect_right(BITS, cost)}"))


def color_by_activation(symbols: str, activations: Sequence[float]) -> list[ColoredText]:
    """Color a text by the activations of a unit, from -1 to 1."""

    def choose_color(active: float) -> str:
        strength = bisect_right(_ACTIVATIONS, abs(active))
        return f"{'below' if active < 0 else 'above'}-{strength}" if strength else "still"

    return list(_color(symbols, activations, choose_color))


def _color(
    symbols: str, values: Iterable[float], choose_color: Callable[[float], str]
) -> Iterator[ColoredText]:
    """Color a text; newlines and ends of records are shown by signs that carry their colors."""
    colored = zip(map(choose_color, values), symbols, strict=True)
    for shade, group in groupby(colored, lambda one: one[0]):
        text = "".join(symbol for _, symbol in group)
        yield ColoredText(shade, text.replace("\n", "\u21b5\n").replace(RECORD_END, "\u241e\n"))
