"""Measure and print: ``python -m tests.benchmarks [TEXT] [PART]...``; TEXT is the text to learn.

Parts: training, sampling, losses, cells; all of them where none is named. Losses take 75 minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from charrnn.data.batches import Shape
from charrnn.data.inputs import gather_sources
from charrnn.folders import TemporaryFolder
from tests.benchmarks.measure import (
    ROUNDS,
    Rate,
    describe_machine,
    hold_to,
    list_usable_builds,
    say,
)
from tests.benchmarks.speed import PRODUCTS, RECORD, count_operations, sampling, training
from tests.benchmarks.train_and_score import CONTEXT, train_and_score

CELLS = ("lstm", "gru", "rnn")
EPOCHS = 5
MINUTES = (0.05, 0.7, 3, 10, 60)
GATES = {"lstm": 4, "gru": 3}


NETWORKS = (
    (2, 512, Shape(64, 128), 2),
    (2, 128, Shape(50, 50), 20),
    (1, 64, Shape(50, 50), 60),
    (1, 64, Shape(100, RECORD + 1), 100),
)
"""Layers, units, batch and window, and steps of a round; the last learns records."""


def show_training(text: Path) -> None:
    """Characters per second of training, beside torch's layers and the machine's products.

    Both sides are held to the same instructions: of every build that the processor runs.
    """
    for build in list_usable_builds():
        for layers, hidden, shape, steps in NETWORKS:
            say(
                f"Training with {build}, characters per second, {layers} x {hidden}, "
                f"{shape.batch} streams of {shape.window}"
            )
            bfloat16 = build == "avx512bf16"
            with hold_to(build):
                rates = training(layers, hidden, shape, steps, bfloat16=bfloat16)
            products = rates.pop(PRODUCTS)
            say_rates(rates, *(name for name in rates if name.startswith("torch")))
            for cell, gates in GATES.items():
                if (rate := rates.get(f"charrnn {cell}")) is not None:
                    share = rate.median * count_operations(layers, hidden, gates) / products.median
                    say(
                        f"  charrnn {cell} makes {share:.2f} of the machine's products per second, "
                        f"{products.median / 1e9:.0f} billion operations"
                    )
            say("")


def show_sampling(text: Path) -> None:
    """Characters per second of sampling, beside a loop over torch's layer."""
    for hidden in (128, 512):
        say(f"Sampling, characters per second all together, 2 x {hidden}")
        say_rates(sampling(2, hidden), "torch.nn.LSTM")


def show_losses(text: Path) -> None:
    """Held-out loss after some minutes from nothing, everything else left to the recipe."""
    say(
        f"{text.name}: minutes given, training seconds, size, epochs, nats per character held out, "
        f"and the same where all is forgotten after every {CONTEXT} characters"
    )
    for minutes in MINUTES:
        found = train_and_score(text, "--minutes", str(minutes), "--from", "none")
        carried, reset = found["nats_per_char"], found["reset_nats_per_char"]
        say(
            f"  {minutes:<8} {found['train_seconds']:8.1f}  {found['layers']} x {found['hidden']} "
            f"{found['epochs']:8.2f} {carried:8.4f} {reset:8.4f}"
        )
    say("")


def show_cells(text: Path) -> None:
    """Held-out loss of every cell at the same small size."""
    say(f"{text.name}, 2 x 128, {EPOCHS} epochs: nats per character held out, training seconds")
    for cell in CELLS:
        size = ("--layers", "2", "--hidden", "128", "--embedding", "128")
        options = (*size, "--dropout", "0", "--weight-drop", "0", "--epochs", str(EPOCHS))
        found = train_and_score(text, "--cell", cell, *options)
        say(f"  {cell:<16} {found['nats_per_char']:8.4f} {found['train_seconds']:8.1f}")


PARTS = {
    "training": show_training,
    "sampling": show_sampling,
    "cells": show_cells,
    "losses": show_losses,
}


def say_rates(rates: dict[str, Rate], *against: str) -> None:
    """Print rates and their ratios to some of them."""
    for name, rate in rates.items():
        ratios = ", ".join(
            f"{rate.median / rates[other].median:.2f} x {other}" for other in against
        )
        say(f"  {name:<26} {rate}  {ratios}")
    say("")


def main(text: Path, parts: list[str]) -> None:
    """Print the tables of the parts."""
    say(f"{describe_machine()}; medians of {ROUNDS} interleaved rounds (least to most)\n")
    for part in parts or PARTS:
        PARTS[part](text)


if __name__ == "__main__":
    with TemporaryFolder() as folder:
        (learnt,), _ = gather_sources(sys.argv[1:2] or ["tales"], folder)
        main(learnt, sys.argv[2:])
