"""charrnn inspect surprisal: a text coloured by the bits that each character cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import heatmap, terminal
from charrnn.cli.options import Debug, Encoding, Json, StackRound, Subject, Unknown, option
from charrnn.config.training import ComputeConfig

if TYPE_CHECKING:
    from charrnn.checkpoints.model_file import ModelFile
    from charrnn.evaluation.surprisal import Expectation


_ALTERNATIVES = 4


def surprisal(
    arguments: Subject = None,
    length: Annotated[
        int, typer.Option(metavar="N", help="Characters to read and show; 0 is all.", min=0)
    ] = 3000,
    worst: Annotated[
        int,
        typer.Option(metavar="N", help="Characters to say of what was expected instead.", min=0),
    ] = 10,
    unknown: Unknown = "error",
    encoding: Encoding = "utf-8",
    stack_round: StackRound = None,
    threads: Annotated[int | None, option(ComputeConfig, "threads")] = ComputeConfig.threads,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the bits of each character, and the alternatives to the most surprising ones.

    charrnn inspect surprisal letter.txt
    echo "It was a dork and stormy night." | charrnn inspect surprisal novel -
    charrnn inspect surprisal letter.txt --json
    """
    from charrnn.cli.arguments import load, read_text, split_arguments
    from charrnn.evaluation.surprisal import expect, find_worst, measure
    from charrnn.inference.select_backend import reader

    name, texts = split_arguments(arguments or [])
    path, model = load(name, stack_round)
    text, ids = read_text(texts, path, model, encoding=encoding, unknown=unknown)
    characters = len(ids)
    # The end before the first record is read and costs nothing.
    unscored = 0 if model.end is None else 1
    ids = ids[: unscored + length] if length else ids
    network = reader(model, device="cpu", threads=threads)
    bits = measure(network, ids, model.end) / math.log(2)
    places = find_worst(bits, worst)
    expected = expect(network, ids, places, _ALTERNATIVES, model.end)
    symbols = model.alphabet.decode(ids)
    mean = float(bits[unscored:].mean())
    worst_ones = [_describe(one, symbols, bits, model) for one in expected]
    if as_json:
        terminal.print_json(
            {
                "model": str(path),
                "text": text,
                "bits_per_char": mean,
                "content": symbols,
                "bits": bits.tolist(),
                "worst": worst_ones,
            }
        )
        return
    read = f"{characters:,}"
    terminal.print_facts(
        {
            "model": str(path),
            "text": text,
            "characters": read if len(ids) == characters else f"{len(ids):,} of {read}",
            "bits per character": f"{mean:.4f}",
        }
    )
    is_bytes = model.alphabet.kind == "bytes"
    terminal.say()
    heatmap.show([heatmap.display(one, is_bytes=is_bytes) for one in symbols], bits, heatmap.COSTS)
    if worst_ones:
        _print_worst(worst_ones, _unit(model), is_bytes=is_bytes)


def _unit(model: ModelFile) -> str:
    """What a place in a text is counted in."""
    return "line" if model.end is None else "record"


def _describe(
    expectation: Expectation, symbols: str, bits: Any, model: ModelFile
) -> dict[str, Any]:
    position, alphabet = expectation.position, model.alphabet
    before = symbols[:position]
    # Records have an end before the first, lines have none.
    ending, begun = ("\n", 1) if model.end is None else (alphabet.characters[model.end], 0)
    return {
        "position": position,
        _unit(model): before.count(ending) + begun,
        "column": position - before.rfind(ending),
        "character": symbols[position],
        "bits": float(bits[position]),
        "expected": [
            {"character": alphabet.characters[one], "probability": probability}
            for one, probability in expectation.likeliest
        ],
    }


def _print_worst(worst: Sequence[dict[str, Any]], unit: str, *, is_bytes: bool) -> None:
    def quoted(symbol: str) -> str:
        return f"'{heatmap.display(symbol, is_bytes=is_bytes)}'"

    rows = []
    for one in worst:
        likeliest = ", ".join(
            f"{quoted(other['character'])} {other['probability']:.0%}" for other in one["expected"]
        )
        place = f"{one[unit]}:{one['column']}"
        rows.append([place, quoted(one["character"]), f"{one['bits']:.2f}", likeliest])
    terminal.print_table(
        [f"{unit}:column", "character", "bits", "expected"],
        rows,
        title="the characters that cost most, and what was expected there",
    )
