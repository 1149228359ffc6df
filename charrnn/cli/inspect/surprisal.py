"""charrnn inspect surprisal: color a text by the bits of each character."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import heatmap, terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.options import (
    Debug,
    Encoding,
    Json,
    StackRound,
    SubjectArgument,
    TrainingText,
    Unknown,
    option,
)
from charrnn.config.training import ComputeConfig

if TYPE_CHECKING:
    from charrnn.data.alphabet import Alphabet
    from charrnn.data.encoded_text import EncodedText
    from charrnn.evaluation.surprisal import Expectation


_ALTERNATIVES = 4


@explained(
    """Show the bits of each character, and the alternatives to the most surprising ones.

    charrnn inspect surprisal letter.txt
    echo "It was a dork and stormy night." | charrnn inspect surprisal novel -
    charrnn inspect surprisal letter.txt --json
    """
)
def surprisal(
    arguments: SubjectArgument = None,
    length: Annotated[
        int, typer.Option(metavar="N", help="Characters to read and show; 0 is all.", min=0)
    ] = 3000,
    worst: Annotated[
        int,
        typer.Option(metavar="N", help="Characters whose likelier alternatives are listed.", min=0),
    ] = 10,
    unknown: Unknown = "error",
    encoding: Encoding = "utf-8",
    stack_round: StackRound = None,
    threads: Annotated[int | None, option(ComputeConfig, "threads")] = ComputeConfig.threads,
    corpus: TrainingText = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn inspect surprisal``."""
    from charrnn.cli.arguments import load_and_read
    from charrnn.evaluation.surprisal import find_expectations, find_worst, measure_surprisal

    model, read = load_and_read(
        arguments or [],
        encoding=encoding,
        unknown=unknown,
        stack_round=stack_round,
        threads=threads,
        corpus=corpus,
    )
    text = read.text[: read.text.unscored + length] if length else read.text
    backend = model.backend("scoring")
    bits = measure_surprisal(backend, text) / math.log(2)
    expected = find_expectations(backend, text, find_worst(bits, worst), _ALTERNATIVES)
    symbols = model.alphabet.decode(text.ids)
    mean = float(bits[text.unscored :].mean())
    worst_ones = [_describe(one, text, bits, model.alphabet) for one in expected]
    if as_json:
        terminal.print_json(
            {
                "model": str(model.path),
                "source": read.name,
                "characters": len(text),
                "bits_per_char": mean,
                "text": symbols,
                "character_bits": bits.tolist(),
                "worst": worst_ones,
            }
        )
        return
    characters = f"{len(read.text):,}"
    terminal.print_facts(
        {
            "model": str(model.path),
            "text": read.name,
            "characters": characters
            if len(text) == len(read.text)
            else f"{len(text):,} of {characters}",
            "bits per character": f"{mean:.4f}",
        }
    )
    is_bytes = model.alphabet.kind == "bytes"
    terminal.say()
    heatmap.show([heatmap.display(one, is_bytes=is_bytes) for one in symbols], bits, heatmap.COSTS)
    if worst_ones:
        _print_worst(worst_ones, text.unit, is_bytes=is_bytes)


def _describe(
    expectation: Expectation, text: EncodedText, bits: Any, alphabet: Alphabet
) -> dict[str, Any]:
    position = expectation.position
    place = text.find_place(position, alphabet)
    return {
        "position": position,
        text.unit: place.number,
        "column": place.column,
        "text": alphabet.characters[text.ids[position]],
        "bits": float(bits[position]),
        "expected": [
            {"text": alphabet.characters[one], "probability": probability}
            for one, probability in expectation.likeliest
        ],
    }


def _print_worst(worst: Sequence[dict[str, Any]], unit: str, *, is_bytes: bool) -> None:
    def quoted(symbol: str) -> str:
        return f"'{heatmap.display(symbol, is_bytes=is_bytes)}'"

    rows = []
    for one in worst:
        likeliest = ", ".join(
            f"{quoted(other['text'])} {other['probability']:.0%}" for other in one["expected"]
        )
        place = f"{one[unit]}:{one['column']}"
        rows.append([place, quoted(one["text"]), f"{one['bits']:.2f}", likeliest])
    terminal.print_table(
        [f"{unit}:column", "character", "bits", "expected"],
        rows,
        title="the characters that cost most, and what was expected there",
        left=(0, 1, 3),
    )
