"""charrnn report: everything about a run, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli import terminal
from charrnn.cli.messages import option_name
from charrnn.cli.options import Debug, Run, TrainingText
from charrnn.config.inference import SampleConfig, UseConfig
from charrnn.errors import CharrnnError

_SEED = 1


def report(
    run: Run = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the report goes. Left out: report.html in the run's directory.",
            show_default=False,
        ),
    ] = None,
    corpus: TrainingText = None,
    debug: Debug = False,
) -> None:
    """Write a report on a run as one HTML file that needs no network.

    charrnn report
    charrnn report runs/tales -o tales.html
    """
    try:
        from charrnn.report.content import gather_content
        from charrnn.report.html import check_replaceable, render, write
    except ModuleNotFoundError as problem:
        raise CharrnnError(
            f"a report takes {problem.name}, which is not installed here.\n"
            "Install what reports need: pip install 'charrnn[report]'"
        ) from None
    from charrnn.checkpoints.model_file import read_model
    from charrnn.checkpoints.run_index import find_model, find_run
    from charrnn.cli.arguments import naming_corpus_option
    from charrnn.cli.training_command import shell, training_command
    from charrnn.inference.generate import draw, draw_records
    from charrnn.inference.select_backend import load_backend, torch_network
    from charrnn.training.run_data import RunData
    from charrnn.training.run_summary import read_summary

    folder = find_run(run)
    summary = read_summary(folder)
    target = Path(output) if output else folder / "report.html"
    check_replaceable(target)
    path = find_model(str(folder))
    model = read_model(path)
    with naming_corpus_option():
        split = RunData(path, model, corpus or []).split

    def draw_one(config: SampleConfig) -> str:
        if model.corpus.records is not None:
            return draw_records(model, config, _SEED)
        pieces = draw(model, config, UseConfig(), "cpu", model.alphabet.encode(""), _SEED)
        return "".join(piece.symbols for piece in pieces)

    network = torch_network(model, device="cpu", threads=None)
    backend = load_backend(model, "scoring")
    contents = gather_content(
        summary, network, backend, model.alphabet, split.train, split.held_out, draw_one
    )
    write(target, render(contents, shell(training_command(summary)), option_name))
    terminal.print_facts({"report": str(target)})
