"""What an expert is worth: ``python -m tests.benchmarks.experts [TEXT MINUTES ...]``.

Trains on each text for some minutes, and prints the held-out loss of the network alone and with its
n-grams, the bytes of both files, and how much of 5,000 drawn characters the training text holds:
the share of strings of 8, 12 and 16 characters, beside that of held-out text.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from charrnn.checkpoints.checkpoint import write_checkpoint
from charrnn.checkpoints.model_file import read_model
from tests.benchmarks.measure import describe_machine, say

RUNS = (("tales", 0.3), ("tales", 0.8), ("quatrains", 0.2), ("python", 0.5))
LENGTHS = (8, 12, 16)


def run(*arguments: str) -> Any:
    """What a command of the program prints as JSON."""
    command = [sys.executable, "-m", "charrnn", *arguments, "--json"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def shares(novelty: dict[str, Any], side: str) -> str:
    return " ".join(f"{novelty[side]['shares'][length - 1]:.3f}" for length in LENGTHS)


def measure(text: str, minutes: float, folder: Path) -> None:
    """Train once, and print the row of the network alone and that of both."""
    trained = run(
        *("train", text, "--minutes", str(minutes), "--experts", "ngram", "--from", "none"),
        *("--run", str(folder), "--overwrite"),
    )
    both, alone = folder / "best.safetensors", folder / "alone.safetensors"
    write_checkpoint(alone, replace(read_model(both), expert=None).to_checkpoint())
    shape = f"{trained['network']['layers']} x {trained['network']['hidden']}"
    for kind, file in (("alone", alone), ("both", both)):
        nats = run("eval", str(file), "--no-baselines")["nats_per_char"]
        drawn = run("sample", str(file), "--length", "5000", "--seed", "1", "--novelty")["novelty"]
        say(
            f"| {text} | {minutes:g} | {shape}, {trained['epochs']:.1f} epochs | {kind} "
            f"| {nats:.4f} | {file.stat().st_size:,} | {shares(drawn, 'drawn')} "
            f"| {shares(drawn, 'held_out')} |"
        )


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    pairs = zip(arguments[::2], map(float, arguments[1::2]), strict=True)
    say(describe_machine() + "\n")
    say("| text | minutes | network | | held out | bytes | drawn | held-out text |")
    say("|---|---:|---|---|---:|---:|---|---|")
    with TemporaryDirectory() as folder:
        for text, minutes in tuple(pairs) or RUNS:
            measure(text, minutes, Path(folder) / "run")


if __name__ == "__main__":
    main(sys.argv[1:])
