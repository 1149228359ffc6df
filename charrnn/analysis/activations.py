"""Activations of the units of a layer after each character of a text.

The activation of a unit of h is its value, that of a unit of c its tanh, through which the cell
itself reads it. Source: Karpathy, Johnson & Fei-Fei 2015, "Visualizing and understanding recurrent
networks", section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from charrnn.data.alphabet import Ids
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.inference.backend import Backend, BackendState

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


def count_layers(backend: Backend) -> int:
    """Count the layers whose units have activations."""
    return len(backend.hidden(backend.initial_state(1))["h"])


def name_units(backend: Backend) -> list[str]:
    """Name the units of a layer in the order of :func:`compute_activations`: h1 ... c1 ...

    Those of every layer have the same names.
    """
    hidden = backend.hidden(backend.initial_state(1))
    return [
        f"{part}{unit}"
        for part in PARTS
        if part in hidden
        for unit in range(1, hidden[part].shape[-1] + 1)
    ]


def limit_characters(backend: Backend) -> int:
    """Return the most characters whose activations are to be computed at once.

    They are MOST_CHARACTERS, or fewer of a layer so wide that it would pass MOST_NUMBERS.
    """
    return min(MOST_CHARACTERS, MOST_NUMBERS // len(name_units(backend)))


def compute_activations(backend: Backend, text: EncodedText, layer: int) -> NDArray[np.float32]:
    """Compute the activation of every unit of a layer after each character.

    A continuous text of some thousand characters is read by several streams side by side, each
    but the first after the CONTEXT characters that stand before its own.

    Args:
        backend: the network.
        text: of N characters; see :func:`limit_characters`.
        layer: counted from 1, the lowest.

    Returns:
        Activations, shape (N, U), U the length of :func:`name_units`.
    """
    match text:
        case ContinuousText(ids):
            return _compute_carried(backend, ids, layer)
        case RecordText():
            activations = np.empty((len(text), len(name_units(backend))), np.float32)
            for positions, state in read_records(backend, text):
                activations[positions] = _activate(backend, state, layer)
            return activations


def _compute_carried(backend: Backend, ids: Ids, layer: int) -> NDArray[np.float32]:
    streams = max(1, min(_MOST_STREAMS, len(ids) // _LEAST_CHARACTERS))
    length = -(-len(ids) // (streams * ALIGNMENT)) * ALIGNMENT
    first = _read_steps(backend, ids[:length, None], backend.initial_state(1), layer)
    if streams == 1:
        return first[:, 0]
    starts = np.arange(1, streams) * length
    # Steps beyond the text read its last character, and are dropped.
    context = ids[np.arange(-CONTEXT, 0)[:, None] + starts]
    steps = ids[(np.arange(length)[:, None] + starts).clip(max=len(ids) - 1)]
    state = backend.read(context, backend.initial_state(streams - 1))
    others = _read_steps(backend, steps, state, layer)
    side_by_side = np.concatenate((first, others), axis=1)
    return np.concatenate(list(side_by_side.swapaxes(0, 1)))[: len(ids)]


def _read_steps(backend: Backend, ids: Ids, state: BackendState, layer: int) -> NDArray[np.float32]:
    """Activations (T, R, U) after each step of ids (T, R)."""
    activations = []
    for step in ids:
        state = backend.read(step[None], state)
        activations.append(_activate(backend, state, layer))
    return np.stack(activations)


def _activate(backend: Backend, state: BackendState, layer: int) -> NDArray[np.float32]:
    """Activations (R, U) of a layer in a state."""
    hidden = backend.hidden(state)
    parts = [hidden["h"][layer - 1]]
    if "c" in hidden:
        parts.append(np.tanh(hidden["c"][layer - 1]))
    return np.concatenate(parts, axis=-1)


def read_records(
    backend: Backend, text: RecordText
) -> Iterator[tuple[NDArray[np.int64], BackendState]]:
    """Let a model read every character of a text of records, the longest records first.

    Args:
        backend: the network.
        text: the records; the last one may be cut short.

    Yields:
        For some rows at a time: the positions of the characters that were just read, shape (R,),
        and the state after them.
    """
    begins = text.starts()
    lengths = np.diff(np.append(begins, len(text)))
    order = np.argsort(-lengths, kind="stable")
    for first in range(0, len(order), _MOST_ROWS):
        rows = order[first : first + _MOST_ROWS]
        state, count = backend.initial_state(len(rows)), len(rows)
        for step in range(int(lengths[rows[0]])):
            left = int((lengths[rows] > step).sum())
            if left < count:
                state, count = backend.select(state, np.arange(left)), left
            positions = begins[rows[:left]] + step
            state = backend.read(text.ids[positions][None], state)
            yield positions, state
