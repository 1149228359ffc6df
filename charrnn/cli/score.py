"""charrnn score: print the surprisal of each line of a text as it arrives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli import terminal
from charrnn.cli.options import Debug, Encoding, StackRound, Subject, Unknown, option
from charrnn.config.inference import UseConfig
from charrnn.config.training import ComputeConfig
from charrnn.errors import UnknownCharacterError, UsageError

if TYPE_CHECKING:
    from charrnn.api import Model
    from charrnn.evaluation.surprisal import Ends


_WINDOW = 100


def _check_unit(unit: str | None) -> str | None:
    if unit is not None and unit not in UNITS:
        raise typer.BadParameter(f"{unit!r} is not one of {', '.join(UNITS)}")
    return unit


UNITS = ("line", "record", "character", "window")
"""Units of a text that can be scored."""


def score(
    arguments: Subject = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(UNITS),
            help="Unit of each line of output. Left out: line, or record for a model of records.",
            callback=_check_unit,
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Characters of each window, with --by window; {_WINDOW} if left out.",
            min=1,
            show_default=False,
        ),
    ] = None,
    afresh: Annotated[
        bool | None,
        typer.Option(
            "--afresh/--carried",
            help="Read each line by itself, or all lines as one text. Left out: "
            "afresh by line, else carried; each record afresh in any case.",
            show_default=False,
        ),
    ] = None,
    worst: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Print only the N of the most bits per character, in descending order.",
            min=1,
            show_default=False,
        ),
    ] = None,
    unknown: Unknown = "error",
    encoding: Encoding = "utf-8",
    stack_round: StackRound = None,
    device: Annotated[str, option(ComputeConfig, "device")] = "cpu",
    threads: Annotated[int | None, option(UseConfig, "threads")] = UseConfig.threads,
    weights: Annotated[str, option(UseConfig, "weights")] = UseConfig.weights,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each, instead of columns.")
    ] = False,
    debug: Debug = False,
) -> None:
    r"""Score a text line by line: bits, bits per character, and the line.

    charrnn score app.log --worst 20
    tail -f app.log | charrnn score logs - --unknown replace
    charrnn score novel.txt --by window --window 200 --json
    charrnn score letter.txt --by character
    """
    if window is not None and by != "window":
        raise UsageError("--window needs --by window; give both, or leave it out")
    from charrnn import api
    from charrnn.cli.arguments import split_arguments
    from charrnn.cli.rows import Rows
    from charrnn.data.alphabet import RECORD_END
    from charrnn.evaluation.surprisal import NEWLINE, Meter, split_into_units

    name, texts = split_arguments(arguments or [])
    model = api.load(name, device=device, threads=threads, weights=weights, stack_round=stack_round)
    by = by or ("line" if model.records is None else "record")
    _check_records(by, afresh, model)
    ending = NEWLINE if model.records is None else RECORD_END
    meter = Meter(model.backend("scoring"), model.alphabet, unknown, ending)
    chunks = _read(texts, model, encoding)
    if afresh is None:
        afresh = by == "line" or model.records is not None
    measured = meter.measure_afresh(chunks) if afresh else meter.measure_carried(chunks)
    rows = Rows(by, is_bytes=model.alphabet.kind == "bytes", as_json=as_json)
    parts = split_into_units(measured, _ends(by, window or _WINDOW))
    try:
        rows.print_worst(parts, worst) if worst else rows.print_all(parts)
    except UnknownCharacterError as problem:
        problem.message = f"{_named(texts)}: {problem.message}"
        raise
    if meter.unknown:
        did = {"skip": "not scored", "replace": f"scored as {model.alphabet.replacement!r}"}
        terminal.note(f"{meter.unknown:,} characters the model does not know were {did[unknown]}")


def _ends(by: str, window: int) -> Ends:
    from charrnn.evaluation.surprisal import find_line_ends, find_record_ends, make_window_ends

    match by:
        case "record":
            return find_record_ends
        case "line":
            return find_line_ends
        case "character":
            return make_window_ends(1)
        case _:
            return make_window_ends(window)


def _check_records(by: str, afresh: bool | None, model: Model) -> None:
    """Raise UsageError for units that do not go with the model's kind of text."""
    if model.records is None:
        if by == "record":
            raise UsageError(f"{model.path} is not a model of records; give --by line")
    elif by == "line" or afresh is False:
        given = "--by line" if by == "line" else "--carried"
        raise UsageError(
            f"{model.path}: is a model of records, each read afresh; leave {given} out"
        )


def _read(texts: Sequence[str], model: Model, encoding: str) -> Iterator[str]:
    """Read the texts' symbols as they come; without texts, those of the held-out part."""
    from charrnn.data.inputs import stream_sources
    from charrnn.data.records import divide_text

    records = model.records
    if texts:
        chunks = stream_sources(
            texts, None if model.alphabet.kind == "bytes" else encoding, terminal.note
        )
        return chunks if records is None else divide_text(chunks, model.alphabet.symbols(records))
    return iter([model.alphabet.decode(model.read().text.scored)])


def _named(texts: Sequence[str]) -> str:
    return ", ".join("standard input" if text == "-" else text for text in texts)
