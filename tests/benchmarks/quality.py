"""What a person gets for their minutes: ``python -m tests.benchmarks.quality [TEXT [BOOKS]]``.

TEXT is tinyshakespeare, a corpus by name or a file; BOOKS is the archive of books of which the base
model has not read some authors. Prints held-out losses from nothing and with everything chosen, for
every time, then what adaptive scoring charges beside compressors.

Environment: MINUTES, the times for TEXT, separated by blanks; SEEDS, how many seeds each run under
five minutes has.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from charrnn.config.model import ModelConfig
from charrnn.config.training import AUTO, NONE, ComputeConfig, TrainConfig
from charrnn.data.corpus import SplitCorpus, fit_corpus
from charrnn.data.inputs import gather_sources
from charrnn.evaluation.baselines import COMPRESSORS
from charrnn.folders import TemporaryFolder
from charrnn.models.device import measure_products_per_second, settle_compute
from tests.base_model.books import HELD_OUT, read_books
from tests.benchmarks.measure import describe_machine, say
from tests.benchmarks.train_and_score import CONTEXT, charrnn
from tests.benchmarks.transformer import CONTEXT as WINDOW
from tests.benchmarks.transformer import score_transformer, train_transformer

MINUTES = (0.05, 0.7, 3.0, 10.0)
SEEDS = 3
LONGEST_REPEATED = 5.0
NOVEL, NOVEL_CHARACTERS = "The Wind in the Willows", 300_000
DYNAMIC_MINUTES = 3.0
PEER_MINUTES = 3.0
EXACT = ("--no-baselines", "--reset-every", CONTEXT)

_PADDING = 1 << 16
Compressor = Callable[[bytes], int]


def measure(text: str, minutes: float, start: str, seeds: int) -> None:
    """Train and score with several seeds; print the row."""
    scores = []
    for seed in range(1, (seeds if minutes < LONGEST_REPEATED else 1) + 1):
        with TemporaryDirectory() as folder:
            options = ("--minutes", str(minutes), "--seed", str(seed), "--from", start)
            trained = charrnn(folder, "train", text, "--run", "run", *options)
            more = ("--dynamic",) if minutes == DYNAMIC_MINUTES else ()
            score = charrnn(folder, "eval", "run", *EXACT, *more)
            if more:
                score["dynamic"] = score["dynamic_nats_per_char"] / math.log(2)
            scores.append(score)
    network = trained["network"]
    say(
        f"| {Path(text).stem} | {minutes:g} | {'from nothing' if start == NONE else 'chosen'} "
        f"| {network['layers']} x {network['hidden']}, {trained['epochs']:.1f} epochs "
        f"| {spread(scores, 'nats_per_char')} | {spread(scores, 'reset_nats_per_char')} "
        f"| {spread(scores, 'dynamic')} |"
    )


def show_transformer(text: Path) -> None:
    """A transformer and a network of charrnn from nothing, in windows of the same length."""
    corpus = fit_corpus([text])
    split = SplitCorpus.of(corpus, TrainConfig.valid)
    learnt, held_out = (
        torch.from_numpy(part.ids.astype(int)) for part in (split.train, split.held_out)
    )
    model = train_transformer(learnt, len(corpus.alphabet), PEER_MINUTES, seed=1)
    nats = score_transformer(model, torch.cat([learnt[-1:], held_out]))
    say(f"  a transformer as nanoGPT's for a CPU {nats:.3f}")
    for start in (NONE, AUTO):
        with TemporaryDirectory() as folder:
            options = ("--minutes", str(PEER_MINUTES), "--from", start)
            charrnn(folder, "train", str(text.resolve()), "--run", "run", *options)
            windows = ("--no-baselines", "--reset-every", str(WINDOW))
            score = charrnn(folder, "eval", "run", *windows)["reset_nats_per_char"]
        say(f"  charrnn --from {start:<22} {score:.3f}")


def spread(scores: Sequence[Mapping[str, float]], name: str) -> str:
    """The median of a score over all seeds, and its range."""
    found = [score[name] for score in scores if name in score]
    if not found:
        return ""
    shown = f"{statistics.median(found):.3f}"
    return shown if len(found) == 1 else f"{shown} ({min(found):.3f} to {max(found):.3f})"


def list_compressors() -> Iterator[tuple[str, Compressor]]:
    """List the compressors that are at hand, by name."""
    if find_spec("pyppmd"):
        compress = import_module("pyppmd").compress
        yield "PPMd, order 6", lambda data: len(compress(data, max_order=6, mem_size=1 << 27))
    if shutil.which("zpaq"):
        yield "zpaq -m5", _count_zpaq
    yield "xz", lambda data: len(COMPRESSORS["xz"](data))


def _count_zpaq(data: bytes) -> int:
    with TemporaryDirectory() as folder:
        (Path(folder) / "text").write_bytes(data)
        command = ["zpaq", "a", "packed", "text", "-m5"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        return (Path(folder) / "packed.zpaq").stat().st_size


def charge_rest(count: Compressor, data: bytes, share: float = 0.1) -> float:
    """Bits per byte that the end of a text adds to the compressed rest.

    Some compressors change their settings where a text passes a power of two: bytes of chance are
    put before it, in both lengths, until none lies between them.
    """
    learnt = len(data) - int(len(data) * share)
    chance = random.Random(1)
    padding = b""
    while (len(padding) + learnt).bit_length() != (len(padding) + len(data)).bit_length():
        padding += chance.randbytes(_PADDING)
    return 8 * (count(padding + data) - count(padding + data[:learnt])) / (len(data) - learnt)


def cut_novel(archive: Path, folder: Path) -> Path:
    """Write the beginning of a novel that no base model has read."""
    (book,) = [book for book in read_books(archive) if book.title == NOVEL]
    if book.author not in HELD_OUT:
        raise ValueError(f"the base model has read {book.author}")
    path = folder / "novel.txt"
    path.write_text(book.text[:NOVEL_CHARACTERS], encoding="utf-8")
    return path


def main(arguments: Sequence[str]) -> None:
    """Print the tables."""
    times = tuple(map(float, os.environ.get("MINUTES", "").split())) or MINUTES
    seeds = int(os.environ.get("SEEDS", SEEDS))
    products = measure_products_per_second(settle_compute(ComputeConfig(), ModelConfig()))
    say(f"{describe_machine()}; {products / 1e9:.0f} billion operations per second\n")
    with TemporaryFolder() as folder, TemporaryDirectory() as cut:
        (text,), _ = gather_sources(arguments[:1] or ["tinyshakespeare"], folder)
        rows = [("tales", 0.8), *((str(text.resolve()), minutes) for minutes in times)]
        if arguments[1:]:
            rows.append((str(cut_novel(Path(arguments[1]), Path(cut))), 1.0))
        say("Nats per character held out; bits with weights that go on learning (dynamic)\n")
        say(f"| text | minutes | begins | network | held out | reset every {CONTEXT} | dynamic |")
        say("|---|---:|---|---|---:|---:|---:|")
        for source, minutes in rows:
            for start in (NONE, AUTO):
                measure(source, minutes, start, seeds)
        say(f"\nNats per character in windows of {WINDOW} after {PEER_MINUTES:g} minutes\n")
        show_transformer(text)
        say("\nBits per byte that the last tenth adds to the rest, compressed\n")
        for name, count in list_compressors():
            say(f"  {name:<16} {charge_rest(count, text.read_bytes()):.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
