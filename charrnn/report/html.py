"""What a report says -> one HTML file.

Whatever somebody else wrote (texts, names, what the model drew) goes through the template engine,
which escapes it, and has its control characters shown. No script is in the page, and its content
policy allows none to run. Only the plots are put in as they are; no foreign text is in them.

Numbers along a text are the colours behind its characters.
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
from charrnn.errors import Remedy, StorageError, UsageError
from charrnn.files import write_atomically
from charrnn.report import plots
from charrnn.report.content import Contents
from charrnn.report.plots import evenly
from charrnn.training.run_summary import Measurement, Summary

MARK = b'<meta name="generator" content="charrnn report'
"""What every report has near its beginning, by which one is known."""

_MARK_WITHIN = 400
_SHOWN_CHARACTERS = 600
_SHOWN_EVALUATIONS = 5
_ROWS_OF_EVALUATIONS = 25


def write(path: Path, page: str) -> None:
    """Save a report; one that is there already is replaced.

    Raises:
        UsageError: what is there is something else.
        StorageError: the disk refused.
    """
    check_replaceable(path)
    write_atomically(path, page.encode())


def check_replaceable(path: Path) -> None:
    """Raise UsageError if what is at a path is anything but an earlier report."""
    try:
        with path.open("rb") as stream:
            is_report = MARK in stream.read(_MARK_WITHIN)
    except FileNotFoundError:
        return
    except OSError as problem:
        raise StorageError(f"{path}: cannot be written: {problem.strerror}") from problem
    if not is_report:
        raise UsageError(
            f"{path} is there already and is no report of charrnn's: it stays as it is",
            Remedy("name another file", "output"),
        )


def render(contents: Contents, command: str, name_setting: Callable[[str], str]) -> str:
    """Render the page.

    Args:
        contents: of the page.
        command: the way to train the run again, as a user types it.
        name_setting: what a user calls a setting.

    Returns:
        HTML.
    """
    run = contents.run
    passage = contents.passage
    environment = _environment()
    return environment.get_template("page.html").render(
        contents=contents,
        run=run,
        version=__version__,
        training=plots.plot_training(run),
        reach=plots.plot_reach(contents.reaches),
        copying=plots.plot_copied(contents.copied),
        evaluations=evenly(run.measurements, _ROWS_OF_EVALUATIONS),
        evolved=evenly(_with_samples(run), _SHOWN_EVALUATIONS),
        passage=by_bits(passage.symbols, passage.bits),
        bounds=BITS,
        mean_bits=math.fsum(passage.bits) / len(passage.bits),
        neurons=[
            (neuron, by_activation(neuron.symbols, neuron.activations))
            for neuron in contents.neurons
        ],
        settings=_settings(run, name_setting),
        command=command,
        shown=_SHOWN_CHARACTERS,
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("charrnn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    return environment


def _with_samples(run: Summary) -> list[Measurement]:
    return [one for one in run.measurements if one.sample is not None]


def _settings(
    run: Summary, name_setting: Callable[[str], str]
) -> list[tuple[str, list[tuple[str, object, str]]]]:
    """List each group of settings: name, value and meaning of all that the run has a use for."""
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
"""Where one colour of the surprisal map ends and the next begins."""

_ACTIVATIONS = (0.1, 0.3, 0.5, 0.7, 0.9)


class Run(NamedTuple):
    """Neighbouring characters of one colour: the colour's class in the style sheet, and they."""

    colour: str
    text: str


def by_bits(symbols: str, bits: Sequence[float]) -> list[Run]:
    """A text coloured by what its characters cost."""
    return list(_colour(symbols, bits, lambda cost: f"bits-{bisect_right(BITS, cost)}"))


def by_activation(symbols: str, activations: Sequence[float]) -> list[Run]:
    """A text coloured by the activation, from -1 to 1, of a unit."""

    def colour(active: float) -> str:
        strength = bisect_right(_ACTIVATIONS, abs(active))
        return f"{'below' if active < 0 else 'above'}-{strength}" if strength else "still"

    return list(_colour(symbols, activations, colour))


def _colour(symbols: str, values: Iterable[float], colour: Callable[[float], str]) -> Iterator[Run]:
    """Newlines, and ends of records, are shown by a sign as well, which carries their colour."""
    coloured = zip(map(colour, values), symbols, strict=True)
    for shade, group in groupby(coloured, lambda one: one[0]):
        text = "".join(symbol for _, symbol in group)
        yield Run(shade, text.replace("\n", "\u21b5\n").replace(RECORD_END, "\u241e\n"))
