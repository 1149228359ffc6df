"""Forged checkpoints of runs, their digest true, taken up as ``train --resume`` does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

import torch

from charrnn.data.corpus import Corpus, fit_corpus
from charrnn.errors import CharrnnError
from charrnn.training.run_config import read_run
from charrnn.training.session import resume_session
from tests.robustness.mutations import disturb_parts, put_together, take_apart
from tests.support import GOLDEN

RUNS = tuple(GOLDEN / f"format-2/{cell}-last.safetensors" for cell in ("lstm", "gru", "stack"))


@cache
def _corpus() -> Corpus:
    return fit_corpus([GOLDEN / "format-1/reeds.txt"])


def take_up_forged_runs(count: int, seed: int) -> Iterator[str | None]:
    """Resume forged runs: each is refused, takes its next step, or is reported as diverged."""
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "last.safetensors")
        for number in range(count):
            draw = Random(f"{seed}/{number}")
            parts = take_apart(draw.choice(RUNS).read_bytes())
            # They are finished; let there be steps left to take.
            parts.envelope["train"]["steps"] = parts.envelope["progress"]["total"] = 9
            disturb_parts(draw, parts)
            path.write_bytes(put_together(parts))
            wrong = _take_up(path)
            yield wrong and f"seed {seed}, number {number}: {wrong}"
    torch.set_num_threads(threads)


def _take_up(path: Path) -> str | None:
    try:
        session = resume_session(read_run(path), _corpus())
        next(session.trainer.fit(), None)
        session.checkpoint()
    except CharrnnError:
        return None
    except Exception as crash:  # noqa: BLE001
        return f"{type(crash).__name__}: {crash!s:.200}"
    return None
