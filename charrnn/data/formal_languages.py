"""Formal languages: generated texts with a known rule, which show whether a model has learned it.

A text is a stream of sequences, each of some size n. Part of a sequence is free, such as the number
of a's or the digits to add. The rest is *predictable* from it: a model that has learned the rule
assigns it a probability near 1. In a language without an end character the first character of the
next sequence is predictable too, since it shows that the counted letters are complete:

    aaabbb|a      the b's after the first, and the next a

Source: Joulin & Mikolov 2015, "Inferring Algorithmic Patterns with Stack-Augmented Recurrent Nets"
(arXiv 1503.01007). As there, models are trained on sizes below 20 and tested on larger ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from charrnn.display import did_you_mean
from charrnn.errors import UsageError

LARGEST_TRAINING_SIZE = 19
"""The largest size in a training text: n < 20, as in the paper."""

_LETTERS = "abc"


@dataclass(frozen=True)
class Language:
    """A formal language, with a sequence of every size n.

    Attributes:
        name: its name.
        description: the formula of its sequences, and the meaning of n if that is not obvious.
        characters: its alphabet.
        least_size: the smallest n.
        draw: draws a random sequence of a size.
        marker: all characters after its first occurrence in a sequence are predictable.
        ends_itself: True if a sequence's last character shows its end. Otherwise the first
            character of the next sequence does, which is the same in all sequences.
    """

    name: str
    description: str
    characters: str
    least_size: int
    draw: Callable[[int, Random], str]
    marker: str
    ends_itself: bool

    def draw_sequence(self, size: int, rng: Random) -> str:
        """Draw a random sequence of a size.

        Raises:
            ValueError: the size is too small for the language.
        """
        if size < self.least_size:
            raise ValueError(f"{self.name} begins with size {self.least_size}, not {size}")
        return self.draw(size, rng)

    def find_predictable(self, sequence: str) -> range:
        """Find the positions of the predictable characters in a sequence, counted from 0.

        Position ``len(sequence)`` is that of the next sequence's first character.

        >>> list(LANGUAGES["anbn"].find_predictable("aaabbb"))
        [4, 5, 6]
        """
        first = sequence.index(self.marker) + 1
        return range(first, len(sequence) + (0 if self.ends_itself else 1))


def generate_text(
    language: Language, characters: int, *, most_size: int = LARGEST_TRAINING_SIZE, seed: int = 0
) -> str:
    """Generate complete sequences until the text has at least ``characters``.

    Sizes are drawn uniformly, from the language's least to ``most_size``. A seed gives the same
    text on every machine: all draws come from Random.random(), the only method whose sequence
    Python guarantees.

    Raises:
        ValueError: the language has no sequence as small as ``most_size``.
    """
    if most_size < language.least_size:
        raise ValueError(f"{language.name} begins with size {language.least_size}")
    rng = Random(seed)  # noqa: S311 - not used for security
    sizes = most_size - language.least_size + 1
    sequences: list[str] = []
    length = 0
    while length < characters:
        size = language.least_size + _below(sizes, rng)
        sequences.append(language.draw_sequence(size, rng))
        length += len(sequences[-1])
    return "".join(sequences)


def find_language(name: str) -> Language:
    """Find a language by name.

    Raises:
        UsageError: there is none; suggests the nearest name.
    """
    if name in LANGUAGES:
        return LANGUAGES[name]
    raise UsageError(
        f"{name!r:.60} is not the name of a formal language"
        f"{did_you_mean(name, LANGUAGES) or '.'}\n"
        f"Formal languages: {', '.join(LANGUAGES)}."
    )


def _below(count: int, rng: Random) -> int:
    """Draw one of 0 to count - 1."""
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
    """Draw a binary number, highest digit first, without leading zeros."""
    drawn = [_below(2, rng) for _ in range(digits)]
    if digits > 1:
        drawn[0] = 1
    return "".join(map(str, drawn))


def _counting(name: str, description: str, block: str) -> Language:
    """Build a language whose sequences repeat each letter of a block n times, in order."""
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
