"""Mistakes that can be told without torch are told before it is imported, which takes seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.program import ENVIRONMENT

MISTAKES = (
    ("train", "nosuch.txt"),
    ("train", "herons.txt", "empty.txt", "nosuch.txt"),
    ("train", "herons.txt", "--run", "new", "--from", "herons", "nosuch.txt"),
    ("train", "herons.txt", "latin.txt"),
    ("train", "empty.txt"),
    ("train", "short.txt"),
    ("train", "page.pdf"),
    ("train", "herons.txt"),
    ("train", "herons.txt", "--run", "new", "--layers", "0"),
    ("train", "herons.txt", "--run", "new", "--clip", "1", "--clip-value", "1"),
    ("train", "herons.txt", "--run", "new", "--from", "nosuch"),
    ("train", "herons.txt", "--run", "new", "--from", "herons", "--hidden", "5"),
    ("train", "--resume", "nosuch"),
    ("train", "--resume", "herons", "other.txt"),
    ("train", "--resume", "herons", "--run", "runs/herons"),
    ("train", "--resume", "herons", "nosuch.txt"),
    ("train", "--resume", "herons", "herons.txt", "nosuch.txt"),
    ("inspect", "gates", "nosuch"),
    ("inspect", "gradients", "herons", "nosuch.txt"),
    ("inspect", "gates", "herons", "herons.txt", "nosuch.txt"),
    ("inspect", "neurons", "herons", "nosuch.txt"),
    ("inspect", "calibration", "herons", "nosuch.txt"),
    ("inspect", "surprisal", "herons", "nosuch.txt"),
    ("eval", "herons", "nosuch.txt", "--dynamic"),
    ("eval", "herons", "herons.txt", "nosuch.txt", "--device", "auto"),
    ("eval", "herons", "--corpus", "nosuch.txt"),
    ("eval", "herons", "unknown.txt"),
    ("eval", "nosuch"),
    ("eval", "herons", "--formal", "addition"),
    ("score", "nosuch"),
    ("score", "herons", "nosuch.txt"),
    ("score", "herons", "herons.txt", "nosuch.txt", "--device", "auto"),
    ("score", "herons", "--by", "record"),
    ("score", "herons", "--window", "5"),
    ("sample", "nosuch"),
    ("sample", "herons", "--prime", "\u2603"),
    ("sample", "herons", "--stop", "\u2603"),
    ("sample", "herons", "--novelty", "--corpus", "nosuch.txt"),
    ("sample", "herons", "--novel"),
    ("sample", "herons", "--unique", "--device", "auto"),
    ("play", "nosuch"),
    ("report", "nosuch"),
    ("report", "herons", "--corpus", "other.txt"),
    ("report", "herons", "--json", "-o", "-"),
    ("report", "herons", "-o", "other.txt"),
)

PROGRAM = """
import json, sys
from charrnn.cli.main import run
for words in json.loads(sys.argv[1]):
    sys.argv = ["charrnn", *words]
    print(json.dumps([words, run(), "torch" in sys.modules]))
"""


@pytest.mark.slow
def test_a_mistake_is_told_before_torch_is_imported(trained: Path, tmp_path: Path) -> None:
    for name, content in (("empty.txt", ""), ("short.txt", "ab"), ("other.txt", "Another.\n" * 99)):
        (tmp_path / name).write_text(content)
    (tmp_path / "unknown.txt").write_text("A \u2603.\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n" * 99)
    (tmp_path / "page.pdf").write_bytes(b"%PDF-1.7\n")
    for name in ("herons.txt", "runs"):
        (tmp_path / name).symlink_to(trained / name)
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(MISTAKES)],
        cwd=tmp_path,
        # Without the native library every model takes torch.
        env={
            **ENVIRONMENT,
            "CHARRNN_KERNELS": "none",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True,
        check=True,
        timeout=120,
    )
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(told) == len(MISTAKES)
    for words, code, torch in told:
        assert (code in (2, 3, 4, 6), torch) == (True, False), words
    assert result.stderr.count(b"charrnn: ") == len(MISTAKES)
