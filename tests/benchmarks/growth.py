"""How cost grows: ``python -m tests.benchmarks.growth``.

Training's characters per second over windows, streams, hidden sizes and layers, one changed at a
time; then speed and the most memory of whole runs on texts of 1 MB to 1 GB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from charrnn.config.model import ModelConfig
from charrnn.data.batches import Shape
from tests.benchmarks.measure import Contender, describe_machine, interleave, say
from tests.benchmarks.speed import training_steps

BASE = {"T": 128, "B": 32, "H": 256, "L": 1}
GROWN = {"T": (32, 64, 128, 256, 512), "B": (8, 16, 32, 64, 128), "H": (128, 256, 512, 1024)}
LAYERS = (1, 2, 4)
MEGABYTES = (1, 10, 100, 1000)
_STEPS = "60"


def make(window: int, batch: int, hidden: int, layers: int) -> Contender:
    """Training steps of about as many characters whatever the shape."""
    config = ModelConfig(layers=layers, hidden=hidden, embedding=128)
    return partial(training_steps, config, Shape(batch, window), max(1, 16384 // (window * batch)))


def show_shapes() -> None:
    """Characters per second as each of T, B, H and L grows."""
    for letter, values in {**GROWN, "L": LAYERS}.items():
        shapes = {value: {**BASE, letter: value} for value in values}
        rates = interleave(
            {str(v): make(s["T"], s["B"], s["H"], s["L"]) for v, s in shapes.items()}, rounds=5
        )
        shown = ", ".join(f"{value}: {rate.median:,.0f}" for value, rate in rates.items())
        say(f"  {letter:<3} {shown}")


def show_sizes() -> None:
    """Speed and memory of a run on a random text, by the text's size."""
    say("\n  MB     characters/s   most memory, MB   CPU seconds")
    with TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz \n", np.uint8)
        for megabytes in MEGABYTES:
            drawn = np.random.default_rng(0)
            with text.open("wb") as file:
                for _ in range(megabytes):
                    file.write(letters[drawn.integers(len(letters), size=10**6)].tobytes())
            command = [sys.executable, "-m", "charrnn", "train", str(text), "--steps", _STEPS]
            options = ["--layers", "1", "--hidden", "256", "--evaluations", "1", "--valid", "0.001"]
            options += ["--experts", "none"]
            process = subprocess.Popen(
                [*command, *options, "--overwrite", "--run", f"{folder}/run", "--json"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            output = process.stdout.read() if process.stdout else b""
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                raise SystemExit(f"training on {megabytes} MB failed")
            found = json.loads(output)
            say(
                f"  {megabytes:<6} {found['chars_per_second']:>12,.0f} "
                f"{usage.ru_maxrss / 1024:>17,.0f} {usage.ru_utime + usage.ru_stime:>13,.0f}"
            )


if __name__ == "__main__":
    say(f"{describe_machine()}; training, characters per second; from {BASE}\n")
    show_shapes()
    show_sizes()
