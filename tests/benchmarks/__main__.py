"""Measure and print: ``python -m tests.benchmarks [TEXT]``; TEXT is the text to learn."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from charrnn.cli.inputs import gather
from charrnn.streams import Shape
from tests.benchmarks.measure import ROUNDS, Rate, describe_machine, say
from tests.benchmarks.speed import sampling, training
from tests.benchmarks.train_and_score import train_and_score

CELLS = ("lstm", "gru", "rnn")
EPOCHS = 5


def main(text: Path) -> None:
    """Print every table."""
    say(f"{describe_machine()}; medians of {ROUNDS} interleaved rounds (least to most)\n")
    say("Training, characters per second, 2 x 128, 50 streams of 50")
    say_rates(training(2, 128, Shape(50, 50), steps=20), "torch.nn.LSTM")
    say("Training, characters per second, 2 x 512, 64 streams of 128")
    say_rates(training(2, 512, Shape(64, 128), steps=2), "torch.nn.LSTM")
    say("Sampling, characters per second all together, 2 x 128, 1 thread")
    say_rates(sampling(2, 128), "torch.nn.LSTM")
    say("Sampling, characters per second all together, 2 x 512, 1 thread")
    say_rates(sampling(2, 512), "torch.nn.LSTM")
    say(f"{text.name}, 2 x 128, {EPOCHS} epochs: held-out nats per character, training seconds")
    for cell in CELLS:
        found = train_and_score(text, "--cell", cell, "--epochs", str(EPOCHS))
        say(f"  {cell:<16} {found['nats_per_char']:8.4f} {found['train_seconds']:8.1f}")


def say_rates(rates: dict[str, Rate], against: str) -> None:
    """Print rates and their ratio to one of them."""
    for name, rate in rates.items():
        say(f"  {name:<16} {rate}  {rate.median / rates[against].median:.2f} x {against}")
    say("")


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        main(*gather(sys.argv[1:2] or ["tales"], Path(folder)))
