"""Draw the package from its code: folders, files and lines, and the order of imports.

Usage: python -m tests.support.map
"""

from __future__ import annotations

import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

from tests.support.imports import FILES, PACKAGE, find_imports, find_room

ROOT = Path(__file__).parents[2]
SOURCES = (".py", ".h", ".cpp", ".html", ".css", ".js", ".md", ".txt")


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


def find_room_imports() -> dict[str, set[str]]:
    """The rooms that each room imports, itself left out."""
    imported: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        room = find_room(path)
        imported[room] |= set()
        if room != "__init__":
            inner = [name.split(".")[1] for name in find_imports(path) if name[:8] == "charrnn."]
            imported[room] |= set(inner) - {room}
    return imported


def draw() -> str:
    """The whole picture as text.

    Raises:
        graphlib.CycleError: the imports run in a circle.
    """
    files: dict[str, list[Path]] = defaultdict(list)
    for path in find_files():
        files[find_room(path)].append(path)
    imports = find_room_imports()
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
