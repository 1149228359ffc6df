"""The guide to scripting names every key that a command prints with --json."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_readme import GUIDES
from tests.support.forked import forked
from tests.support.program import SMALL, explain

# Keys that are data: settings, parts of a network, names of characters, builds and operations.
_DATA = {
    *("shape", "train", "model", "settings", "chosen", "parameters", "alphabet", "corpus"),
    *("scores", "groups", "scripts", "activations", "builds", "precision", "differences"),
}

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("sample", "herons", "--length", "40", "--novelty"),
    ("eval", "herons", "--reset-every", "50", "--dynamic"),
    ("score", "herons", "--worst", "1"),
    ("score", "herons", "--by", "window", "--worst", "1"),
    ("score", "herons", "--by", "character", "--worst", "1"),
    ("corpus", "list"),
    ("corpus", "show", "herons.txt"),
    ("inspect", "summary", "herons"),
    ("inspect", "surprisal", "herons"),
    ("inspect", "neurons", "herons", "herons.txt"),
    ("inspect", "gradients", "herons", "--steps", "2"),
    ("inspect", "gates", "herons"),
    ("compare", "herons", "herons"),
    ("verify", "herons", "herons.txt"),
    ("doctor",),
)


def told(words: tuple[str, ...]) -> set[str]:
    """Return the keys in the guide's section on the command that these words begin with."""
    (path,) = (path for path in GUIDES if path.stem == "scripting")
    parts = re.split(r"^### charrnn (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        if words[: len(name.split())] == tuple(name.split()):
            return set(re.findall(r"`(\w+)`", text))
    raise AssertionError(f"no section on charrnn {' '.join(words)}")


def keys(value: Any) -> Iterator[str]:
    """The keys of an object and of those within it, data excepted."""
    if isinstance(value, list):
        for item in value:
            yield from keys(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            if name not in _DATA:
                yield from keys(item)


def printed(folder: Path, *arguments: str) -> set[str]:
    """The keys that a command prints."""
    result = forked(*arguments, "--json", cwd=folder)
    found = {key for line in result.stdout.splitlines() for key in keys(json.loads(line))}
    assert found, explain(result)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_the_guide_names_every_key(trained: Path, arguments: tuple[str, ...]) -> None:
    assert printed(trained, *arguments) <= told(arguments)


@pytest.mark.slow
def test_the_guide_names_every_key_of_training_and_of_formal_languages(tmp_path: Path) -> None:
    assert printed(tmp_path, "train", "anbn", "--steps", "2", *SMALL) <= told(("train",))
    assert printed(tmp_path, "eval", "--formal", "anbn") <= told(("eval",))


@pytest.mark.slow
def test_the_guide_names_every_key_of_records_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("Ada\nGrace\nMary\nJoan\n" * 20)
    training = ("train", "names.txt", "--records", "line", "--bytes", "--steps", "2")
    assert printed(tmp_path, *training, *SMALL) <= told(("train",))
    for arguments in (("sample",), ("eval",), ("score",), ("inspect", "surprisal")):
        assert printed(tmp_path, *arguments) <= told(arguments)
