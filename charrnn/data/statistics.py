"""Statistics of a text: its characters and scripts, its lines and paragraphs, its repetitions."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from fontTools import unicodedata as unicode_scripts
from numpy.typing import NDArray

from charrnn.data.alphabet import Alphabet, Ids, count_ids

RARE = 10
"""A character that occurs less often than this is rare: hardly anything can be learnt of it."""

SPAN = 64
"""Characters of a span that is looked for in another text; a power of two."""

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
_ALIKE = ("Latin", "Greek", "Cyrillic")
_INHERITED = "Inherited"
_ANY_SCRIPT, _SCRIPT_BEFORE = 0, -1
_MIXER = np.uint64(0x9E3779B97F4A7C15)
_FOLD = np.uint64(29)


@dataclass(frozen=True)
class CharacterGroup:
    """Characters of one sort that a text holds.

    Attributes:
        characters: each of them, the most frequent first.
        count: how often they occur together.
    """

    characters: str
    count: int


@dataclass(frozen=True)
class CharacterStatistics:
    """Statistics of the characters of a text; of bytes without groups and scripts.

    Attributes:
        different: the number of different characters that occur.
        bytes: the size of a file that holds the text (in UTF-8 unless it is bytes).
        rare: characters that occur, but less than :data:`RARE` times.
        groups: sorts of characters that may surprise, by name; only those that occur.
        scripts: letters of each script, by its name (:func:`find_script`), the most frequent first.
        mixed_scripts: places where letters of different scripts that look alike stand together;
            marks between them (accents, joiners) belong to the letter before.
    """

    different: int
    bytes: int
    rare: CharacterGroup
    groups: dict[str, CharacterGroup]
    scripts: dict[str, int]
    mixed_scripts: int


def count_characters(ids: Ids, alphabet: Alphabet) -> CharacterStatistics:
    """Count the characters of a text, shape (N,), by kind."""
    occurring = count_ids(ids, len(alphabet))
    counts = +Counter(dict(zip(alphabet.characters, occurring.tolist(), strict=True)))
    is_text = alphabet.kind == "text"
    return CharacterStatistics(
        different=len(counts),
        bytes=int(occurring @ alphabet.byte_lengths),
        rare=_collect(counts, lambda character: counts[character] < RARE),
        groups=_find_groups(counts) if is_text else {},
        scripts=_count_scripts(counts) if is_text else {},
        mixed_scripts=_count_mixed(ids, alphabet) if is_text else 0,
    )


def _find_groups(counts: Counter[str]) -> dict[str, CharacterGroup]:
    sorts: dict[str, Callable[[str], bool]] = {
        **{name: members.__contains__ for name, members in _SETS.items()},
        **{name: partial(_has_category, categories) for name, categories in _CATEGORIES.items()},
    }
    groups = {name: _collect(counts, belongs) for name, belongs in sorts.items()}
    return {name: group for name, group in groups.items() if group.count}


def _has_category(categories: tuple[str, ...], character: str) -> bool:
    return unicodedata.category(character) in categories and character not in _USUAL


def _count_scripts(counts: Counter[str]) -> dict[str, int]:
    """Count the letters (general category L) of each script."""
    scripts: Counter[str] = Counter()
    for character, count in counts.items():
        if character.isalpha():
            scripts[find_script(character)] += count
    return dict(scripts.most_common())


def find_script(character: str) -> str:
    """Name the script of a character: Unicode's Script property (UAX #24), by its long name.

    "Common" is what several scripts share, "Inherited" a mark that takes the script of the
    character before it, "Unknown" a code point that is unassigned, private or a surrogate.

    >>> [find_script(character) for character in "a\uff21\u4e2d!\u0301\ue000"]
    ['Latin', 'Latin', 'Han', 'Common', 'Inherited', 'Unknown']
    """
    name: str = unicode_scripts.script_name(unicode_scripts.script(character))
    return name


def _collect(counts: Counter[str], belongs: Callable[[str], bool]) -> CharacterGroup:
    members = [(c, count) for c, count in counts.most_common() if belongs(c)]
    return CharacterGroup("".join(c for c, _ in members), sum(count for _, count in members))


def _count_mixed(ids: Ids, alphabet: Alphabet) -> int:
    """Count the neighbours of two scripts that look alike."""
    number = {script: 1 + place for place, script in enumerate(_ALIKE)}
    number[_INHERITED] = _SCRIPT_BEFORE
    scripts = [find_script(character) for character in alphabet.characters]
    number_of = np.array([number.get(script, _ANY_SCRIPT) for script in scripts], np.int8)
    pairs, last = 0, np.zeros(1, np.int8)
    for begin in range(0, len(ids), _IDS_AT_ONCE):
        numbers = number_of[ids[begin : begin + _IDS_AT_ONCE]]
        numbers = np.concatenate((last, numbers[numbers != _SCRIPT_BEFORE]))
        left, right = numbers[:-1], numbers[1:]
        pairs += int(((left != right) & (left > 0) & (right > 0)).sum())
        last = numbers[-1:]
    return pairs


@dataclass(frozen=True)
class Lengths:
    """The lengths of some parts of a text, in characters.

    Attributes:
        count: the number of parts.
        median: the median length; 0 of no parts.
        longest: the greatest length; 0 of no parts.
    """

    count: int
    median: float
    longest: int

    @classmethod
    def of(cls, lengths: list[int]) -> Lengths:
        """Summarize some lengths."""
        if not lengths:
            return cls(0, 0.0, 0)
        return cls(len(lengths), float(np.median(lengths)), max(lengths))


@dataclass(frozen=True)
class Layout:
    """The lines and paragraphs of a text.

    Attributes:
        lines: the lines that are not blank, without their newlines.
        blank_lines: the number of lines that hold nothing but white space.
        paragraphs: runs of lines between blank lines.
        repeated_lines: the number of lines, not blank, that equal an earlier one.
    """

    lines: Lengths
    blank_lines: int
    paragraphs: Lengths
    repeated_lines: int

    @property
    def repeated_share(self) -> float:
        """The share of lines that equal an earlier one; blank lines do not count."""
        return self.repeated_lines / max(self.lines.count, 1)


def measure_layout(ids: Ids, alphabet: Alphabet) -> Layout:
    """Measure the lines and paragraphs of a text, shape (N,)."""
    lines: list[int] = []
    paragraphs: list[int] = []
    different: set[int] = set()
    blank = 0
    inside = False
    for line in _split_lines(ids, alphabet):
        if not line.strip():
            blank += 1
            inside = False
            continue
        lines.append(len(line))
        # Hashes of 64 bits for the lines themselves: a text of many lines needs no more memory.
        different.add(hash(line))
        if inside:
            paragraphs[-1] += 1 + len(line)
        else:
            paragraphs.append(len(line))
        inside = True
    return Layout(Lengths.of(lines), blank, Lengths.of(paragraphs), len(lines) - len(different))


def _split_lines(ids: Ids, alphabet: Alphabet) -> Iterator[str]:
    unfinished: list[str] = []
    for begin in range(0, len(ids), _IDS_AT_ONCE):
        first, *others = alphabet.decode(ids[begin : begin + _IDS_AT_ONCE]).split("\n")
        unfinished.append(first)
        for line in others:
            yield "".join(unfinished)
            unfinished = [line]
    if rest := "".join(unfinished):
        yield rest


def measure_copied_share(learnt: Ids, text: Ids) -> float:
    """Measure the share of a text's spans of :data:`SPAN` characters that stand in another text.

    Where much of the held-out text stands in the training text, a model can score it from memory.

    Args:
        learnt: the text to search, shape (N,).
        text: the text with the spans, shape (M,).
    """
    if len(text) < SPAN or len(learnt) < SPAN:
        return 0.0
    known, asked = np.sort(_hash_spans(learnt)), np.sort(_hash_spans(text))
    nearest = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return float((known[nearest] == asked).mean())


def _hash_spans(ids: Ids) -> NDArray[np.uint64]:
    """Hash each span to 64 bits, its hash made of those of its halves."""
    numbers = (ids.astype(np.uint64) + np.uint64(1)) * _MIXER
    width = 1
    while width < SPAN:
        ends = numbers[width:]
        numbers = numbers[:-width] * _MIXER
        numbers += ends
        numbers ^= numbers >> _FOLD
        width *= 2
    return numbers
