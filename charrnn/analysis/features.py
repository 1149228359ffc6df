"""Features of a text, and the units of a network that follow them.

A feature is a number for each character, computed from the text up to that character. A unit
follows a feature if their correlation is high in magnitude. Among hundreds of units some correlate
with anything by chance, so units are chosen by their correlation in the first half of the text, and
the correlation reported is that in the second half, which had no part in the choice. It must have
the same sign, reach LEAST, and exceed the correlations of the same unit with the feature rotated by
SHIFTS distances. A rotated feature keeps its rhythm and loses its position, so two slow curves that
agree by chance do not pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import RECORD_END
from charrnn.kernels.network import Doubles

LEAST = 0.3
"""The lowest correlation in the second half that counts."""

SHIFTS = 50
"""Distances by which a feature is rotated, evenly spread over the second half."""

LEAST_CHARACTERS = 1000
"""The shortest text in which a feature that is followed can be told from chance."""

_OPENING, _CLOSING = "([{<\u300c\u3010\uff08", ")]}>\u300d\u3011\uff09"
_PARAGRAPH = "\n\n"


class Follower(NamedTuple):
    """A unit that follows a feature.

    Attributes:
        unit: the number of the unit, from 0.
        feature: the name of the feature.
        chosen_by: their correlation in the first half, by which the unit was chosen.
        correlation: their correlation in the second half.
    """

    unit: int
    feature: str
    chosen_by: float
    correlation: float


def find_followers(
    activations: NDArray[np.floating], features: Mapping[str, Doubles], count: int
) -> list[Follower]:
    """Find the units that follow each feature, in descending order of their correlation.

    Args:
        activations: of U units after each of N characters, shape (N, U).
        features: by name, each of shape (N,).
        count: units to try for each feature, those with the highest correlation in the first half.
    """
    half = len(activations) // 2
    first, second = _standardize(activations[:half]), _standardize(activations[half:])
    found = []
    for name, values in features.items():
        before, after = _standardize(values[:half, None]), _standardize(values[half:, None])
        chosen_by = (before.T @ first)[0] / half
        for unit in np.argsort(-abs(chosen_by), kind="stable")[:count]:
            curve = second[:, unit]
            correlation = float(after[:, 0] @ curve) / len(curve)
            agreed = correlation * chosen_by[unit] > 0 and abs(correlation) >= LEAST
            if agreed and abs(correlation) > _correlate_rotated(curve, after[:, 0]):
                found.append(Follower(int(unit), name, float(chosen_by[unit]), correlation))
    return sorted(found, key=lambda follower: -abs(follower.correlation))


def compute_features(text: str) -> dict[str, Doubles]:
    """Compute the features of a text by name, each of shape (N,).

    Each record counts as a text of its own, and the RECORD_END before it as a newline.
    """
    first, *records = text.split(RECORD_END)
    parts = [first, *("\n" + record for record in records)]
    return {
        name: np.fromiter(chain.from_iterable(map(feature, parts)), np.float64, len(text))
        for name, feature in _FEATURES.items()
    }


def _standardize(values: NDArray[np.floating]) -> Doubles:
    """Scale columns to mean 0 and standard deviation 1; constant columns become 0."""
    centered = values - values.mean(0, dtype=np.float64)
    deviation = centered.std(0)
    still = deviation <= 1e-9 * np.maximum(abs(values).max(0, initial=0.0), 1e-300)
    result: Doubles = np.where(still, 0.0, centered / np.where(still, 1.0, deviation))
    return result


def _correlate_rotated(curve: Doubles, feature: Doubles) -> float:
    """Find the highest correlation of a unit with the rotated feature, both standardized (N,)."""
    distances = np.linspace(0, len(curve), SHIFTS + 2)[1:-1].astype(int)
    rotated = [abs(float(np.roll(feature, distance) @ curve)) for distance in distances]
    return max(rotated) / len(curve)


def _position_in_line(text: str) -> Iterator[int]:
    position = 0
    for character in text:
        position = 0 if character == "\n" else position + 1
        yield position


def _after_newline(text: str) -> Iterator[bool]:
    return (character == "\n" for character in text)


def _indentation(text: str) -> Iterator[int]:
    """Count the blanks at the beginning of the line, as far as it has been read."""
    width, beginning = 0, True
    for character in text:
        if character == "\n":
            width, beginning = 0, True
        elif beginning and character in " \t":
            width += 1
        else:
            beginning = False
        yield width


def _position_in_word(text: str) -> Iterator[int]:
    position = 0
    for character in text:
        position = position + 1 if character.isalnum() else 0
        yield position


def _inside_word(text: str) -> Iterator[bool]:
    return (character.isalnum() for character in text)


def _capital(text: str) -> Iterator[bool]:
    return (character.isupper() for character in text)


def _inside_quotes(text: str) -> Iterator[bool]:
    """Tell if a quotation is open; one that is never closed ends with its paragraph."""
    inside = False
    for before, character in _pairs(text):
        if character == '"':
            inside = not inside
        elif character in "\u201c\u00ab":
            inside = True
        elif character in "\u201d\u00bb" or before + character == _PARAGRAPH:
            inside = False
        yield inside


def _inside_brackets(text: str) -> Iterator[bool]:
    """Tell if a bracket is open; one that is never closed ends with its paragraph."""
    depth = 0
    for before, character in _pairs(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth = max(depth - 1, 0)
        elif before + character == _PARAGRAPH:
            depth = 0
        yield depth > 0


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Pair each character with the one before it, the first with a blank."""
    return zip(" " + text, text, strict=False)


_FEATURES: dict[str, Callable[[str], Iterator[float]]] = {
    "position in line": _position_in_line,
    "after a newline": _after_newline,
    "indentation": _indentation,
    "position in word": _position_in_word,
    "inside a word": _inside_word,
    "capital": _capital,
    "inside quotes": _inside_quotes,
    "inside brackets": _inside_brackets,
}
