"""Training and scoring through the program itself."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def train_and_score(text: Path, *options: str) -> dict[str, Any]:
    """Train on a text and score its held-out end exactly; the summary and the score in one."""
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder, "run"))
        return {**charrnn("train", str(text), "--run", run, *options), **charrnn("eval", run)}


def charrnn(*arguments: str) -> dict[str, Any]:
    """Run a command of the program; the JSON that it prints.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", "charrnn", *arguments, "--json"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found: dict[str, Any] = json.loads(result.stdout)
    return found
