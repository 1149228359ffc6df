"""Which characters a text is made of, and which of them a reader of it would not expect."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from charrnn.alphabet import Alphabet, Ids
from charrnn.tally import count_ids

RARE = 10
"""A character that occurs less often than this is rare: hardly anything can be learnt of it."""

_IDS_AT_ONCE = 1 << 20
_CATEGORIES: dict[str, tuple[str, ...]] = {
    "control characters": ("Cc",),
    "invisible characters": ("Cf",),
    "spaces of other kinds": ("Zs", "Zl", "Zp"),
    "combining marks": ("Mn", "Me"),
    "private or unassigned": ("Co", "Cn"),
}
_USUAL = "\n\t "
_SETS = {
    "curly quotes": "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f",
    "long dashes": "\u2010\u2011\u2012\u2013\u2014\u2015",
    "replacement marks": "\ufffd",
}
# Their letters look alike: a Cyrillic one within a Latin word is a slip or a disguise.
_ALIKE = ("LATIN", "GREEK", "CYRILLIC")


@dataclass(frozen=True)
class Group:
    """Characters of one sort that a text holds.

    Attributes:
        characters: each of them, the most frequent first.
        count: how often they occur together.
    """

    characters: str
    count: int


@dataclass(frozen=True)
class CharacterStatistics:
    """What a text's characters are; for a text of bytes only how many are rare.

    Attributes:
        different: how many different characters occur.
        bytes: how many a file of them holds (UTF-8 for text).
        rare: characters that occur, but less than :data:`RARE` times.
        groups: sorts of characters that may surprise, by name; only those that occur.
        scripts: letters of each script, by name, the most frequent first.
        mixed_scripts: places where letters of different scripts that look alike stand together.
    """

    different: int
    bytes: int
    rare: Group
    groups: dict[str, Group]
    scripts: dict[str, int]
    mixed_scripts: int


def count_characters(ids: Ids, alphabet: Alphabet) -> CharacterStatistics:
    """Look at every character of a text, shape (N,)."""
    occurring = count_ids(ids, len(alphabet))
    counts = +Counter(dict(zip(alphabet.characters, occurring.tolist(), strict=True)))
    is_text = alphabet.kind == "text"
    return CharacterStatistics(
        different=len(counts),
        bytes=int(occurring @ alphabet.byte_lengths),
        rare=_group(counts, lambda character: counts[character] < RARE),
        groups=_find_groups(counts) if is_text else {},
        scripts=_count_scripts(counts) if is_text else {},
        mixed_scripts=_count_mixed(ids, alphabet) if is_text else 0,
    )


def _find_groups(counts: Counter[str]) -> dict[str, Group]:
    sorts: dict[str, Callable[[str], bool]] = {
        **{name: members.__contains__ for name, members in _SETS.items()},
        **{name: partial(_is_of, categories) for name, categories in _CATEGORIES.items()},
    }
    groups = {name: _group(counts, belongs) for name, belongs in sorts.items()}
    return {name: group for name, group in groups.items() if group.count}


def _is_of(categories: tuple[str, ...], character: str) -> bool:
    return unicodedata.category(character) in categories and character not in _USUAL


def _count_scripts(counts: Counter[str]) -> dict[str, int]:
    scripts: Counter[str] = Counter()
    for character, count in counts.items():
        scripts[script_of(character)] += count
    del scripts[""]
    return dict(scripts.most_common())


def script_of(character: str) -> str:
    """The script of a letter as Unicode's names begin, in capitals; empty for what is no letter.

    >>> script_of("a"), script_of("\u4e2d"), script_of("!")
    ('LATIN', 'CJK', '')
    """
    if not unicodedata.category(character).startswith("L"):
        return ""
    return unicodedata.name(character, "UNNAMED").split()[0]


def _group(counts: Counter[str], belongs: Callable[[str], bool]) -> Group:
    members = [(c, count) for c, count in counts.most_common() if belongs(c)]
    return Group("".join(c for c, _ in members), sum(count for _, count in members))


def _count_mixed(ids: Ids, alphabet: Alphabet) -> int:
    """Pairs of neighbours that are letters of two scripts that look alike."""
    scripts = [script_of(character) for character in alphabet.characters]
    # Each script a number of its own, and 0 for whatever looks like none of them.
    number_of = np.array([1 + _ALIKE.index(s) if s in _ALIKE else 0 for s in scripts], np.int8)
    pairs = 0
    for begin in range(0, len(ids), _IDS_AT_ONCE):
        numbers = number_of[ids[begin : begin + _IDS_AT_ONCE + 1]]
        left, right = numbers[:-1], numbers[1:]
        pairs += int(((left != right) & (left > 0) & (right > 0)).sum())
    return pairs
