"""Planted lines found by what they cost: ``python -m tests.benchmarks.anomalies``.

Trains a model of the bundled tales and one of given names, has ``charrnn score`` put a price on
lines that belong there and lines that do not, and prints the area under the ROC curve: 1 finds
every planted line before any other, 0.5 is guessing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from charrnn.data.catalogue import Bundled, read_catalogue
from tests.benchmarks.measure import say
from tests.support.anomalies import (
    area_under_curve,
    bits_per_char,
    foreign_lines,
    given_names,
    machine_made,
)

TALES = (
    "--experts",
    "none",
    "--layers",
    "1",
    "--hidden",
    "256",
    "--epochs",
    "6",
    "--window",
    "64",
    "--batch",
    "16",
)
NAMES = ("--valid", "0", "--layers", "1", "--hidden", "64", "--dropout", "0.3", "--epochs", "60")
NAMES_WINDOW = ("--window", "32", "--batch", "4")


def run(folder: str, *arguments: str, stdin: str = "") -> bytes:
    """What a command of the program prints in a folder."""
    command = [sys.executable, "-m", "charrnn", *arguments]
    return subprocess.run(
        command,
        input=stdin.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        cwd=folder,
    ).stdout


def find(folder: str, ordinary: Sequence[str], planted: Sequence[str]) -> float:
    """The area under the curve with the model in ``run``."""

    def price(lines: Sequence[str]) -> list[float]:
        arguments = ("score", "run", "-", "--json", "--unknown", "replace")
        return bits_per_char(run(folder, *arguments, stdin="\n".join(lines) + "\n"))

    return area_under_curve(price(ordinary), price(planted))


def main() -> None:
    """Print the figures."""
    tales = read_catalogue()["tales"]
    assert isinstance(tales, Bundled)
    text = tales.path.read_text(encoding="utf-8")
    with TemporaryDirectory() as folder:
        run(folder, "train", "tales", "--run", "run", *TALES)
        held_out = [line for line in text[int(len(text) * 0.9) :].splitlines()[1:] if line]
        area = find(folder, held_out, foreign_lines())
        say(f"{len(foreign_lines())} foreign among {len(held_out)} lines of tales: {area:.3f}")
    learnt, unseen = given_names()
    with TemporaryDirectory() as folder:
        Path(folder, "names.txt").write_text("\n".join(learnt) + "\n", encoding="utf-8")
        run(folder, "train", "names.txt", "--run", "run", *NAMES, *NAMES_WINDOW)
        for order, how in enumerate(("letter by letter", "by pairs of letters")):
            area = find(folder, unseen, machine_made(learnt, 200, order, seed=1))
            say(f"200 names made {how} among {len(unseen)} real ones, none seen before: {area:.3f}")


if __name__ == "__main__":
    main()
