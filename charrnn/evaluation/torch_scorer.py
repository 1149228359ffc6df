"""Scoring through torch: what each character of a text costs, the state carried all the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.data.alphabet import Alphabet, Ids
from charrnn.evaluation.metrics import Score, Tally, split_into_windows
from charrnn.models.cells.base import State, select_states
from charrnn.models.char_model import CharModel, States

CONTEXT = 512
"""Characters that a side-by-side stream reads, unscored, before the ones it scores."""

ALIGNMENT = 64
"""Side-by-side streams begin at multiples of it, so that a pyramid's slow layers keep step with a
single stream's, up to the rate of one in 64."""

_MOST_STREAMS = 32
_LOGITS_AT_ONCE = 1 << 22
_MOST_CHARACTERS_AT_ONCE = 4096


def score(model: CharModel, ids: Ids, streams: int = 1) -> Iterator[Tensor]:
    """The nats of every character but the first, block by block; together N - 1 of them.

    Args:
        model: on any device, in any floating type.
        ids: the text, shape (N,), N >= 1.
        streams: 1 carries one state from the first character to the last, and yields the
            characters in order. More run side by side, each after reading the CONTEXT characters
            before its own: faster on short layers, and the same to about five digits where what
            was read fades; a stack, a list or rectifiers may remember more.

    Yields:
        Nats, float64, (T, streams).
    """
    device = model.head.weight.device
    targets = len(ids) - 1
    length = targets // streams
    if streams > 1 and length > ALIGNMENT:
        length -= length % ALIGNMENT
    starts = np.arange(streams) * length
    states = _read_context(model, ids, starts, device)
    window = max(_rows_at_once(model) // streams, 1)
    for begin in range(0, length, window):
        steps = np.arange(begin, min(begin + window, length))[:, None] + starts
        nats, states = _score_block(model, ids, steps, states)
        yield nats
    tail = np.arange(streams * length, targets)[:, None]
    if len(tail):
        last = select_states(states, torch.tensor([streams - 1], device=device))
        nats, _ = _score_block(model, ids, tail, last)
        yield nats


def evaluate(model: CharModel, ids: Ids, alphabet: Alphabet, streams: int = 1) -> Score:
    """Score a whole text; see :func:`score` for what ``streams`` does."""
    tally = Tally(ids, len(alphabet))
    for nats in score(model, ids, streams):
        tally.add(float(nats.sum()), nats.numel())
    return tally.score(alphabet)


def score_windows(model: CharModel, ids: Ids, window: int) -> Iterator[Tensor]:
    """As :func:`score`, the state forgotten after every ``window`` characters.

    So does a transformer of that context score a text that it reads block by block.
    """
    for positions in split_into_windows(len(ids) - 1, window):
        states: States = model.initial_states(positions.shape[1])
        steps = max(_rows_at_once(model) // positions.shape[1], 1)
        for begin in range(0, len(positions), steps):
            nats, states = _score_block(model, ids, positions[begin : begin + steps], states)
            yield nats


def streams_for(characters: int) -> int:
    """How many streams a text is long enough for: each scores four times what it reads before."""
    return max(1, min(_MOST_STREAMS, characters // (4 * CONTEXT)))


def take(ids: Ids, positions: NDArray[np.int64]) -> Tensor:
    """The ids (N,) at some positions, as an int64 tensor of the positions' shape."""
    return _tensor(ids[positions])


def _tensor(ids: NDArray[Any]) -> Tensor:
    return torch.from_numpy(ids.astype(np.int64))


def _read_context(
    model: CharModel, ids: Ids, starts: NDArray[np.int64], device: torch.device
) -> tuple[State, ...]:
    """The states before each start: of the text's own beginning, and after CONTEXT characters."""
    states = model.initial_states(len(starts))
    if len(starts) == 1:
        return states
    context = min(CONTEXT, int(starts[1]))
    before = np.arange(-context, 0)[:, None] + starts[1:]
    with torch.inference_mode():
        _, warmed = model(take(ids, before).to(device), model.initial_states(len(starts) - 1))
    return tuple(
        tuple(torch.cat((fresh[:1], warm)) for fresh, warm in zip(new, old, strict=True))
        for new, old in zip(states, warmed, strict=True)
    )


def _rows_at_once(model: CharModel) -> int:
    """Characters whose logits are held together."""
    return min(_MOST_CHARACTERS_AT_ONCE, max(_LOGITS_AT_ONCE // model.head.out_features, 64))


def _score_block(
    model: CharModel, ids: Ids, positions: NDArray[np.int64], states: States
) -> tuple[Tensor, tuple[State, ...]]:
    """Nats of what follows each position (T, B), in float64, and the states after them."""
    return _score(model, take(ids, positions), take(ids, positions + 1), states)


def _score(
    model: CharModel, read: Tensor, targets: Tensor, states: States
) -> tuple[Tensor, tuple[State, ...]]:
    """Nats of targets (T, B), what follows what is read (T, B), and the states after it."""
    with torch.inference_mode():
        logits, states_after = model(read.to(model.head.weight.device), states)
        likelihoods = logits.cpu().double().log_softmax(-1)
        return -likelihoods.gather(-1, targets[..., None])[..., 0], states_after
