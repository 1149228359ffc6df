"""What several tests share, and the files they read."""

from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
"""Model files and the last checkpoints of runs, one folder for each version of the format."""

TEXTS = Path(__file__).parent / "texts"
