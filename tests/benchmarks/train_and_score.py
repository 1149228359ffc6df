"""Training and scoring through the program itself."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CONTEXT = "256"
"""Characters after which one of the scores forgets everything, as a transformer of that context."""


def train_and_score(text: Path, *options: str) -> dict[str, Any]:
    """Train on a text and score its held-out end exactly; the summary and the scores in one."""
    with tempfile.TemporaryDirectory() as folder:
        source = str(text.resolve())
        trained = charrnn(folder, "train", source, "--run", "run", *options)
        return {**trained, **charrnn(folder, "eval", "run", "--reset-every", CONTEXT)}


def charrnn(folder: str, *arguments: str) -> dict[str, Any]:
    """Run a command of the program in a folder; the JSON that it prints.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", "charrnn", *arguments, "--json"]
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, cwd=folder
    )
    found: dict[str, Any] = json.loads(result.stdout)
    return found
