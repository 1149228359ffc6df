"""The examples in docstrings, run; and that every public class and function has one."""

from __future__ import annotations

import doctest
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import charrnn
from charrnn.api import Model
from tests.support import GOLDEN, TEXTS

PACKAGE = Path(charrnn.__file__).parent
GIVEN = {
    "GOLDEN_MODEL": GOLDEN / "format-3" / "lstm-best.safetensors",
    "NAMES": TEXTS / "names.txt",
}


def modules_with_examples() -> list[str]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if "corpora" not in path.parts and ">>>" in path.read_text(encoding="utf-8"):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            found.append(".".join(part for part in parts if part != "__init__"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_do_what_they_say(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(import_module(name), extraglobs=GIVEN)
    assert tried > 0
    assert failed == 0


def test_whatever_is_public_has_an_example() -> None:
    public = [getattr(charrnn, name) for name in charrnn.__all__ if name != "errors"]
    public += [
        method
        for name, method in inspect.getmembers(Model, inspect.isfunction)
        if not name.startswith("_")
    ]
    silent = [one.__qualname__ for one in public if ">>>" not in (one.__doc__ or "")]
    assert not silent
