"""charrnn eval: what a text costs under a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import terminal
from charrnn.cli.options import Debug, Encoding, Json, StackRound, Subject, Unknown, among, option
from charrnn.config.inference import UseConfig
from charrnn.config.training import ComputeConfig
from charrnn.data.formal_languages import LANGUAGES, find_language
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.checkpoints.model_file import ModelFile
    from charrnn.data.encoded_text import EncodedText
    from charrnn.evaluation.metrics import Score


def evaluate(
    arguments: Subject = None,
    formal: Annotated[
        str | None,
        typer.Option(
            metavar="LANGUAGE",
            autocompletion=among(LANGUAGES),
            help="Score no text but count the sizes of a formal language that are solved: "
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
            help="Say besides what it costs if everything is forgotten after every N characters, "
            "as a model of that context does.",
            min=1,
        ),
    ] = None,
    dynamic: Annotated[
        bool,
        typer.Option(
            "--dynamic",
            help="Say besides what it costs if the weights follow the text as it is scored.",
        ),
    ] = False,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines",
            help="Say besides what it costs n-grams and xz that have read what the model has.",
        ),
    ] = True,
    device: Annotated[str, option(ComputeConfig, "device")] = "cpu",
    threads: Annotated[int | None, option(UseConfig, "threads")] = UseConfig.threads,
    weights: Annotated[str, option(UseConfig, "weights")] = UseConfig.weights,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score a text: every character exactly once, with the model's state carried along.

    charrnn eval
    charrnn eval runs/tales another.txt
    cat letter.txt | charrnn eval - --json
    charrnn eval --weights bf16
    charrnn eval --reset-every 256 --dynamic --no-baselines
    charrnn eval runs/anbn --formal anbn
    """
    use = UseConfig(weights=weights, threads=threads)
    language = find_language(formal) if formal is not None else None
    from charrnn.cli.arguments import load, read_text, split_arguments
    from charrnn.cli.baselines import Comparison, brief
    from charrnn.training.run_data import RunData

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
    if language and (reset_every or dynamic):
        raise UsageError("--formal scores no text, which --reset-every and --dynamic are about")
    path, loaded = load(model, stack_round)
    if language:
        _refuse_records(path, loaded, "--formal")
        from charrnn.cli.formal import report
        from charrnn.evaluation.formal_languages import solve
        from charrnn.inference.select_backend import load_backend

        backend = load_backend(
            loaded, "scoring", device=device, threads=use.threads, weights=use.weights
        )
        report(path, language, solve(backend, loaded.alphabet, language), as_json=as_json)
        return
    if reset_every or dynamic:
        _refuse_records(path, loaded, "--reset-every and --dynamic")
    data = RunData(path, loaded)
    what, text = read_text(texts, path, loaded, encoding=encoding, unknown=unknown, data=data)
    score, reset, followed = _score(
        loaded, text, use, device, reset_every=reset_every, dynamic=dynamic
    )
    ends = text.record_count
    figures = {
        "nats_per_char": score.nats_per_char,
        "bits_per_char": score.bits_per_char,
        "bits_per_byte": score.bits_per_byte,
        "perplexity": score.perplexity,
        "characters": score.characters,
    }
    figures |= {"bits_per_record": score.bits / ends, "records": ends} if ends else {}
    if as_json:
        if reset:
            figures["reset_nats_per_char"] = reset.nats_per_char
        if followed:
            figures["dynamic_nats_per_char"] = followed.nats_per_char
        beside = (
            {"baselines": Comparison.of(data, loaded, text.scored).as_data()} if baselines else {}
        )
        terminal.print_json({**figures, **beside, "model": str(path), "text": what})
        return
    terminal.print_facts(
        {
            "model": str(path),
            "text": what,
            "characters": f"{score.characters:,}",
            "nats per character": f"{score.nats_per_char:.4f}",
            "bits per character": f"{score.bits_per_char:.4f}",
            **({"bits per record": f"{score.bits / ends:.3f}, of {ends:,}"} if ends else {}),
            "bits per byte": f"{score.bits_per_byte:.4f}",
            "perplexity": f"{score.perplexity:.3f}",
        }
    )
    if reset:
        terminal.print_facts({f"reset every {reset_every:,}": brief(reset.nats_per_char)})
    if followed:
        terminal.print_facts({"dynamic evaluation": brief(followed.nats_per_char)})
    if baselines:
        terminal.print_facts(Comparison.of(data, loaded, text.scored).as_facts())


def _score(
    model: ModelFile,
    text: EncodedText,
    use: UseConfig,
    device: str,
    *,
    reset_every: int | None,
    dynamic: bool,
) -> tuple[Score, Score | None, Score | None]:
    """The scores with the state carried, forgotten now and then, and with weights that follow."""
    from charrnn.cli.progress import counting
    from charrnn.data.encoded_text import ContinuousText
    from charrnn.evaluation.evaluate import evaluate as score_text
    from charrnn.inference.select_backend import load_backend, torch_network

    how: dict[str, Any] = {"device": device, "threads": use.threads, "weights": use.weights}
    backend, alphabet = load_backend(model, "scoring", **how), model.alphabet
    with counting("scoring", len(text)) as tell:
        score = score_text(backend, text, alphabet, on_progress=tell)
    reset = followed = None
    if reset_every:
        with counting("forgetting", len(text)) as tell:
            reset = score_text(backend, text, alphabet, reset_every=reset_every, on_progress=tell)
    if dynamic and isinstance(text, ContinuousText):
        from charrnn.evaluation.dynamic import evaluate_dynamically

        network = torch_network(model, **how)
        with counting("following", len(text)) as tell:
            followed = evaluate_dynamically(network, text, alphabet, tell)
    return score, reset, followed


def _refuse_records(path: Path, model: ModelFile, asked: str) -> None:
    """Raise UsageError for what only a model of one text can be asked."""
    if model.corpus.records is not None:
        raise UsageError(
            f"{path}: is a model of records, each read by itself; {asked} can be asked of a model "
            "of one text only.\nTrain one without --records, or leave the option out."
        )
