"""A stack network finds the rule of a^n b^n from n < 20 and keeps it to n = 60."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.forked import forked

SETTINGS = (
    *("--cell", "stack", "--stack-only", "--stack-depth", "64", "--layers", "1", "--hidden", "40"),
    *("--embedding", "16", "--norm", "none", "--lr", "0.04", "--window", "64", "--batch", "16"),
    *("--steps", "400", "--evaluations", "1", "--threads", "1"),
)
SEEDS = (1, 2, 3)
"""A processor that rounds otherwise may need another seed; one that learns is enough."""


@pytest.mark.slow
def test_a_stack_network_learns_to_count(tmp_path: Path) -> None:
    def run(*arguments: str) -> dict[str, Any]:
        result = forked(*arguments, "--json", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    solved = {}
    for seed in SEEDS:
        run("train", "anbn", *SETTINGS, "--seed", str(seed), "--run", f"seed-{seed}")
        solved[seed] = run("eval", f"seed-{seed}", "--formal", "anbn", "--stack-round")
        if solved[seed]["per_cent_solved"] == 100:
            return
    pytest.fail(f"no seed solved every n: {solved}")
