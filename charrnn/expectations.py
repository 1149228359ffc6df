"""What a model expected where a text surprised it most."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.alphabet import Ids
from charrnn.reading import Doubles, Reader, Reading, cost_afresh

_CHARACTERS_AT_ONCE = 1 << 14


class Expectation(NamedTuple):
    """What was expected at a place of a text.

    Attributes:
        position: of the character that came, counted from 0.
        likeliest: ids with their probabilities, the likeliest first.
    """

    position: int
    likeliest: tuple[tuple[int, float], ...]


def measure(reader: Reader, ids: Ids, end: int | None = None) -> Doubles:
    """The nats (N,) of every character of a text (N,), the state carried; the first has log(V).

    With the id that ends a record, each is read afresh, and the end before them all has none.
    """
    if end is not None:
        begins = np.flatnonzero(ids[:-1] == end)
        costs = cost_afresh(reader, ids[1:], np.append(begins, len(ids) - 1), end)
        return np.concatenate((np.zeros(1), costs))
    reading = Reading(reader)
    blocks = range(0, len(ids), _CHARACTERS_AT_ONCE)
    return np.concatenate(
        [np.empty(0), *(reading.cost(ids[begin : begin + _CHARACTERS_AT_ONCE]) for begin in blocks)]
    )


def find_worst(nats: Doubles, count: int) -> NDArray[np.int64]:
    """Where the costs are highest, the worst first; the first character, of no choice, left out."""
    return np.argsort(-nats[1:], kind="stable")[:count] + 1


def expect(
    reader: Reader, ids: Ids, positions: NDArray[np.int64], count: int, end: int | None = None
) -> list[Expectation]:
    """The likeliest characters at some positions of a text, in the order of the positions given.

    Args:
        reader: the network.
        ids: the text, shape (N,).
        positions: from 1 to N - 1.
        count: characters to name for each.
        end: the id that ends a record, each of which is read afresh; None if the text is one.
    """
    marks = np.flatnonzero(ids == end)
    found = {}
    states, at = reader.fresh(1), 0
    for position in sorted(map(int, positions)):
        before = marks[: np.searchsorted(marks, position)]
        if len(before) and before[-1] >= at:
            states, at = reader.fresh(1), int(before[-1])
        for begin in range(at, position - 1, _CHARACTERS_AT_ONCE):
            block = slice(begin, min(begin + _CHARACTERS_AT_ONCE, position - 1))
            _, states = reader.score(ids[block, None], ids[block, None], states)
        logits, states = reader.predict(ids[position - 1 : position, None], states)
        found[position] = Expectation(position, _likeliest(logits[0, 0].astype(np.float64), count))
        at = position
    return [found[int(position)] for position in positions]


def _likeliest(logits: Doubles, count: int) -> tuple[tuple[int, float], ...]:
    weights = np.exp(logits - logits.max())
    probabilities = weights / weights.sum()
    order = np.argsort(-probabilities, kind="stable")[:count]
    return tuple((int(character), float(probabilities[character])) for character in order)
