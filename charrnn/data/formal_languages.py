"""Formal languages: texts whose rule is known, so that what a model learnt of it can be counted.

A text is a plain stream of sequences, each of some size n. Part of a sequence is free: how often a
comes, which digits are added. What follows from the free part is *predictable*: a model that has
found the rule is certain of it. Where no character ends a sequence, the next one's first is
predictable too, since its coming says that the count has run out:

    aaabbb|a      the b's after the first, and the next a

Source: Joulin & Mikolov 2015, "Inferring Algorithmic Patterns with Stack-Augmented Recurrent Nets"
(arXiv 1503.01007). As there, models learn sizes below 20 and are tried on larger ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from charrnn.display import did_you_mean
from charrnn.errors import UsageError

LEARNT_SIZE = 19
"""The largest size in a text to learn from: n < 20, as in the paper."""

_LETTERS = "abc"


@dataclass(frozen=True)
class Language:
    """A rule that sequences of every size keep.

    Attributes:
        name: what the user calls it.
        description: its sequences, and what n counts if the formula does not show it.
        characters: all that it is written with.
        least_size: the smallest n.
        draw: makes a sequence of a size.
        marker: what follows its first occurrence in a sequence is predictable.
        ends_itself: whether a sequence's last character shows that it is over. If not, the next
            sequence's first does, which is the same for all of them.
    """

    name: str
    description: str
    characters: str
    least_size: int
    draw: Callable[[int, Random], str]
    marker: str
    ends_itself: bool

    def sequence(self, size: int, rng: Random) -> str:
        """A sequence of a size, drawn from those there are.

        Raises:
            ValueError: a size that is too small for the language.
        """
        if size < self.least_size:
            raise ValueError(f"{self.name} begins with size {self.least_size}, not {size}")
        return self.draw(size, rng)

    def predictable(self, sequence: str) -> range:
        """Where a sequence's predictable characters stand, counted from 0.

        Position ``len(sequence)`` is that of the next sequence's first character.

        >>> list(LANGUAGES["anbn"].predictable("aaabbb"))
        [4, 5, 6]
        """
        first = sequence.index(self.marker) + 1
        return range(first, len(sequence) + (0 if self.ends_itself else 1))


def generate(
    language: Language, characters: int, *, most_size: int = LEARNT_SIZE, seed: int = 0
) -> str:
    """A text of whole sequences, as many as reach ``characters``.

    Sizes are drawn uniformly, from the language's least to ``most_size``. A seed gives the same
    text everywhere: all draws come from Random.random(), the one method that Python promises to
    keep.

    Raises:
        ValueError: the language has no sequence as small as ``most_size``.
    """
    if most_size < language.least_size:
        raise ValueError(f"{language.name} begins with size {language.least_size}")
    rng = Random(seed)  # noqa: S311 - nothing here is a secret
    sizes = most_size - language.least_size + 1
    sequences: list[str] = []
    length = 0
    while length < characters:
        size = language.least_size + _below(sizes, rng)
        sequences.append(language.sequence(size, rng))
        length += len(sequences[-1])
    return "".join(sequences)


def find_language(name: str) -> Language:
    """The language of a name.

    Raises:
        UsageError: there is none; names the nearest.
    """
    if name in LANGUAGES:
        return LANGUAGES[name]
    raise UsageError(
        f"{name!r:.60} is no formal language known here{did_you_mean(name, LANGUAGES) or '.'}\n"
        f"Formal languages: {', '.join(LANGUAGES)}."
    )


def _below(count: int, rng: Random) -> int:
    """One of 0 to count - 1."""
    return int(rng.random() * count)


def _draw_sum_of_counts(size: int, rng: Random) -> str:
    first = 1 + _below(size - 1, rng)
    return "a" * first + "b" * (size - first) + "c" * size


def _draw_word_and_mirror(size: int, rng: Random) -> str:
    word = "".join(_LETTERS[_below(len(_LETTERS), rng)] for _ in range(size))
    return f"{word}#{word[::-1]}\n"


def _draw_addition(size: int, rng: Random) -> str:
    digits = 1 + _below(size - 1, rng)
    first, second = _draw_number(digits, rng), _draw_number(size - digits, rng)
    total = f"{int(first, 2) + int(second, 2):b}"
    return f"{first}+{second}={total[::-1]}."


def _draw_number(digits: int, rng: Random) -> str:
    """A binary number, its highest digit first and 1, unless it is the only one."""
    drawn = [_below(2, rng) for _ in range(digits)]
    if digits > 1:
        drawn[0] = 1
    return "".join(map(str, drawn))


def _counting(name: str, description: str, block: str) -> Language:
    """A language whose sequence of size n has n of each letter of a block, in order."""
    return Language(
        name,
        description,
        characters="".join(sorted(set(block))),
        least_size=1,
        draw=lambda size, _: "".join(letter * size for letter in block),
        marker="b",
        ends_itself=False,
    )


LANGUAGES = {
    language.name: language
    for language in (
        _counting("anbn", "a^n b^n", "ab"),
        _counting("anbncn", "a^n b^n c^n", "abc"),
        _counting("anbncndn", "a^n b^n c^n d^n", "abcd"),
        _counting("anb2n", "a^n b^2n", "abb"),
        Language(
            "anbmcnm",
            "a^k b^m c^n, where n = k + m",
            characters="abc",
            least_size=2,
            draw=_draw_sum_of_counts,
            marker="c",
            ends_itself=False,
        ),
        Language(
            "memory",
            "w#w backwards, where w has n letters",
            characters=f"{_LETTERS}#\n",
            least_size=1,
            draw=_draw_word_and_mirror,
            marker="#",
            ends_itself=True,
        ),
        Language(
            "addition",
            "1011+10=1011., binary, the sum's lowest digit first, where n digits are added",
            characters="01+=.",
            least_size=2,
            draw=_draw_addition,
            marker="=",
            ends_itself=True,
        ),
    )
}
"""The languages by name."""
