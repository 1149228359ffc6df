"""charrnn eval: measure the loss of a model on a text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli import terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.options import (
    Debug,
    Encoding,
    Json,
    StackRound,
    SubjectArgument,
    TrainingText,
    Unknown,
    among,
    is_given,
    option,
)
from charrnn.config.inference import UseConfig
from charrnn.config.training import ComputeConfig
from charrnn.data.formal_languages import LANGUAGES, Language, find_language
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.evaluation.formal_languages import FormalScore
    from charrnn.evaluation.results import Evaluation


@explained(
    """Score a text: every character exactly once, with the model's state carried along.

    charrnn eval
    charrnn eval runs/tales another.txt
    cat letter.txt | charrnn eval - --json
    charrnn eval --weights bf16
    charrnn eval --reset-every 256 --dynamic --no-baselines
    charrnn eval runs/anbn --formal anbn
    """
)
def evaluate(
    ctx: typer.Context,
    arguments: SubjectArgument = None,
    formal: Annotated[
        str | None,
        typer.Option(
            metavar="LANGUAGE",
            autocompletion=among(LANGUAGES),
            help="Instead of a text, count the solved sizes of a formal language: "
            f"{', '.join(LANGUAGES)}.",
        ),
    ] = None,
    unknown: Unknown = "error",
    encoding: Encoding = "utf-8",
    stack_round: StackRound = None,
    reset_every: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Print also the loss with the state reset after every N characters, "
            "as for a model with a context of N.",
            min=1,
        ),
    ] = None,
    dynamic: Annotated[
        bool,
        typer.Option(
            "--dynamic",
            help="Print also the loss of dynamic evaluation: weights adapt to the scored text.",
        ),
    ] = False,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines",
            help="Print also the losses of n-grams and xz fitted to the training text.",
        ),
    ] = True,
    device: Annotated[str, option(ComputeConfig, "device")] = "cpu",
    threads: Annotated[int | None, option(UseConfig, "threads")] = UseConfig.threads,
    weights: Annotated[str, option(UseConfig, "weights")] = UseConfig.weights,
    corpus: TrainingText = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn eval``."""
    if formal is not None:
        find_language(formal)
    from contextlib import closing

    from charrnn import api
    from charrnn.cli.arguments import refuse_unused_corpus, split_arguments
    from charrnn.cli.progress import PassBars

    model, texts = split_arguments(arguments or [])
    if formal is not None:
        _refuse_text_options(texts, encoding, unknown, scores_text=bool(reset_every or dynamic))
        if corpus or (baselines and is_given(ctx, "baselines")):
            raise UsageError(
                "--formal fits no baselines, which --baselines and --corpus are about; leave them "
                "out"
            )
    if not baselines:
        refuse_unused_corpus(corpus, texts)
    loaded = api.load(
        model,
        device=device,
        threads=threads,
        weights=weights,
        stack_round=stack_round,
        corpus=corpus or (),
    )
    if formal is not None:
        _print_formal(loaded.path, find_language(formal), loaded.solve(formal), as_json=as_json)
        return
    with closing(PassBars()) as bars:
        found = loaded.evaluate(
            texts or None,
            encoding=encoding,
            unknown=unknown,
            reset_every=reset_every,
            dynamic=dynamic,
            baselines=baselines,
            on_note=terminal.note,
            on_progress=bars.show,
        )
    if as_json:
        measured = found.baselines and found.baselines.to_dict()
        terminal.print_json(
            {
                "model": str(loaded.path),
                "source": found.text,
                **found.to_dict(),
                **({"baselines": measured} if baselines else {}),
            }
        )
        return
    _print_evaluation(loaded.path, found, reset_every)
    if baselines:
        terminal.print_facts(_describe_baselines(found))


def _refuse_text_options(
    texts: list[str], encoding: str, unknown: str, *, scores_text: bool
) -> None:
    """Raise UsageError for options that have no effect on a formal language."""
    if texts:
        raise UsageError(
            f"--formal makes up the sequences it tries, so {', '.join(texts)} cannot be scored "
            "with it.\nLeave out the text or --formal."
        )
    if (encoding, unknown) != ("utf-8", "error"):
        raise UsageError(
            "--formal reads no text, so --encoding and --unknown have nothing to say there"
        )
    if scores_text:
        raise UsageError("--formal scores no text, which --reset-every and --dynamic are about")


def _print_evaluation(path: Path, found: Evaluation, reset_every: int | None) -> None:
    record = found.bits_per_record
    terminal.print_facts(
        {
            "model": str(path),
            "text": found.text,
            "characters": f"{found.characters:,}",
            "nats per character": f"{found.nats_per_char:.4f}",
            "bits per character": f"{found.bits_per_char:.4f}",
            **({"bits per record": f"{record:.3f}, of {found.records:,}"} if record else {}),
            "bits per byte": f"{found.bits_per_byte:.4f}",
            "perplexity": f"{found.perplexity:.3f}",
        }
    )
    if found.reset_nats_per_char is not None:
        reset = _both_units(found.reset_nats_per_char)
        terminal.print_facts({f"reset every {reset_every:,}": reset})
    if found.dynamic_nats_per_char is not None:
        terminal.print_facts({"dynamic evaluation": _both_units(found.dynamic_nats_per_char)})


def _describe_baselines(found: Evaluation) -> dict[str, str]:
    """Describe the losses of n-grams and compressors for people."""
    baselines = found.baselines
    if baselines is None:
        return {"baselines": "none: the text that the model was trained on is not at hand"}
    best = baselines.best_order
    facts = {f"n-grams of order {best}": _both_units(baselines.ngrams[best])}
    facts |= {name: _both_units(nats) for name, nats in baselines.compressors.items()}
    if baselines.scored < found.characters:
        facts["both"] = f"of the first {baselines.scored:,} characters"
    return facts


def _both_units(nats: float) -> str:
    """Format a cross entropy in nats and in bits."""
    return f"{nats:.4f} nats, {nats / math.log(2):.4f} bits per character"


def _print_formal(path: Path, language: Language, score: FormalScore, *, as_json: bool) -> None:
    """Print the solved sizes of a formal language."""
    sizes = sorted(score.solved + score.unsolved)
    if as_json:
        terminal.print_json(
            {
                "model": str(path),
                "language": language.name,
                "per_cent_solved": score.per_cent_solved,
                "first_unsolved": score.first_unsolved,
                "least_size": sizes[0],
                "most_size": sizes[-1],
                "solved": score.solved,
                "unsolved": score.unsolved,
                "nats_per_predictable_char": score.nats_per_predictable_char,
                "nats_per_char": score.nats_per_char,
                "predictable_characters": score.predictable_characters,
                "characters": score.characters,
                "sequences": score.sequences,
            }
        )
        return
    first = score.first_unsolved
    terminal.print_facts(
        {
            "model": str(path),
            "language": f"{language.name}: {language.description}",
            "tried": f"{score.sequences:,} sequences, {score.characters:,} characters, "
            f"{score.predictable_characters:,} predictable",
            "solved": f"{score.per_cent_solved:.1f}% of n from {sizes[0]} to {sizes[-1]}",
            "first n not solved": "none" if first is None else str(first),
            "nats per predictable character": f"{score.nats_per_predictable_char:.4f}",
            "nats per character": f"{score.nats_per_char:.4f}",
        }
    )
