"""charrnn eval: what a text costs under a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli import terminal
from charrnn.cli.options import Debug, Encoding, Json, StackRound, Subject, Unknown, option
from charrnn.config import ComputeConfig, UseConfig
from charrnn.errors import UsageError
from charrnn.languages import LANGUAGES, Language, find_language

if TYPE_CHECKING:
    from charrnn.alphabet import Ids
    from charrnn.modelfile import ModelFile
    from charrnn.tally import Score


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
    threads: Annotated[int | None, option(UseConfig, "threads")] = UseConfig.threads,
    weights: Annotated[str, option(UseConfig, "weights")] = UseConfig.weights,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score a text: every character once, the model's state carried from the first to the last.

    charrnn eval
    charrnn eval runs/tales another.txt
    cat letter.txt | charrnn eval - --json
    charrnn eval --weights bf16
    charrnn eval runs/anbn --formal anbn
    """
    use = UseConfig(weights=weights, threads=threads)
    language = find_language(formal) if formal is not None else None
    from charrnn.cli.subject import load, read_text, split_arguments

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
    path, loaded = load(model, stack_round)
    if language:
        _solve(path, loaded, language, use, device, as_json=as_json)
        return
    what, ids = read_text(texts, path, loaded, encoding=encoding, unknown=unknown)
    score = _score(loaded, ids, use, device)
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


def _solve(
    path: Path, model: ModelFile, language: Language, use: UseConfig, device: str, *, as_json: bool
) -> None:
    """Count the solved sizes of a language, through torch."""
    from charrnn.cli.formal import report
    from charrnn.cli.serving import torch_network
    from charrnn.formal import solve

    network = torch_network(
        model, device=device, threads=use.threads, weights=_exact_unless_asked(use)
    )
    report(path, language, solve(network, model.alphabet, language), as_json=as_json)


def _score(model: ModelFile, ids: Ids, use: UseConfig, device: str) -> Score:
    """Score with a bar on a terminal."""
    from charrnn.cli.progress import bar
    from charrnn.tally import Tally

    parts = _parts(model, ids, use, device)
    tally = Tally(ids, len(model.alphabet))
    with bar("scoring", len(ids), "char") as progress:
        for nats, characters in parts:
            tally.add(nats, characters)
            progress.update(tally.characters - progress.n)
    return tally.score(model.alphabet)


def _parts(model: ModelFile, ids: Ids, use: UseConfig, device: str) -> Iterator[tuple[float, int]]:
    """Sums of nats, and of how many characters each is."""
    from charrnn.cli.serving import native_network, torch_network

    weights = _exact_unless_asked(use)
    native = native_network(model, device=device, weights=weights)
    if native is not None:
        from charrnn.engine.scoring import score as score_natively
        from charrnn.kernels.network import all_threads

        return score_natively(native, ids, use.threads or all_threads())
    from charrnn.evaluate import score

    network = torch_network(model, device=device, threads=use.threads, weights=weights)
    return ((float(nats.sum()), nats.numel()) for nats in score(network, ids))


def _exact_unless_asked(use: UseConfig) -> str:
    return "fp32" if use.weights == "auto" else use.weights
