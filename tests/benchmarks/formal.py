"""What each cell makes of the formal languages, beside the published figures.

``python -m tests.benchmarks.formal [LANGUAGE]...`` trains every cell on every language RESTARTS
times through the program itself, each time with another seed, on sequences with n < 20; keeps the
run with the lowest held-out loss, whose text has n < 20 as well; and counts the n solved up to 60.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.measure import describe_machine, say
from tests.benchmarks.train_and_score import charrnn

LANGUAGES = ("anbn", "anbncn", "anbncndn", "anb2n", "anbmcnm")
CELLS = ("rnn", "lstm", "gru", "stack")
RESTARTS = 5
SETTINGS = (
    *("--layers", "1", "--hidden", "40", "--embedding", "16", "--norm", "none"),
    *("--window", "64", "--steps", "1500", "--evaluations", "1", "--threads", "1"),
)
PUBLISHED = {
    "RNN": (25.0, 23.3, 13.3, 23.3, 33.3),
    "LSTM": (100.0, 100.0, 68.3, 75.0, 100.0),
    "stack": (100.0, 100.0, 100.0, 100.0, 43.3),
    "stack, rounded": (100.0, 100.0, 100.0, 100.0, 100.0),
}
"""Per cent of n solved, in LANGUAGES' order: Joulin & Mikolov 2015, 40 hidden units, 10 stacks."""


@dataclass(frozen=True)
class Best:
    """The best of a cell's runs on a language.

    Attributes:
        solved: per cent of n solved.
        rounded: the same with rounded actions; None for a cell without stacks.
        seed: the run's.
    """

    solved: float
    rounded: float | None
    seed: int


def best_run(cell: str, language: str) -> Best:
    """Train with every seed, choose by held-out loss, and try the chosen one."""
    with TemporaryDirectory() as folder:
        losses = {}
        for seed in range(1, RESTARTS + 1):
            run = str(Path(folder, str(seed)))
            options = ["--cell", cell, *SETTINGS, "--seed", str(seed), "--run", run]
            losses[seed] = charrnn("train", language, *options)["valid_nats_per_char"]
        seed = min(losses, key=losses.__getitem__)
        command = ["eval", str(Path(folder, str(seed))), "--formal", language]
        solved = charrnn(*command)["per_cent_solved"]
        rounded = None
        if cell == "stack":
            rounded = charrnn(*command, "--stack-round")["per_cent_solved"]
        return Best(solved, rounded, seed)


def main(languages: Sequence[str]) -> None:
    """Print the table."""
    started = time.monotonic()
    pairs = [(cell, language) for cell in reversed(CELLS) for language in languages]
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        found = dict(zip(pairs, workers.map(best_run, *zip(*pairs, strict=True)), strict=True))
    say(f"{describe_machine()}; {(time.monotonic() - started) / 60:.1f} minutes\n")
    say(f"Per cent of n solved up to 60, and the seed, of {RESTARTS} tried, that was kept.\n")
    say(f"| | {' | '.join(languages)} |\n|---{'|---' * len(languages)}|")
    for cell in CELLS:
        best = [found[cell, language] for language in languages]
        say_row(cell, [f"{one.solved:.1f} ({one.seed})" for one in best])
        if cell == "stack":
            say_row("stack, rounded", [f"{one.rounded:.1f} ({one.seed})" for one in best])
    for name, row in PUBLISHED.items():
        figures = [f"{row[LANGUAGES.index(language)]:.1f}" for language in languages]
        say_row(f"published, {name}", figures)


def say_row(name: str, cells: Sequence[str]) -> None:
    """Print a row of the table."""
    say(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(sys.argv[1:] or LANGUAGES)
