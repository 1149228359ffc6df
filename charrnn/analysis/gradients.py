"""Reach of the gradient: the norm of dL_t / ds_{t-k} against k.

L_t is the loss, in nats, of the character after character t, and s_{t-k} a part of a layer's state
(h, c ...) after character t - k. The derivative is the total one: it counts every path from that
state to the loss, through the layer's own recurrence, through the layers above and through
functions of the state within its step, such as h = o * tanh(c). A state that a step leaves as it
is, as the slow layers of a pyramid do between their own steps, counts as a new state from that
step on.

Norms that fall towards 0 as k grows are the vanishing gradient of Bengio, Simard & Frasconi 1994,
norms that rise without bound the exploding gradient; both come from the product of Jacobians in
Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks".
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from charrnn.data.alphabet import Ids
from charrnn.errors import CorpusError, PredictionError, Remedy
from charrnn.inference.torch_backend import take_ids
from charrnn.models.cells.base import State, count_numbers, detach_states
from charrnn.models.char_model import CharModel

STEPS = 100
"""The greatest k, if none is given."""

PLACES = 64
"""Places of the text to average over, if no number is given."""

CONTEXT = 100
"""Characters read before the first state of a place, so that it is one reached on a text."""

_MOST = 1 << 22
"""Numbers in the states that are held at once, so that their graph fits into memory."""


@dataclass(frozen=True)
class Reach:
    """The norms of the gradient for one part of one layer's state.

    Attributes:
        layer: counted from 1, the lowest.
        part: the name of the part, such as h or c.
        norms: the mean norm over the places of the text; index k is k characters back.
    """

    layer: int
    part: str
    norms: tuple[float, ...]


def measure_reach(
    model: CharModel,
    ids: Ids,
    steps: int = STEPS,
    places: int = PLACES,
    on_progress: Callable[[int], None] | None = None,
) -> list[Reach]:
    """Measure the norms of the gradient against the distance to the loss.

    Args:
        model: on the CPU, not training; its weights stay as they are. The gradients are those of
            a copy in float64, since float32 loses norms below 1e-38.
        ids: the text, shape (N,).
        steps: the greatest k; norms are given for k = 0 to ``steps``.
        places: places of the text, evenly spread, to average over; fewer if the text is short.
        on_progress: called with the number of places that have been measured.

    Raises:
        CorpusError: the text is not long enough to look back that far once.
        PredictionError: the model's predictions are not finite.
    """
    span = _count_characters(steps)
    if len(ids) < span:
        raise CorpusError(
            f"a text of {len(ids):,} characters is too short to look {steps:,} back: it takes "
            f"{span:,}, {CONTEXT} to read before included",
            Remedy("give a longer text"),
            Remedy("look less far back", "steps"),
        )
    starts = np.linspace(0, len(ids) - span, count_places(len(ids), steps, places)).astype(np.int64)
    model = copy.deepcopy(model).double()
    size = count_numbers(model.initial_states(1))
    rows = max(_MOST // (steps * size), 1)
    period = min(max(cell.period for cell in model.layers()), len(starts))
    sums: list[NDArray[np.float64]] = []
    done = 0
    for phase in range(period):
        in_phase = starts[phase::period]
        for begin in range(0, len(in_phase), rows):
            together = in_phase[begin : begin + rows]
            sums.append(_sum_norms(model, _take_windows(ids, together, span), phase))
            done += len(together)
            if on_progress is not None:
                on_progress(done)
    norms = np.sum(sums, axis=0) / len(starts)
    names = [(layer, part) for layer, cell in enumerate(model.layers(), 1) for part in cell.parts]
    return [
        Reach(layer, part, tuple(row.tolist()))
        for (layer, part), row in zip(names, norms, strict=True)
    ]


def count_places(characters: int, steps: int, places: int = PLACES) -> int:
    """Count the places that are averaged over in a text of so many characters."""
    return min(places, characters - _count_characters(steps) + 1)


def _count_characters(steps: int) -> int:
    """Count the characters of one place: the context, those with a state, and the one predicted."""
    return CONTEXT + steps + 2


def _take_windows(ids: Ids, starts: NDArray[np.int64], span: int) -> Tensor:
    """Take the text from each start on, int64, shape (span, B)."""
    return take_ids(ids, np.arange(span)[:, None] + starts)


def _sum_norms(model: CharModel, windows: Tensor, phase: int) -> NDArray[np.float64]:
    """Sum the norms of each part of each layer's state and each k over windows (span, B).

    The phase shortens the context, so that slow layers are met at every point of their step.
    """
    with torch.no_grad():
        _, states = model(windows[phase:CONTEXT], model.initial_states(windows.shape[1]))
    seen = _backpropagate(model, windows[CONTEXT:], detach_states(states))
    return np.array(
        [
            [_sum_norm(state[part]) for state in reversed(past)]
            for cell, past in zip(model.layers(), seen, strict=True)
            for part in range(len(cell.parts))
        ]
    )


def _backpropagate(
    model: CharModel, window: Tensor, states: tuple[State, ...]
) -> list[list[State]]:
    """Compute every layer's states after each character of a window (T, B) but the last, with
    their gradients of the loss of the last character.
    """
    seen: list[list[State]] = [[] for _ in states]

    def tap(past: list[State]) -> Any:
        def hook(
            _: nn.Module, inputs: tuple[Tensor, State], output: tuple[Tensor, State]
        ) -> tuple[Tensor, State]:
            state = tuple(_separate(part, inputs[1]) for part in output[1])
            past.append(state)
            return state[0][None], state

        return hook

    taps = [
        cell.register_forward_hook(tap(past))
        for cell, past in zip(model.layers(), seen, strict=True)
    ]
    # A model whose weights want no gradient would have no graph otherwise.
    states = tuple(tuple(part.requires_grad_() for part in state) for state in states)
    try:
        for characters in window[:-1]:
            logits, states = model(characters[None], states)
    finally:
        for handle in taps:
            handle.remove()
    loss = nn.functional.cross_entropy(logits[0], window[-1], reduction="sum")
    if not loss.isfinite():
        raise PredictionError
    kept = [part for past in seen for state in past for part in state if part.requires_grad]
    torch.autograd.backward(loss, inputs=kept)
    return seen


def _separate(part: Tensor, before: State) -> Tensor:
    """Give a part of a state a gradient of its own, even if a step left the part as it was."""
    if any(part is old for old in before):
        part = part.view_as(part)
    if part.requires_grad:
        part.retain_grad()
    return part


def _sum_norm(part: Tensor) -> float:
    """Sum the norm of a part's gradient over rows (B, ...)."""
    if part.grad is None:
        return 0.0
    return float(part.grad.flatten(1).norm(dim=1).sum())
