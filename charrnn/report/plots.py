"""Curves as small inline SVG that takes its colours from the page around it.

Matplotlib draws without a display, and its SVG needs no script: it prints, and costs 10 kB where
a library that draws in the reader's browser adds megabytes to every report. Its one want is colour
that follows a light or a dark page; so lines are drawn in colours that stand for names of the
page's style sheet, and these are put in afterwards. Texts stay texts.

A choice of many things.

The plots of a report.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import matplotlib
from matplotlib.figure import Figure

from charrnn.analysis.gradients import Reach
from charrnn.analysis.memorization import LONGEST_GRAM
from charrnn.report.content import Copied
from charrnn.training.run_summary import Summary
from charrnn.training.schedule import Schedule

SERIES = 6
"""Colours there are for lines; the style sheet names as many."""

_INCHES = (4.6, 3.0)
_MOST_LINES, _MOST_POINTS = 12, 500
_STYLES = ("-", "--")
_INK, _FAINT = "#0000f0", "#0000f1"
_COLOURS = [f"#0000a{number}" for number in range(SERIES)]
_NAMES = {
    _INK: "var(--ink)",
    _FAINT: "var(--line)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(_COLOURS)},
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
}
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


@dataclass(frozen=True)
class Line:
    """A curve: its name, and its points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Plot:
    """A figure of the page.

    Attributes:
        name: of letters and hyphens; no other on the page has it.
        title: what it shows.
        svg: itself.
    """

    name: str
    title: str
    svg: str


def draw(
    name: str,
    title: str,
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    logarithmic: bool = False,
) -> Plot:
    """Draw some lines; of very many, or of very many points, an even choice.

    Args:
        name: see :class:`Plot`.
        title: what is shown, for those who cannot see it too.
        lines: the curves.
        x_label: what runs from left to right, with its unit.
        y_label: what rises, with its unit.
        logarithmic: whether it rises by factors.
    """
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=_INCHES, layout="constrained")
        axes = figure.subplots()
        for place, line in enumerate(evenly(lines, _MOST_LINES)):
            points = evenly(list(zip(line.x, line.y, strict=True)), _MOST_POINTS)
            axes.plot(
                *zip(*points, strict=True),
                label=line.name,
                color=_COLOURS[place % SERIES],
                linestyle=_STYLES[place // SERIES],
                marker="o" if len(points) == 1 else "",
            )
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if logarithmic:
            axes.set_yscale("log")
        if len(lines) > 1:
            axes.legend(ncols=2 if len(lines) > 3 else 1)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata=_NO_METADATA)
    return Plot(name, title, _for_page(drawn.getvalue(), name))


def _for_page(svg: str, name: str) -> str:
    """The drawing alone, with the page's colours, and ids that no other drawing has."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    for colour, variable in _NAMES.items():
        svg = svg.replace(colour, variable)
    # The page says how large it is; the view box keeps its shape.
    opening, rest = svg.split(">", 1)
    return re.sub(r' (width|height)="[^"]*"', "", opening) + ">" + rest


Thing = TypeVar("Thing")


def evenly(things: Sequence[Thing], most: int) -> list[Thing]:
    """All of them, or ``most`` (2 or more) at even distances, the first and the last included."""
    if len(things) <= most:
        return list(things)
    return [things[place * (len(things) - 1) // (most - 1)] for place in range(most)]


_NATS = "nats per character"
_POINTS_OF_RATE = 200


def plot_training(run: Summary) -> list[Plot]:
    """Losses against characters and seconds, the learning rate, the speed."""
    if not run.measurements:
        return []
    characters = [run.characters_at(one.step) / 1e6 for one in run.measurements]
    seconds = [one.train_seconds for one in run.measurements]
    read = "million characters read"
    return [
        draw("loss-by-characters", "Loss by characters", _losses(run, characters), read, _NATS),
        draw(
            "loss-by-seconds", "Loss by time", _losses(run, seconds), "seconds of training", _NATS
        ),
        draw("rate", "Learning rate", [_rates(run)], read, "learning rate"),
        draw("speed", "Speed", [_speeds(run)], read, "thousand characters/s"),
    ]


def plot_reach(reaches: Sequence[Reach]) -> list[Plot]:
    """How far back the gradient reaches, by factors."""
    lines = [
        Line(f"layer {reach.layer} {reach.part}", range(len(reach.norms)), reach.norms)
        for reach in reaches
        if any(reach.norms)
    ]
    if not lines:
        return []
    label = "mean norm of the gradient"
    return [
        draw("reach", "Norm of the gradient", lines, "characters back", label, logarithmic=True)
    ]


def plot_copied(copied: Sequence[Copied]) -> list[Plot]:
    """The share of n-grams that stand in the training text."""
    lines = [
        Line(
            one.name,
            [n for n in range(1, LONGEST_GRAM + 1) if one.overlap.grams[n - 1]],
            [100 * share for share in one.overlap.shares if share is not None],
        )
        for one in copied
    ]
    label = "% that stand in the training text"
    return [draw("copied", "Share of n-grams", lines, "characters of an n-gram", label)]


def _losses(run: Summary, x: Sequence[float]) -> list[Line]:
    """The training loss and the held-out one, each where there is one."""
    losses = {
        "training": [one.train_nats_per_char for one in run.measurements],
        "held out": [one.valid_nats_per_char for one in run.measurements],
    }
    lines = []
    for name, values in losses.items():
        points = [(at, nats) for at, nats in zip(x, values, strict=True) if nats is not None]
        if points:
            lines.append(Line(name, *zip(*points, strict=True)))
    return lines


def _speeds(run: Summary) -> Line:
    """How fast each stretch between two evaluations was trained."""
    moments = [(0, 0.0), *((one.step, one.train_seconds) for one in run.measurements)]
    points = [
        (run.characters_at(step) / 1e6, run.characters_at(step - before) / (seconds - since) / 1e3)
        for (before, since), (step, seconds) in pairwise(moments)
        if seconds > since
    ]
    return Line("speed", [x for x, _ in points], [y for _, y in points])


def _rates(run: Summary) -> Line:
    """The learning rate of every step, or of enough of them to see its course."""
    train, taken = run.request.train, run.progress.step
    schedule = Schedule(train.learning_rate, train.warmup, run.progress.total)

    def rate(step: int) -> float:
        return schedule.learning_rate(step) / 2.0 ** sum(one <= step for one in run.rollbacks)

    steps = range(0, taken, max(taken // _POINTS_OF_RATE, 1))
    return Line(
        "learning rate",
        [run.characters_at(step) / 1e6 for step in steps],
        [rate(step) for step in steps],
    )
