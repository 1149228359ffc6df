"""The modules of the package, read from its code: their folders, and what they import."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "charrnn"
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def find_room(path: Path) -> str:
    """Return the folder, or the module at the top, that a file of the package belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _name_module(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {_name_module(path): path for path in FILES}
"""The files of the package by the names of their modules."""


def find_imports(path: Path) -> list[str]:
    """Return the names of the modules that a file of the package imports."""
    found: list[str] = []
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found += list(dict.fromkeys(i if i in MODULES else node.module for i in inner))
    return found
