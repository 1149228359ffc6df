"""Units of every layer that follow something, to be shown along a text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.alphabet import Alphabet, Ids
from charrnn.features import LEAST_CHARACTERS, compute_features, find_followers
from charrnn.model import CharModel
from charrnn.neurons import activations, most_characters, names_of

SHOWN_CHARACTERS = 500


@dataclass(frozen=True)
class Neuron:
    """A unit of a layer, and how active it is along a text.

    Attributes:
        layer: counted from 1, the lowest.
        unit: its name, such as c17.
        follows: what its activation goes with.
        correlation: how closely, in text that had no part in the choice of the unit.
        symbols: the part of the text in which what it follows changes most.
        activations: of the unit after each of them, in parts of its largest.
    """

    layer: int
    unit: str
    follows: str
    correlation: float
    symbols: str
    activations: tuple[float, ...]


def find_neurons(
    model: CharModel, ids: Ids, alphabet: Alphabet, end: int | None = None
) -> list[Neuron]:
    """For each thing that can be followed, the unit of any layer that does so most closely.

    Args:
        model: on the CPU, ready to predict.
        ids: the text; see LEAST_CHARACTERS.
        alphabet: the model's.
        end: the id that ends a record, each of which is read afresh; None if the text is one.
    """
    if len(ids) < LEAST_CHARACTERS:
        return []
    best: dict[str, Neuron] = {}
    for layer, _ in enumerate(model.layers(), 1):
        for neuron in _of_layer(model, ids[: most_characters(model, layer)], alphabet, layer, end):
            rival = best.get(neuron.follows)
            if rival is None or abs(neuron.correlation) > abs(rival.correlation):
                best[neuron.follows] = neuron
    return sorted(best.values(), key=lambda neuron: -abs(neuron.correlation))


def _of_layer(
    model: CharModel, ids: Ids, alphabet: Alphabet, layer: int, end: int | None
) -> list[Neuron]:
    """For each thing that can be followed, the unit of a layer that does, if one does."""
    symbols, names = alphabet.decode(ids), names_of(model, layer)
    features = compute_features(symbols)
    active = activations(model, ids, layer, end)
    neurons = []
    for follower in find_followers(active, features, count=1):
        begin = _liveliest(features[follower.feature])
        shown = slice(begin, begin + SHOWN_CHARACTERS)
        outputs = active[shown, follower.unit]
        largest = float(np.abs(outputs).max()) or 1.0
        neurons.append(
            Neuron(
                layer=layer,
                unit=names[follower.unit],
                follows=follower.feature,
                correlation=follower.correlation,
                symbols=symbols[shown],
                activations=tuple((outputs / largest).tolist()),
            )
        )
    return neurons


def _liveliest(values: NDArray[np.float64]) -> int:
    """Where, in steps of half of what is shown, the values vary most."""
    last = max(len(values) - SHOWN_CHARACTERS, 0)
    begins: list[int] = [*range(0, last, SHOWN_CHARACTERS // 2), last]
    spreads = [float(values[begin : begin + SHOWN_CHARACTERS].std()) for begin in begins]
    return begins[spreads.index(max(spreads))]
