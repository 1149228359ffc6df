"""charrnn compare: runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.messages import option_name
from charrnn.cli.options import Debug, Json, complete_run
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.training.run_summary import Summary


_NO_VALUE = "-"
_LEARNT = "held_out_learnt"
_DIGEST = "SHA-256"
_DIGITS_OF_DIGEST = 12
_TEXT_SETTINGS = ("text", _DIGEST)
_IN_JSON = {"text": "corpus", _DIGEST: "text_sha256"}


@explained(
    """Compare runs in one table: settings that differ, losses, speed and size.

    charrnn compare lstm gru
    charrnn compare runs/* --json
    """
)
def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN RUN...",
            help="Run directories or names of runs.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn compare``."""
    if len(runs or []) < 2:
        raise UsageError("name two or more runs: charrnn compare RUN RUN...")
    from charrnn.checkpoints.run_index import find_run
    from charrnn.training.learnt import describe_learnt
    from charrnn.training.run_summary import find_differences, read_summary, share_validation_split

    summaries = [read_summary(find_run(run)) for run in runs or []]
    settings = find_differences(summaries)
    if not share_validation_split(summaries):
        terminal.note("the runs hold out different texts, so their losses cannot be compared")
    for run in summaries:
        if share := run.held_out_learnt:
            terminal.note(
                f"{run.path}: its held-out text is not new to it, so its losses there are too low: "
                f"{describe_learnt(share)}"
            )
    if as_json:
        terminal.print_json(
            {
                "runs": [
                    {
                        "run": str(run.path),
                        **list_figures(run),
                        "settings": {
                            _IN_JSON.get(name, name): values[place]
                            for name, values in settings.items()
                        },
                    }
                    for place, run in enumerate(summaries)
                ]
            }
        )
        return
    _print_table(summaries, settings)


def list_figures(run: Summary) -> dict[str, Any]:
    """List the figures of a run by their names in JSON."""
    last = run.last
    return {
        "valid_nats_per_char": run.progress.best_nats_per_char,
        "last_valid_nats_per_char": last and last.valid_nats_per_char,
        _LEARNT: run.held_out_learnt,
        "last_train_nats_per_char": last and last.train_nats_per_char,
        "chars_per_second": run.chars_per_second,
        "train_seconds": run.progress.seconds,
        "steps": run.progress.step,
        "train_characters": run.characters,
        "parameters": run.parameters,
        "model_bytes": run.bytes,
    }


def _name_setting(setting: str) -> str:
    return setting if setting in _TEXT_SETTINGS else option_name(setting)


def _print_table(runs: Sequence[Summary], settings: dict[str, list[Any]]) -> None:
    """Print a row per figure and per differing setting, and a column per run."""
    figures = [list_figures(run) for run in runs]
    rows = [
        [shown, *(_format(of_run[name], form) for of_run in figures)]
        for name, shown, form in (
            ("valid_nats_per_char", "held out, best (nats per character)", ".4f"),
            ("last_valid_nats_per_char", "held out, last", ".4f"),
            (_LEARNT, "held out, known to the base model", ".0%"),
            ("last_train_nats_per_char", "training, last", ".4f"),
            ("chars_per_second", "characters per second", ",.0f"),
            ("train_seconds", "seconds of training", ",.1f"),
            ("steps", "steps", ","),
            ("train_characters", "characters read", ","),
            ("parameters", "parameters", ","),
            ("model_bytes", "bytes of the model's file", ","),
        )
        if name != _LEARNT or any(of_run[name] for of_run in figures)
    ]
    rows += [
        [
            _name_setting(name),
            *(_format(v[:_DIGITS_OF_DIGEST] if name == _DIGEST else v) for v in values),
        ]
        for name, values in settings.items()
    ]
    header = ["run", *(str(run.path) for run in runs)]
    terminal.print_table(header, rows)
    if not settings:
        terminal.note("no setting differs")


def _format(value: Any, form: str = "") -> str:
    return _NO_VALUE if value is None else format(value, form)
