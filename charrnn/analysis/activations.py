"""Activations of the units of a layer after each character of a text.

The activation of a unit of h is its value, that of a unit of c its tanh, through which the cell
itself reads it. Source: Karpathy, Johnson & Fei-Fei 2015, "Visualizing and understanding recurrent
networks", section 4.2.
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
"""Parts of a state that have activations."""

MOST_CHARACTERS = 20_000
"""Characters of a text, from its beginning, that a view of activations reads; see
:func:`limit_characters`."""

MOST_NUMBERS = 1 << 24
"""Activations of all units of a layer after all characters that a view reads."""

ALIGNMENT = 64
"""Streams begin at its multiples, so that a pyramid's slow layers, down to one step in 64
characters, keep step with those of a single stream."""

CONTEXT = 256
"""Characters that each stream but the first reads before its own, so that many run side by side;
a multiple of ALIGNMENT, as is the length of a stream."""

_MOST_STREAMS = 16
_LEAST_CHARACTERS = 4 * CONTEXT
_MOST_ROWS = 256


def name_units(model: CharModel, layer: int) -> list[str]:
    """Name the units of a layer in the order of :func:`compute_activations`: h1 ... c1 ...

    Args:
        model: any.
        layer: counted from 1, the lowest.
    """
    hidden = model.layers()[layer - 1].hidden
    return [f"{part}{unit}" for part in _list_parts(model, layer) for unit in range(1, hidden + 1)]


def limit_characters(model: CharModel, layer: int) -> int:
    """Return the most characters whose activations are to be computed at once.

    They are MOST_CHARACTERS, or fewer of a layer so wide that it would pass MOST_NUMBERS.
    """
    return min(MOST_CHARACTERS, MOST_NUMBERS // len(name_units(model, layer)))


def compute_activations(model: CharModel, text: EncodedText, layer: int) -> NDArray[np.float32]:
    """Compute the activation of every unit of a layer after each character.

    A continuous text of some thousand characters is read by several streams side by side, each
    after the CONTEXT characters that stand before its own.

    Args:
        model: on the CPU, ready to predict.
        text: of N characters; see :func:`limit_characters`.
        layer: counted from 1, the lowest.

    Returns:
        Activations, shape (N, U), U the length of :func:`name_units`.
    """
    match text:
        case ContinuousText(ids):
            return _compute_carried(model, ids, layer)
        case RecordText():
            parts = len(_list_parts(model, layer))
            activations = np.empty((len(text), len(name_units(model, layer))), np.float32)
            for positions, states in read_records(model, text):
                activations[positions] = _activate(states[layer - 1], parts).numpy()
            return activations


def _compute_carried(model: CharModel, ids: Ids, layer: int) -> NDArray[np.float32]:
    streams = max(1, min(_MOST_STREAMS, len(ids) // _LEAST_CHARACTERS))
    length = -(-len(ids) // (streams * ALIGNMENT)) * ALIGNMENT
    starts = np.arange(streams) * length
    # Steps before or beyond the text read its first or last character, and are dropped.
    steps = np.arange(-CONTEXT if streams > 1 else 0, length)[:, None] + starts
    first = model.initial_states(1)
    states = model.initial_states(streams)
    parts = len(_list_parts(model, layer))
    kept = []
    with torch.inference_mode():
        for step, window in zip(steps, take(ids, steps.clip(0, len(ids) - 1)), strict=True):
            _, states = model(window[None], states)
            if step[0] < 0:
                states = _reset_first(states, first)
            else:
                kept.append(_activate(states[layer - 1], parts))
    activations: NDArray[np.float32] = torch.stack(kept, 1).flatten(0, 1)[: len(ids)].numpy()
    return activations


def _list_parts(model: CharModel, layer: int) -> list[str]:
    """List the parts of a layer's state that have activations, which are the first ones."""
    return [part for part in model.layers()[layer - 1].parts if part in PARTS]


def _reset_first(states: tuple[State, ...], first: tuple[State, ...]) -> tuple[State, ...]:
    """Replace the states of the first stream, before which there is no text, with ``first``."""
    return tuple(
        tuple(torch.cat((new, part[1:])) for new, part in zip(fresh, state, strict=True))
        for fresh, state in zip(first, states, strict=True)
    )


def _activate(state: State, parts: int) -> torch.Tensor:
    """Compute activations (B, U) from the first parts of a state, each (B, H)."""
    return torch.cat((state[0], *(part.tanh() for part in state[1:parts])), dim=-1)


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
            positions = begins[rows[:left]] + step
            with torch.inference_mode():
                _, states = model(take(text.ids, positions)[None].to(device), states)
            yield positions, states
