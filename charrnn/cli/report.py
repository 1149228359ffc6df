"""charrnn report: write a report on a run as one HTML page."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli import terminal
from charrnn.cli.destination import Destination
from charrnn.cli.help_pages import explained
from charrnn.cli.messages import option_name
from charrnn.cli.options import Debug, Json, RunArgument, TrainingText
from charrnn.config.inference import SampleConfig
from charrnn.errors import CharrnnError, Remedy, StorageError, UsageError
from charrnn.files import check_regular
from charrnn.folders import check_current_folder

if TYPE_CHECKING:
    from charrnn.api import Model
    from charrnn.data.corpus import SplitCorpus
    from charrnn.training.run_summary import Summary

_SEED = 1
_PARTS = 8  # Those of the content, and the page.


@explained(
    """Write a report on a run as one HTML file that needs no network.

    charrnn report
    charrnn report runs/tales -o tales.html
    """
)
def report(
    run: RunArgument = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write; - is standard output. Left out: report.html in the run's "
            "directory.",
            show_default=False,
        ),
    ] = None,
    corpus: TrainingText = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn report``."""
    from charrnn import api
    from charrnn.checkpoints.run_directory import RunDirectory
    from charrnn.checkpoints.run_index import find_run
    from charrnn.cli.compare import list_figures
    from charrnn.cli.progress import PassBars
    from charrnn.training.run_summary import read_summary

    folder = find_run(run)
    summary = read_summary(folder)
    run_directory = RunDirectory(folder)
    destination = Destination(str(run_directory.report) if output is None else output)
    if as_json and destination.is_stdout:
        raise UsageError(
            "--json describes the file that is written, and standard output takes the page itself",
            Remedy("name a file", "output", "FILE"),
        )
    if output is None:
        check_regular(run_directory.report)
    _check_replaceable(destination)
    # Its texts are short: threads would wait for one another most of the time.
    model = api.load(folder, threads=1, corpus=corpus or ())
    model.data.accept(summary.request, summary.corpus)
    split = model.data.split
    check_current_folder()
    with closing(PassBars("part")) as bars:
        bars.show("report", 0, _PARTS)  # It takes seconds to load torch and matplotlib.
        page = _write_page(model, summary, split, partial(bars.show, "report", total=_PARTS))
    _check_replaceable(destination)
    destination.write([page.encode()], like=run_directory.last if output is None else None)
    if as_json:
        figures = {"run": str(folder), "model": str(model.path), **list_figures(summary)}
        terminal.print_json({"report": str(destination.path), **figures})
    elif not destination.is_stdout:
        terminal.print_facts({"report": str(destination.path)})


def _write_page(
    model: Model, summary: Summary, split: SplitCorpus, show: Callable[[int], None]
) -> str:
    """Write the page of a run, and show how many of its parts are done."""
    from charrnn.cli.training_command import shell, training_command
    from charrnn.inference.record_sampling import draw_records

    # It takes torch, whose errors are not those of the libraries below.
    from charrnn.report.content import gather_content

    # Without a home matplotlib warns of the temporary folder that it takes instead.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        from charrnn.report.html import render
    except ModuleNotFoundError as problem:
        raise CharrnnError(
            f"a report takes {problem.name}, which is not installed here.\n"
            "Install what reports need: pip install 'charrnn[report]'"
        ) from None
    except OSError as problem:
        raise StorageError(
            "a report takes matplotlib, which finds no folder for its temporary files",
            Remedy("set MPLCONFIGDIR or TMPDIR to a folder that may be written"),
        ) from problem

    def draw_one(config: SampleConfig) -> str:
        if model.records is not None:
            return draw_records(model.backend("sampling"), model.alphabet, config, _SEED)
        return "".join(piece.symbols for piece in model.draw("", config, seed=_SEED))

    contents = gather_content(
        summary,
        model.torch_model(),
        model.backend("scoring"),
        model.alphabet,
        split.train,
        split.held_out,
        draw_one,
        show,
    )
    return render(contents, shell(training_command(summary)), option_name)


def _check_replaceable(destination: Destination) -> None:
    """Raise UsageError if a file that is not a report would be replaced."""
    from charrnn.checkpoints.run_directory import is_report

    path = destination.find_replaced()
    if path is not None and not is_report(path):
        raise UsageError(
            f"{path} exists already and is not a report, so it is not replaced",
            Remedy("name another file", "output"),
        )
