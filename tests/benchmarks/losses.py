"""Held-out loss of each cell at the default size, through the program itself."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

EPOCHS = 5


def train_and_score(text: Path, *options: str) -> dict[str, Any]:
    """Train on a text and score its held-out end exactly; the summary and the score in one."""
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder, "run"))
        train = ["train", str(text), "--run", run, "--json", *options]
        return {**_charrnn(*train), **_charrnn("eval", run, "--json")}


def _charrnn(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "charrnn", *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found: dict[str, Any] = json.loads(result.stdout)
    return found
