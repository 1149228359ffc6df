"""Code that several tests share, and the files they read."""

from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
"""Model files and the last checkpoints of runs, one folder for each version of the format."""

TEXTS = Path(__file__).parent / "texts"

_SITE = """import sys

sys.meta_path[:] = [one for one in sys.meta_path if "ScikitBuild" not in type(one).__name__]
"""


def let_copy_be_imported(folder: Path) -> None:
    """Have a Python with ``folder`` on its PYTHONPATH import the copy of charrnn that lies there.

    The finder of an editable installation would otherwise come first.
    """
    (folder / "sitecustomize.py").write_text(_SITE, encoding="utf-8")
