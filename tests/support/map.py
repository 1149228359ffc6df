"""Draw the package from its code: folders, files and lines, and the order of imports.

Usage: python -m tests.support.map
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "charrnn"
SOURCES = (".py", ".h", ".cpp", ".html", ".css", ".js", ".md", ".txt")


def find_room(path: Path) -> str:
    """The folder, or the module at the top, that a file of the package belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_room(name: str) -> bool:
    """Return whether the package has a folder or a module of that name."""
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def find_files() -> list[Path]:
    """The files of the package, in order; the bundled corpora lie elsewhere."""
    return sorted(
        path
        for path in PACKAGE.rglob("*")
        if path.suffix in SOURCES and "corpora" not in path.parts and path.is_file()
    )


def count_lines(path: Path) -> int:
    """Lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def find_imports() -> dict[str, set[str]]:
    """The rooms that each room imports, itself left out."""
    imported: dict[str, set[str]] = defaultdict(set)
    for path in find_files():
        if path.suffix != ".py":
            continue
        room = find_room(path)
        imported[room] |= set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            parts = node.module.split(".")
            if parts[0] != "charrnn" or room == "__init__":
                continue
            rooms = parts[1:2] or [alias.name for alias in node.names if is_room(alias.name)]
            imported[room] |= set(rooms) - {room}
    return imported


def draw() -> str:
    """The whole picture as text.

    Raises:
        graphlib.CycleError: the imports run in a circle.
    """
    files: dict[str, list[Path]] = defaultdict(list)
    for path in find_files():
        files[find_room(path)].append(path)
    imports = find_imports()
    sorter = TopologicalSorter(imports)
    sorter.prepare()
    lines = ["rooms in the order of their imports; each line imports lines above it only", ""]
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        for room in ready:
            here = files[room]
            total = sum(map(count_lines, here))
            lines.append(
                f"{room + ('/' if len(here) > 1 else ''):14}{len(here):4} files {total:6,} lines"
            )
            if len(here) > 1:
                lines += [
                    f"    {path.relative_to(PACKAGE / room)!s:34}{count_lines(path):6,}"
                    for path in here
                ]
        sorter.done(*ready)
    everything = [path for paths in files.values() for path in paths]
    tests = sorted((ROOT / "tests").rglob("*.py"))
    lines += [
        "",
        f"package  {len(everything):4} files {sum(map(count_lines, everything)):6,} lines",
        f"tests    {len(tests):4} files {sum(map(count_lines, tests)):6,} lines",
        f"README             {count_lines(ROOT / 'README.md'):6,} lines",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(draw() + "\n")
