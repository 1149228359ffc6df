"""charrnn eval: what a text costs under a model."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli import terminal
from charrnn.cli.options import Debug, Encoding, Json, Unknown, option
from charrnn.config import ComputeConfig
from charrnn.errors import CheckpointError, CorpusError

if TYPE_CHECKING:
    from charrnn.alphabet import Alphabet, Ids
    from charrnn.evaluate import Score
    from charrnn.model import CharModel
    from charrnn.modelfile import ModelFile


def evaluate(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|FILE|TEXT",
            help="A run or model file (left out: the latest run), then the texts to score, as one "
            "(left out: what the run held out). - is standard input.",
            show_default=False,
        ),
    ] = None,
    unknown: Unknown = "error",
    encoding: Encoding = "utf-8",
    device: Annotated[str, option(ComputeConfig, "device")] = "cpu",
    threads: Annotated[int | None, option(ComputeConfig, "threads")] = ComputeConfig.threads,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score a text: every character once, the model's state carried from the first to the last.

    charrnn eval
    charrnn eval runs/tales another.txt
    cat letter.txt | charrnn eval - --json
    """
    from charrnn.device import choose_device, prepare
    from charrnn.modelfile import read_model
    from charrnn.run import find_model

    model, texts = _split(arguments or [])
    path = find_model(model)
    prepare(threads)
    loaded = read_model(path)
    if texts:
        what, ids = _read_texts(texts, loaded.alphabet, encoding, unknown)
    else:
        what, ids = _read_held_out(path, loaded)
    network = loaded.network(choose_device(device))
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


def _split(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The model's argument, if the first one is a model's, and the texts'."""
    from charrnn.cli.inputs import STDIN
    from charrnn.run import MODEL_SUFFIX, is_run
    from charrnn.storage import is_file, is_folder

    if not arguments:
        return None, []
    first, *rest = arguments
    path = Path(first)
    is_model = first.endswith(MODEL_SUFFIX) or is_run(first)
    is_text = first == STDIN or is_file(path) or is_folder(path) or path.is_fifo()
    if is_model or (rest and not is_text):
        return first, rest
    return (None, list(arguments)) if is_text else (first, rest)


def _read_texts(
    texts: Sequence[str], alphabet: Alphabet, encoding: str, unknown: str
) -> tuple[str, Ids]:
    from charrnn.cli.inputs import gather, naming_pipes
    from charrnn.corpus import encode_corpus

    with tempfile.TemporaryDirectory() as folder, naming_pipes(folder, texts):
        paths = gather(texts, Path(folder))
        corpus = encode_corpus(paths, alphabet, encoding=encoding, unknown=unknown)
    for message in corpus.notes:
        terminal.note(message)
    if corpus.unknown:
        did = {"skip": "skipped", "replace": f"replaced by {alphabet.replacement!r}"}[unknown]
        terminal.note(f"{corpus.unknown:,} characters the model does not know were {did}")
    return ", ".join(texts), corpus.ids


def _read_held_out(path: Path, model: ModelFile) -> tuple[str, Ids]:
    """The text that the model's run held out, read again from where the run read it."""
    from charrnn.cli.inputs import read_again
    from charrnn.run import RunDirectory
    from charrnn.session import check_unchanged, read_request
    from charrnn.storage import is_file

    run = RunDirectory(path.parent)
    request, facts = read_request(run.last) if is_file(run.last) else (None, None)
    if request is None or facts != model.corpus:
        raise CorpusError(
            f"{path}: is not beside the run that made it, so what was held out is not known "
            "here.\nName the text to score: charrnn eval MODEL TEXT"
        )
    if not request.train.valid:
        raise CorpusError(
            f"{run.path}: held nothing out (--valid 0). Name the text to score: charrnn eval "
            f"{run.path} TEXT"
        )
    corpus = read_again(run, request.source)
    check_unchanged(corpus, model.corpus)
    if corpus.alphabet != model.alphabet:
        raise CheckpointError(f"{path}: its alphabet is not that of the text it was trained on")
    _, held_out = corpus.split(request.train.valid)
    return f"{model.corpus.name}, the last {request.train.valid:.0%}, held out", held_out


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
