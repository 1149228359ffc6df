"""What each cell makes of the formal languages, beside the published figures.

``python -m tests.benchmarks.formal [LANGUAGE]...`` trains every cell on every language through the
program itself, RESTARTS times with other seeds, on sequences with n < 20. Of these the run is kept
that solves most n < 20 and, of several such, has the lowest held-out loss (n < 20 as well); what it
solves up to n = 60 is what counts. Rounded actions choose their run by the same rule, rounded.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from tests.benchmarks.measure import describe_machine, say
from tests.benchmarks.train_and_score import charrnn

LANGUAGES = ("anbn", "anbncn", "anbncndn", "anb2n", "anbmcnm")
CELLS = ("rnn", "lstm", "gru", "stack")
RESTARTS = 5
LEARNT = 20
SETTINGS = (
    *("--layers", "1", "--hidden", "40", "--embedding", "16", "--norm", "none", "--batch", "16"),
    *("--window", "64", "--steps", "1500", "--evaluations", "1", "--threads", "1"),
    *("--dropout", "0", "--weight-drop", "0"),
)
OWN_SETTINGS = {
    "rnn": ("--lr", "0.006"),
    "lstm": ("--lr", "0.02"),
    "gru": ("--lr", "0.02"),
    "stack": ("--lr", "0.04", "--stack-only", "--stack-depth", "128"),
}
PUBLISHED = {
    "RNN": (25.0, 23.3, 13.3, 23.3, 33.3),
    "LSTM": (100.0, 100.0, 68.3, 75.0, 100.0),
    "stack": (100.0, 100.0, 100.0, 100.0, 43.3),
    "stack, rounded": (100.0, 100.0, 100.0, 100.0, 100.0),
}
"""Per cent of n solved, in LANGUAGES' order: Joulin & Mikolov 2015, 40 hidden units, 10 stacks."""


@dataclass(frozen=True)
class Trial:
    """A run that was tried with a language.

    Attributes:
        seed: the run's.
        learnt: how many n < LEARNT it solves.
        loss: held-out nats per character.
        solved: per cent of n solved up to 60.
    """

    seed: int
    learnt: int
    loss: float
    solved: float


def best_trials(cell: str, language: str) -> dict[str, Trial]:
    """Train with every seed; the best run by the rule, and for stacks by the rule rounded too."""
    rows: dict[str, tuple[str, ...]] = {cell: ()}
    if cell == "stack":
        rows["stack, rounded"] = ("--stack-round",)
    trials: dict[str, list[Trial]] = {row: [] for row in rows}
    for seed in range(1, RESTARTS + 1):
        with TemporaryDirectory() as folder:
            options = ["--cell", cell, *SETTINGS, *OWN_SETTINGS[cell], "--seed", str(seed)]
            charrnn(folder, "train", language, "--run", "run", *options)
            for row, rounding in rows.items():
                trials[row].append(try_run(folder, language, seed, rounding))
    return {row: min(tried, key=lambda t: (-t.learnt, t.loss)) for row, tried in trials.items()}


def try_run(folder: str, language: str, seed: int, rounding: Sequence[str]) -> Trial:
    """Count what the run in a folder solves, and score what it held out."""
    found = charrnn(folder, "eval", "run", "--formal", language, *rounding)
    loss = charrnn(folder, "eval", "run", *rounding)["nats_per_char"]
    learnt = sum(size < LEARNT for size in found["solved"])
    return Trial(seed, learnt, loss, found["per_cent_solved"])


def main(languages: Sequence[str]) -> None:
    """Print the table."""
    started = time.monotonic()
    pairs = [(cell, language) for cell in reversed(CELLS) for language in languages]
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        found = dict(zip(pairs, workers.map(best_trials, *zip(*pairs, strict=True)), strict=True))
    say(f"{describe_machine()}; {(time.monotonic() - started) / 60:.1f} minutes\n")
    say(
        f"Per cent of n solved up to 60; in brackets the seed, of 1 to {RESTARTS}, that was kept.\n"
    )
    say(f"| | {' | '.join(languages)} |\n|---{'|---' * len(languages)}|")
    for cell in CELLS:
        for row in found[cell, languages[0]]:
            kept = [found[cell, language][row] for language in languages]
            say_row(row, [f"{trial.solved:.1f} ({trial.seed})" for trial in kept])
    for name, published in PUBLISHED.items():
        figures = [f"{published[LANGUAGES.index(language)]:.1f}" for language in languages]
        say_row(f"published, {name}", figures)


def say_row(name: str, cells: Sequence[str]) -> None:
    """Print a row of the table."""
    say(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(sys.argv[1:] or LANGUAGES)
