"""Units that follow something that people can name: the line, a word, quotation marks, brackets.

For each of these, the unit whose activation goes with it most closely (in correlation) over a
passage. Source of the view: Karpathy, Johnson & Fei-Fei 2015, "Visualizing and understanding
recurrent networks", section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.alphabet import Alphabet, Ids
from charrnn.cells.contract import State
from charrnn.evaluate import take
from charrnn.model import CharModel

SHOWN_CHARACTERS = 500

LEAST_CORRELATION = 0.2
"""What is followed less closely is not worth looking at."""

_WINDOW = 1024

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Neuron:
    """A unit of a layer, and how active it is along a text.

    Attributes:
        follows: what its activation goes with.
        correlation: how closely, from -1 to 1.
        layer: counted from 1, the lowest.
        unit: counted from 1.
        symbols: the part of the passage in which what it follows changes most.
        activations: of the unit after each of them, in parts of its largest.
    """

    follows: str
    correlation: float
    layer: int
    unit: int
    symbols: str
    activations: tuple[float, ...]


def find_neurons(model: CharModel, ids: Ids, alphabet: Alphabet) -> list[Neuron]:
    """For each thing that can be followed, the unit that does best; left out where none does well.

    Args:
        model: on the CPU, ready to predict.
        ids: some thousand characters.
        alphabet: the model's.
    """
    symbols = alphabet.decode(ids)
    active = activations(model, ids)
    found = [
        _best(name, np.fromiter(follow(symbols), np.float64), symbols, active)
        for name, follow in _FOLLOWED.items()
    ]
    return [neuron for neuron in found if abs(neuron.correlation) >= LEAST_CORRELATION]


def activations(model: CharModel, ids: Ids) -> list[NDArray[np.float32]]:
    """For each layer, the outputs (N, H) of its units after each character (N,)."""
    seen: list[list[Tensor]] = [[] for _ in model.layers()]

    def watch(outputs: list[Tensor]) -> Any:
        def hook(_cell: Any, _inputs: Any, output: tuple[Tensor, State]) -> None:
            outputs.append(output[0][:, 0])

        return hook

    watches = [
        cell.register_forward_hook(watch(outputs))
        for cell, outputs in zip(model.layers(), seen, strict=True)
    ]
    states = model.initial_states(1)
    try:
        with torch.inference_mode():
            for begin in range(0, len(ids), _WINDOW):
                places = np.arange(begin, min(begin + _WINDOW, len(ids)))[:, None]
                _, states = model(take(ids, places), states)
    finally:
        for handle in watches:
            handle.remove()
    return [torch.cat(outputs).numpy() for outputs in seen]


def _best(follows: str, values: Values, symbols: str, active: list[NDArray[np.float32]]) -> Neuron:
    """The unit of any layer that goes with some values (N,) most closely."""
    found = [_correlate(outputs, values) for outputs in active]
    layer = max(range(len(found)), key=lambda layer: float(np.abs(found[layer]).max()))
    unit = int(np.abs(found[layer]).argmax())
    begin = _liveliest(values)
    shown = slice(begin, begin + SHOWN_CHARACTERS)
    outputs = active[layer][shown, unit]
    largest = float(np.abs(outputs).max()) or 1.0
    return Neuron(
        follows,
        float(found[layer][unit]),
        layer + 1,
        unit + 1,
        symbols[shown],
        tuple((outputs / largest).tolist()),
    )


def _correlate(outputs: NDArray[np.float32], values: Values) -> Values:
    """The correlation of each unit (N, U) with some values (N,); 0 where either never moves."""
    units = outputs.astype(np.float64) - outputs.mean(0)
    wanted = values - values.mean()
    norms = np.linalg.norm(units, axis=0) * np.linalg.norm(wanted)
    correlations: Values = wanted @ units / np.where(norms > 0, norms, np.inf)
    return correlations


def _liveliest(values: Values) -> int:
    """Where, in steps of half of what is shown, the values vary most."""
    last = max(len(values) - SHOWN_CHARACTERS, 0)
    begins: list[int] = [*range(0, last, SHOWN_CHARACTERS // 2), last]
    spreads = [float(values[begin : begin + SHOWN_CHARACTERS].std()) for begin in begins]
    return max(zip(spreads, begins, strict=True))[1]


def _position_in_line(symbols: str) -> Iterator[int]:
    position = 0
    for symbol in symbols:
        position = 0 if symbol == "\n" else position + 1
        yield position


def _position_in_word(symbols: str) -> Iterator[int]:
    position = 0
    for symbol in symbols:
        position = position + 1 if symbol.isalnum() else 0
        yield position


def _within_quotes(symbols: str) -> Iterator[bool]:
    """A paragraph ends what no mark has closed."""
    within, before = False, ""
    for symbol in symbols:
        if symbol in '"\u201c\u201d':
            within = symbol == "\u201c" or (symbol == '"' and not within)
        elif before == symbol == "\n":
            within = False
        before = symbol
        yield within


def _within_brackets(symbols: str) -> Iterator[int]:
    depth = 0
    for symbol in symbols:
        depth = max(depth + (symbol in "([{") - (symbol in ")]}"), 0)
        yield depth


_FOLLOWED: dict[str, Callable[[str], Iterator[Any]]] = {
    "the position in the line": _position_in_line,
    "the position in the word": _position_in_word,
    "being within quotation marks": _within_quotes,
    "the depth of brackets": _within_brackets,
}
