"""What a report says -> one HTML file.

Whatever somebody else wrote (texts, names, what the model drew) goes through the template engine,
which escapes it, and has its control characters shown. No script is in the page, and its content
policy allows none to run. Only the plots are put in as they are; no foreign text is in them.
"""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from charrnn import __version__
from charrnn.errors import StorageError, UsageError
from charrnn.report import curves, heat
from charrnn.report.command import shell, training_command
from charrnn.report.contents import Contents
from charrnn.report.evenly import evenly
from charrnn.settings import option_name
from charrnn.storage import write_atomically
from charrnn.summary import Measurement, Summary
from charrnn.visible import visible

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
            f"{path} is there already and is no report of charrnn's: it stays as it is.\n"
            "Name another file with -o."
        )


def render(contents: Contents) -> str:
    """The page."""
    run = contents.run
    passage = contents.passage
    environment = _environment()
    return environment.get_template("page.html").render(
        contents=contents,
        run=run,
        version=__version__,
        training=curves.plot_training(run),
        reach=curves.plot_reach(contents.reaches),
        copying=curves.plot_copied(contents.copied),
        evaluations=evenly(run.measurements, _ROWS_OF_EVALUATIONS),
        evolved=evenly(_with_samples(run), _SHOWN_EVALUATIONS),
        passage=heat.by_bits(passage.symbols, passage.bits),
        bounds=heat.BITS,
        mean_bits=math.fsum(passage.bits) / len(passage.bits),
        neurons=[
            (neuron, heat.by_activation(neuron.symbols, neuron.activations))
            for neuron in contents.neurons
        ],
        settings=_settings(run),
        command=shell(training_command(run)),
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


def _settings(run: Summary) -> list[tuple[str, list[tuple[str, object, str]]]]:
    """Each group of settings: option, value and meaning of all that the run has a use for."""
    request = run.request
    groups = {"Model": request.model, "Training": request.train, "Computing": request.compute}
    return [
        (
            title,
            [
                (option_name(one.name), getattr(config, one.name), one.metadata["description"])
                for one in fields(config)
                if getattr(config, one.name) is not None
            ],
        )
        for title, config in groups.items()
    ]
