"""Lines of two kinds, to be told apart by what they cost: those that belong, and planted ones."""

import json
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from tests.support import TEXTS

_HELD_OUT = 5


def foreign_lines() -> list[str]:
    """Sentences in German, Italian, Spanish, Latin, Dutch and French, of ASCII letters alone."""
    return (TEXTS / "foreign.txt").read_text(encoding="utf-8").splitlines()


def given_names() -> tuple[list[str], list[str]]:
    """Given names: those to learn, and every fifth, which is held out."""
    names = (TEXTS / "names.txt").read_text(encoding="utf-8").splitlines()
    learned = [name for place, name in enumerate(names) if place % _HELD_OUT]
    return learned, names[::_HELD_OUT]


def machine_made(names: Sequence[str], count: int, order: int, seed: int) -> list[str]:
    """Names drawn letter by letter from the letters of some names.

    Args:
        names: to draw from.
        count: how many to make; none is one of ``names``.
        order: 0 draws each letter by itself, for as many as a name has; 1 draws what follows the
            letter before, the name's end included.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    make = _by_letters if order == 0 else _by_pairs
    made: set[str] = set()
    while len(made) < count:
        name = make(names, generator)
        if name and name not in names:
            made.add(name)
    return sorted(made)


def _by_letters(names: Sequence[str], generator: np.random.Generator) -> str:
    letters = list("".join(names).lower())
    length = len(generator.choice(list(names)))
    return "".join(generator.choice(letters, length)).capitalize()


def _by_pairs(names: Sequence[str], generator: np.random.Generator) -> str:
    followers = defaultdict(list)
    for name in names:
        for before, letter in zip("\n" + name, name + "\n", strict=True):
            followers[before].append(letter)
    made = "\n"
    while not made.endswith("\n") or made == "\n":
        made += str(generator.choice(followers[made[-1]]))
    return made.strip()


def area_under_curve(ordinary: Sequence[float], planted: Sequence[float]) -> float:
    """The area under the ROC curve: how often a planted line costs more than an ordinary one."""
    apart = np.subtract.outer(np.array(planted), np.array(ordinary))
    return float((apart > 0).mean() + (apart == 0).mean() / 2)


def bits_per_char(rows: bytes) -> list[float]:
    """Return the bits per character of each line that ``charrnn score --json`` printed."""
    return [json.loads(row)["bits_per_char"] for row in rows.splitlines()]
