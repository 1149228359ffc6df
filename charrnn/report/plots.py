"""Plots of a report, as inline SVG in the colors of the page.

Matplotlib needs no display, and its SVG needs no script: a plot takes 10 kB and can be printed,
while a library that draws in the browser would add megabytes to every report. So that the colors
follow a light or dark page, lines are drawn in placeholder colors, which are then replaced by
variables of the style sheet.
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
"""Number of colors for lines; the style sheet defines as many."""

_INCHES = (4.6, 3.0)
_MOST_LINES, _MOST_POINTS = 12, 500
_STYLES = ("-", "--")
_INK, _FAINT = "#0000f0", "#0000f1"
_COLORS = [f"#0000a{number}" for number in range(SERIES)]
_VARIABLES = {
    _INK: "var(--ink)",
    _FAINT: "var(--line)",
    **{color: f"var(--series-{number})" for number, color in enumerate(_COLORS)},
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
    """A curve: its name, and the coordinates of its points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Plot:
    """A figure of the page.

    Attributes:
        name: letters and hyphens, unique on the page.
        title: the caption.
        svg: the drawing.
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
    """Draw lines; many lines or points are thinned out evenly.

    Args:
        name: see :class:`Plot`.
        title: see :class:`Plot`.
        lines: the curves.
        x_label: quantity and unit of the horizontal axis.
        y_label: quantity and unit of the vertical axis.
        logarithmic: make the vertical axis logarithmic.
    """
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=_INCHES, layout="constrained")
        axes = figure.subplots()
        for place, line in enumerate(pick_evenly(lines, _MOST_LINES)):
            points = pick_evenly(list(zip(line.x, line.y, strict=True)), _MOST_POINTS)
            axes.plot(
                *zip(*points, strict=True),
                label=line.name,
                color=_COLORS[place % SERIES],
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
    return Plot(name, title, _adapt_to_page(drawn.getvalue(), name))


def _adapt_to_page(svg: str, name: str) -> str:
    """Extract the drawing, use the colors of the page, and make the ids unique on it."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    # The page sets the size; the view box keeps the aspect ratio.
    opening, rest = svg.split(">", 1)
    return re.sub(r' (width|height)="[^"]*"', "", opening) + ">" + rest


Item = TypeVar("Item")


def pick_evenly(items: Sequence[Item], most: int) -> list[Item]:
    """Pick at most ``most`` (2 or more) items at even distances, including the first and last."""
    if len(items) <= most:
        return list(items)
    return [items[place * (len(items) - 1) // (most - 1)] for place in range(most)]


_NATS = "nats per character"
_POINTS_OF_RATE = 200


def plot_training(run: Summary) -> list[Plot]:
    """Plot the losses by characters and by seconds, the learning rate and the speed."""
    if not run.measurements:
        return []
    characters = [run.characters_at(one.step) / 1e6 for one in run.measurements]
    seconds = [one.train_seconds for one in run.measurements]
    read = "million characters read"
    return [
        draw(
            "loss-by-characters",
            "Loss by characters",
            _make_loss_lines(run, characters),
            read,
            _NATS,
        ),
        draw(
            "loss-by-seconds",
            "Loss by time",
            _make_loss_lines(run, seconds),
            "seconds of training",
            _NATS,
        ),
        draw("rate", "Learning rate", [_make_rate_line(run)], read, "learning rate"),
        draw("speed", "Speed", [_make_speed_line(run)], read, "thousand characters/s"),
    ]


def plot_reach(reaches: Sequence[Reach]) -> list[Plot]:
    """Plot the norm of the gradient by distance, on a logarithmic scale."""
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
    """Plot the share of n-grams that occur in the training text."""
    lines = [
        Line(
            one.name,
            [n for n in range(1, LONGEST_GRAM + 1) if one.overlap.grams[n - 1]],
            [100 * share for share in one.overlap.shares if share is not None],
        )
        for one in copied
    ]
    label = "% that occur in the training text"
    return [draw("copied", "Share of n-grams", lines, "characters of an n-gram", label)]


def _make_loss_lines(run: Summary, x: Sequence[float]) -> list[Line]:
    """Make the lines of training and held-out loss from the evaluations that have them."""
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


def _make_speed_line(run: Summary) -> Line:
    """Make the line of the speed between successive evaluations."""
    moments = [(0, 0.0), *((one.step, one.train_seconds) for one in run.measurements)]
    points = [
        (run.characters_at(step) / 1e6, run.characters_at(step - before) / (seconds - since) / 1e3)
        for (before, since), (step, seconds) in pairwise(moments)
        if seconds > since
    ]
    return Line("speed", [x for x, _ in points], [y for _, y in points])


def _make_rate_line(run: Summary) -> Line:
    """Make the line of the learning rate, at some 200 steps."""
    train, taken = run.request.train, run.progress.step

    def rate(step: int) -> float:
        schedule = Schedule(train.learning_rate, train.warmup, run.total_at(step))
        return schedule.learning_rate(step) / 2.0 ** sum(one <= step for one in run.rollbacks)

    steps = range(0, taken, max(taken // _POINTS_OF_RATE, 1))
    return Line(
        "learning rate",
        [run.characters_at(step) / 1e6 for step in steps],
        [rate(step) for step in steps],
    )
