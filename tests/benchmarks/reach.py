"""How far gradients reach in networks of 2 x 128: ``python -m tests.benchmarks.reach [TEXT]``.

Trains a tanh network, an LSTM and a GRU, takes one step of a network that starts badly scaled, and
asks the program of each how the gradient of a loss reaches back.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from charrnn.data.inputs import gather_sources
from charrnn.folders import TemporaryFolder
from tests.benchmarks.measure import say
from tests.benchmarks.train_and_score import charrnn

SHOWN = (0, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
SIZE = ("--layers", "2", "--hidden", "128", "--embedding", "128", "--lr", "0.006")
TRAINED = ("--epochs", "3", "--dropout", "0", "--weight-drop", "0")
NETWORKS = {
    "tanh": ("--cell", "rnn", *TRAINED),
    "lstm": ("--cell", "lstm", *TRAINED),
    "gru": ("--cell", "gru", *TRAINED),
    "relu, W scaled by 1.8": (
        *("--cell", "rnn", "--activation", "relu", "--init", "orthogonal", "--init-gain", "1.8"),
        # Its activations overflow on the way through a long held-out text.
        *("--norm", "none", "--steps", "1", "--window", "32", "--valid", "0"),
    ),
}


def measure(text: Path, options: tuple[str, ...]) -> list[dict[str, Any]]:
    """Train a network and ask how its gradients reach back."""
    with TemporaryDirectory() as folder:
        charrnn(folder, "train", str(text.resolve()), "--run", "run", *SIZE, *options)
        command = (folder, "inspect", "gradients", "run", str(text.resolve()))
        found: list[dict[str, Any]] = charrnn(*command)["gradients"]
        return found


def main(text: Path) -> None:
    """Print the table: a column for each network, layer and part of its state."""
    columns = {
        f"{name}, layer {reach['layer']} {reach['part']}": reach["norms"]
        for name, options in NETWORKS.items()
        for reach in measure(text, options)
    }
    say(f"{text.name}: mean norm of dL(t) / ds(t - k)\n")
    say(f"| k | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for k in SHOWN:
        say(f"| {k} | {' | '.join(f'{norms[k]:.1e}' for norms in columns.values())} |")


if __name__ == "__main__":
    with TemporaryFolder() as folder:
        (text,), _ = gather_sources(sys.argv[1:2] or ["tales"], folder)
        main(text)
