"""charrnn eval: what a text costs under a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli import terminal
from charrnn.cli.options import Debug, Encoding, Json, StackRound, Subject, Unknown, option
from charrnn.config import ComputeConfig
from charrnn.errors import UsageError
from charrnn.languages import LANGUAGES, find_language

if TYPE_CHECKING:
    from charrnn.alphabet import Alphabet, Ids
    from charrnn.evaluate import Score
    from charrnn.model import CharModel


def evaluate(
    arguments: Subject = None,
    formal: Annotated[
        str | None,
        typer.Option(
            metavar="LANGUAGE",
            help="Score no text but count the sizes of a formal language that are solved: "
            f"{', '.join(LANGUAGES)}.",
        ),
    ] = None,
    unknown: Unknown = "error",
    encoding: Encoding = "utf-8",
    stack_round: StackRound = None,
    device: Annotated[str, option(ComputeConfig, "device")] = "cpu",
    threads: Annotated[int | None, option(ComputeConfig, "threads")] = ComputeConfig.threads,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score a text: every character once, the model's state carried from the first to the last.

    charrnn eval
    charrnn eval runs/tales another.txt
    cat letter.txt | charrnn eval - --json
    charrnn eval runs/anbn --formal anbn
    """
    language = find_language(formal) if formal is not None else None
    from charrnn.cli.formal import report
    from charrnn.cli.subject import load, read_text, split_arguments
    from charrnn.formal import solve

    model, texts = split_arguments(arguments or [])
    if language and texts:
        raise UsageError(
            f"--formal makes up the sequences it tries, so {', '.join(texts)} cannot be scored "
            "with it.\nLeave out the text or --formal."
        )
    if language and (encoding, unknown) != ("utf-8", "error"):
        raise UsageError(
            "--formal reads no text, so --encoding and --unknown have nothing to say there"
        )
    path, loaded, network = load(model, device=device, threads=threads, stack_round=stack_round)
    if language:
        report(path, language, solve(network, loaded.alphabet, language), as_json=as_json)
        return
    what, ids = read_text(texts, path, loaded, encoding=encoding, unknown=unknown)
    score = _score(network, ids, loaded.alphabet)
    figures = {
        "nats_per_char": score.nats_per_char,
        "bits_per_char": score.bits_per_char,
        "bits_per_byte": score.bits_per_byte,
        "perplexity": score.perplexity,
        "characters": score.characters,
    }
    if as_json:
        terminal.print_json({**figures, "model": str(path), "text": what})
        return
    terminal.print_facts(
        {
            "model": str(path),
            "text": what,
            "characters": f"{score.characters:,}",
            "nats per character": f"{score.nats_per_char:.4f}",
            "bits per character": f"{score.bits_per_char:.4f}",
            "bits per byte": f"{score.bits_per_byte:.4f}",
            "perplexity": f"{score.perplexity:.3f}",
        }
    )


def _score(network: CharModel, ids: Ids, alphabet: Alphabet) -> Score:
    """Score with a bar on a terminal."""
    from charrnn.cli.progress import bar
    from charrnn.evaluate import Tally, score

    tally = Tally(ids, len(alphabet))
    with bar("scoring", len(ids), "char") as progress:
        for nats in score(network, ids):
            tally.add(nats)
            progress.update(tally.characters - progress.n)
    return tally.score(alphabet)
