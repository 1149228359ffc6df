"""The house rules that code can be held to: who may import whom, who may print, what is banned."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "charrnn"
FILES = sorted(PACKAGE.rglob("*.py"))
COMMAND_LINE = {"typer", "rich", "tqdm", "click"}
BANNED_MODULES = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve"}
BANNED_CALLS = {"eval", "exec", "compile", "__import__"}

# Each room may import from the rooms before it, never from one after it.
ORDER = (
    *(
        "__init__",
        "errors",
        "storage",
        "plain",
        "settings",
        "registry",
        "config",
        "modelconfig",
        "shapes",
        "recipe",
        "growing",
        "alphabet",
        "drawing",
        "tally",
        "decoding",
        "sources",
        "corpus",
        "streams",
    ),
    *(
        "languages",
        "catalogue",
        "formats",
        "checkpoint",
        "rounding",
        "schedule",
        "kernels",
        "engine",
        "device",
        "cells",
        "model",
        "selftest",
    ),
    *(
        "averaging",
        "dropconnect",
        "optimizer",
        "evaluate",
        "dynamic",
        "formal",
        "gradients",
        "gates",
        "events",
        "train",
        "sample",
        "modelfile",
        "restore",
        "request",
        "session",
        "run",
    ),
    *("session", "run", "cli", "__main__"),
)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, ast.stmt]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: list[tuple[str, ast.stmt]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, node))
    return found


every_file = pytest.mark.parametrize(
    "path", FILES, ids=[str(file.relative_to(PACKAGE)) for file in FILES]
)


def test_every_room_has_its_place() -> None:
    assert {room(path) for path in FILES} == set(ORDER)


@every_file
def test_imports_run_one_way(path: Path) -> None:
    here = ORDER.index(room(path))
    for module, _ in imports(path):
        parts = module.split(".")
        if parts[0] == "charrnn" and len(parts) > 1:
            assert ORDER.index(parts[1]) <= here, module


@every_file
def test_only_the_command_line_knows_the_command_line(path: Path) -> None:
    if room(path) != "cli":
        assert not COMMAND_LINE & {module.split(".")[0] for module, _ in imports(path)}


@every_file
def test_only_the_command_line_imports_late(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    late = [
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert room(path) == "cli" or not late


@every_file
def test_nothing_is_printed_unpickled_or_executed(path: Path) -> None:
    assert not BANNED_MODULES & {module.split(".")[0] for module, _ in imports(path)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            assert node.func.id not in BANNED_CALLS | {"print"}
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            assert (node.func.value.id, node.func.attr) not in {
                ("torch", "load"),
                ("torch", "save"),
            }
