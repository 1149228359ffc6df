"""How active the units of a layer are at each character of a text.

Units of h are shown as they are, units of c, where there is one, through the tanh that the cell
itself looks at them through. Source of the view: Karpathy, Johnson & Fei-Fei 2015, "Visualizing and
understanding recurrent networks", section 4.2.

Records that a network reads side by side, each with a fresh state, a character at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from charrnn.data.alphabet import Ids
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.inference.torch_backend import take
from charrnn.models.cells.base import State
from charrnn.models.char_model import CharModel

PARTS = ("h", "c")
"""Parts of a state whose units are looked at."""

MOST_CHARACTERS = 20_000
"""Of a text, from its beginning, that are looked at; fewer where the layer is so wide that its
activations would pass MOST_NUMBERS."""

MOST_NUMBERS = 1 << 24

ALIGNMENT = 64
"""Streams begin at multiples of it, so that a pyramid's slow layers keep step with a single
stream's, up to the rate of one in 64."""

CONTEXT = 256
"""Characters that each stream but the first reads before its own, so that many run side by side;
a multiple of ALIGNMENT, as is the length of a stream."""

_MOST_STREAMS = 16
_LEAST_CHARACTERS = 4 * CONTEXT


def names_of(model: CharModel, layer: int) -> list[str]:
    """The names of a layer's units in the order of :func:`compute_activations`: h1 ... c1 ...

    Args:
        model: any.
        layer: counted from 1, the lowest.
    """
    cell = model.layers()[layer - 1]
    return [f"{part}{unit}" for part in _parts(model, layer) for unit in range(1, cell.hidden + 1)]


def compute_activations(model: CharModel, text: EncodedText, layer: int) -> NDArray[np.float32]:
    """Compute the activation of every unit of a layer after each character.

    A continuous text of some thousand characters is read by several streams side by side, each
    after the CONTEXT characters that stand before its own.

    Args:
        model: on the CPU, ready to predict.
        text: see :func:`most_characters`.
        layer: counted from 1, the lowest.

    Returns:
        (N, U), U the length of :func:`names_of`.
    """
    match text:
        case ContinuousText(ids):
            return _compute_carried(model, ids, layer)
        case RecordText():
            active = np.empty((len(text), len(names_of(model, layer))), np.float32)
            for places, states in read_records(model, text):
                active[places] = _active(states[layer - 1], len(_parts(model, layer))).numpy()
            return active


def _compute_carried(model: CharModel, ids: Ids, layer: int) -> NDArray[np.float32]:
    streams = max(1, min(_MOST_STREAMS, len(ids) // _LEAST_CHARACTERS))
    length = -(-len(ids) // (streams * ALIGNMENT)) * ALIGNMENT
    starts = np.arange(streams) * length
    # What lies before or beyond the text is read as its first or last character and dropped.
    steps = np.arange(-CONTEXT if streams > 1 else 0, length)[:, None] + starts
    first = model.initial_states(1)
    states = model.initial_states(streams)
    kept = []
    with torch.inference_mode():
        for step, window in zip(steps, take(ids, steps.clip(0, len(ids) - 1)), strict=True):
            _, states = model(window[None], states)
            if step[0] < 0:
                states = _begin_afresh(states, first)
            else:
                kept.append(_active(states[layer - 1], len(_parts(model, layer))))
    seen: NDArray[np.float32] = torch.stack(kept, 1).flatten(0, 1)[: len(ids)].numpy()
    return seen


def most_characters(model: CharModel, layer: int) -> int:
    """How many characters of a text are looked at, at most."""
    return min(MOST_CHARACTERS, MOST_NUMBERS // len(names_of(model, layer)))


def _parts(model: CharModel, layer: int) -> list[str]:
    """The parts of a layer's state that are looked at, which are the first ones."""
    return [part for part in model.layers()[layer - 1].parts if part in PARTS]


def _begin_afresh(states: tuple[State, ...], first: tuple[State, ...]) -> tuple[State, ...]:
    """The states with the first stream's as before any text, which nothing stands before."""
    return tuple(
        tuple(torch.cat((new, part[1:])) for new, part in zip(fresh, state, strict=True))
        for fresh, state in zip(first, states, strict=True)
    )


def _active(state: State, parts: int) -> torch.Tensor:
    """(B, U) from the parts of a state (B, H)."""
    return torch.cat((state[0], *(part.tanh() for part in state[1:parts])), dim=-1)


_MOST_ROWS = 256


def read_records(
    model: CharModel, text: RecordText
) -> Iterator[tuple[NDArray[np.int64], tuple[State, ...]]]:
    """Let a model read every character of a text of records, the longest records first.

    Args:
        model: on any device.
        text: the records; the last one may be cut short.

    Yields:
        For some rows at a time: the positions of the characters that were just read, shape (R,),
        and every layer's state after them.
    """
    begins = text.starts()
    lengths = np.diff(np.append(begins, len(text)))
    order = np.argsort(-lengths, kind="stable")
    device = model.head.weight.device
    for first in range(0, len(order), _MOST_ROWS):
        rows = order[first : first + _MOST_ROWS]
        states = model.initial_states(len(rows))
        for step in range(int(lengths[rows[0]])):
            left = int((lengths[rows] > step).sum())
            states = tuple(tuple(part[:left] for part in state) for state in states)
            places = begins[rows[:left]] + step
            with torch.inference_mode():
                _, states = model(take(text.ids, places)[None].to(device), states)
            yield places, states
