"""Curves as small inline SVG that takes its colours from the page around it.

Matplotlib draws without a display, and its SVG needs no script: it prints, and costs 10 kB where
a library that draws in the reader's browser adds megabytes to every report. Its one want is colour
that follows a light or a dark page; so lines are drawn in colours that stand for names of the
page's style sheet, and these are put in afterwards. Texts stay texts.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from charrnn.report.evenly import evenly

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
