"""The house rules that code can be held to: who may import whom, who may print, what is banned."""

import ast
import re
import sys
import tomllib
from graphlib import TopologicalSorter

from tests.support.imports import FILES, MODULES, PACKAGE, TREES, find_imports, find_room

COMMAND_LINE = {"typer", "rich", "tqdm", "click"}
ENDINGS = ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")
BANNED_MODULES = {
    # They make objects, and with them run code, out of data.
    *("pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"),
    *("copyreg", "jsonpickle", "yaml", "dbm", "zipimport", "runpy", "code", "codeop"),
    # They start other programs, or hand objects to them.
    *("subprocess", "multiprocessing", "pty", "webbrowser"),
}
BANNED_CALLS = {"eval", "exec", "compile", "__import__"}
BANNED_ATTRIBUTES = {
    *(("torch", name) for name in ("load", "save", "hub", "jit", "package", "compile")),
    *(("np", name) for name in ("load", "loadtxt", "genfromtxt", "fromfile", "memmap", "save")),
    *(("os", name) for name in ("system", "popen", "fork", "forkpty", "startfile")),
    *(("os", prefix + end) for prefix in ("exec", "spawn") for end in ENDINGS),
    *(("os", "posix_" + end) for end in ("spawn", "spawnp")),
    *(("builtins", name) for name in BANNED_CALLS),
    ("concurrent.futures", "ProcessPoolExecutor"),
    *(("importlib", name) for name in ("import_module", "reload")),
}

# Each rank may import from the ranks before it and from itself, never from one after it.
RANKS = (
    ("__init__", "errors", "display"),
    ("files", "folders", "locking", "config", "kernels"),
    ("data", "models"),
    ("checkpoints",),
    ("inference",),
    ("evaluation",),
    ("analysis",),
    ("training",),
    ("api",),
    ("report",),
    ("cli", "__main__"),
)
RANK = {folder: rank for rank, folders in enumerate(RANKS) for folder in folders}


def test_every_folder_has_its_rank() -> None:
    assert {find_room(path) for path in FILES} == set(RANK)


def test_few_modules_lie_at_the_top_of_the_package() -> None:
    top = [path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")]
    assert len(top) <= 6, top


def test_imports_run_one_way() -> None:
    against = [
        (path, module)
        for path in FILES
        if path
        != PACKAGE / "__init__.py"  # The public face loads every name when it is first used.
        for module in find_imports(path)
        if module.startswith("charrnn.") and RANK[module.split(".")[1]] > RANK[find_room(path)]
    ]
    assert not against


def test_no_module_imports_itself_by_way_of_others() -> None:
    face = PACKAGE / "__init__.py"
    graph = {
        name: {module for module in find_imports(path) if module in MODULES and module != "charrnn"}
        for name, path in MODULES.items()
        if path != face
    }
    TopologicalSorter(graph).prepare()  # Raises CycleError with the circle.


def test_no_two_public_classes_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for node in TREES[path].body:
            match node:
                case ast.ClassDef(name=defined):
                    places.setdefault(defined, []).append(name)
                case ast.Assign(targets=[ast.Name(id=defined)]) if re.match("[A-Z][a-z]", defined):
                    places.setdefault(defined, []).append(name)
    twice = {
        defined: names
        for defined, names in places.items()
        if len(names) > 1 and not defined.startswith("_")
    }
    assert not twice


def test_only_the_command_line_knows_the_command_line() -> None:
    known = {"api": {"tqdm"}}  # A notebook's bar is tqdm's.
    knowing = [
        (path, module)
        for path in FILES
        if find_room(path) != "cli"
        for module in find_imports(path)
        if module.split(".")[0] in COMMAND_LINE - known.get(find_room(path), set())
    ]
    assert not knowing


# A custom property of a style sheet is no option.
OPTION = re.compile(r"(?<!var\()(?<![\w-])--[a-z]")
COMMAND = re.compile(
    r"charrnn (train|sample|play|eval|score|inspect|corpus|verify|compare|report|doctor|guide)\b"
)


def command_line_in(tree: ast.Module) -> list[str]:
    """The strings of a module that name an option or, docstrings excepted, a command."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if OPTION.search(node.value) or (COMMAND.search(node.value) and id(node) not in docstrings)
    ]


def test_only_the_command_line_speaks_of_options_and_commands() -> None:
    speaking = {path: command_line_in(TREES[path]) for path in FILES if find_room(path) != "cli"}
    assert not {path: strings for path, strings in speaking.items() if strings}


def test_options_and_commands_would_be_found() -> None:
    for code, found in (
        ("x = 'hold less out with --valid'", 1),
        ("x = f'{y}: say charrnn corpus get {y}'", 1),
        ("def f():\n    'The same as --valid.'", 1),
        ("def f():\n    'As ``charrnn train`` does.'", 0),
        ("x = 'var(--ink)'", 0),
    ):
        assert len(command_line_in(ast.parse(code))) == found, code


def test_only_the_command_line_imports_late() -> None:
    # Using the native network alone takes no torch, and importing the public face nothing at all.
    lazy = (PACKAGE / "inference" / "select_backend.py", PACKAGE / "api.py")
    late = [
        (path, node.lineno)
        for path in FILES
        if find_room(path) != "cli" and path not in lazy
        for function in ast.walk(TREES[path])
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not late


def banned_in(tree: ast.AST) -> set[str]:
    """Return the names in a module that print, unpickle, execute or start another program."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in BANNED_CALLS | {"print"}:
            found.add(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            named = (node.value.id, node.attr)
            found |= {".".join(named)} if named in BANNED_ATTRIBUTES else set()
        if isinstance(node, ast.Import):
            modules = {alias.name.partition(".")[0] for alias in node.names}
            found |= modules & BANNED_MODULES
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {module} if module.partition(".")[0] in BANNED_MODULES else set()
            renamed = {"numpy": "np"}.get(module, module)
            named_here = {(renamed, alias.name) for alias in node.names}
            found |= {".".join(named) for named in named_here & BANNED_ATTRIBUTES}
    return found


def test_nothing_is_printed_unpickled_or_executed() -> None:
    # They import what the registry and the public face list, and no name that a file gives.
    allowed = {
        path: {"importlib.import_module"}
        for path in (PACKAGE / "models" / "cells" / "__init__.py", PACKAGE / "__init__.py")
    }
    banned = {path: banned_in(tree) for path, tree in TREES.items()}
    assert {path: names for path, names in banned.items() if names} == allowed


def test_the_rule_would_find_it() -> None:
    for code in (
        "import pickle",
        "import pickle as harmless",
        "from pickle import loads",
        "import torch.load, marshal",
        "from subprocess import run",
        "from concurrent.futures import ProcessPoolExecutor",
        "import multiprocessing.pool",
        "eval('1')",
        "harmless = exec",
        "import torch; torch.load('x')",
        "from torch import load",
        "import numpy as np; np.load('x', allow_pickle=True)",
        "from numpy import load",
        "import os; os.system('true')",
        "from os import execvp",
        "os.posix_spawn",
        "from importlib import import_module",
        "print('x')",
    ):
        assert banned_in(ast.parse(code)), code


DECLARED = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPORT = DECLARED["optional-dependencies"]["report"]


def names_of(dependencies: list[str]) -> set[str]:
    """Return the names that dependencies are imported by: their own, with one exception."""
    names = {re.split(r"[<>=!~ ]", each)[0] for each in dependencies}
    return {{"fonttools": "fontTools"}.get(name, name) for name in names}


def test_nothing_is_imported_but_what_is_declared() -> None:
    used: dict[bool, set[str]] = {True: set(), False: set()}
    for path in FILES:
        used[find_room(path) == "report"] |= {module.split(".")[0] for module in find_imports(path)}
    given = sys.stdlib_module_names | {"charrnn"}
    names = names_of(DECLARED["dependencies"])
    assert used[False] - given == names
    assert used[True] - given - names == names_of(REPORT)
    assert len(names) <= 9


def test_every_dependency_is_bounded_on_both_sides() -> None:
    for dependency in [*DECLARED["dependencies"], *REPORT]:
        assert re.fullmatch(r"[a-z\d]+>=[\d.]+,<[\d.]+", dependency), dependency


CLOCKS = {"st_mtime", "st_ctime", "st_mtime_ns", "getmtime", "time_ns", "datetime"}


def test_nothing_asks_what_time_it_is() -> None:
    """A clock may jump, and a file's time be anybody's: order is by step alone."""
    asking = [
        (path, ast.unparse(node))
        for path, tree in TREES.items()
        if path.stem != "text_reader"  # It asks whether a file was written to while it was read.
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in CLOCKS)
        or (isinstance(node, ast.Name) and node.id in CLOCKS)
        or (isinstance(node, ast.Call) and ast.unparse(node.func) == "time.time")
    ]
    assert not asking
