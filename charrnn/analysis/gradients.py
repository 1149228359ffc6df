"""How far back a gradient reaches: the norm of dL_t / ds_{t-k} against k.

L_t is the cost, in nats, of the character after character t, and s_{t-k} a part of a layer's state
(h, c ...) after character t - k. The derivative is the whole one: it counts every way from that
state to the loss, through the layer's own recurrence, through the layers above and through what the
same step makes of it, such as h = o * tanh(c). A state that a step leaves as it is, as a pyramid's
slow layer does between its own steps, counts anew from that step on.

Norms that fall towards 0 as k grows are the vanishing gradient of Bengio, Simard & Frasconi 1994,
norms that rise without end the exploding one; both come of the product of Jacobians in Pascanu,
Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks".
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from charrnn.data.alphabet import Ids
from charrnn.errors import CorpusError, PredictionError, Remedy
from charrnn.inference.torch_backend import take
from charrnn.models.cells.base import State, count_numbers, detach_states
from charrnn.models.char_model import CharModel

STEPS = 100
"""Characters to look back."""

PLACES = 64
"""Places of the text to average over."""

CONTEXT = 100
"""Characters read before those that are looked at, so that the state is one the model comes to."""

_MOST = 1 << 22
"""Numbers in the states that are held at once; the graph of so many fits into memory."""


@dataclass(frozen=True)
class Reach:
    """The gradient's norms for one part of one layer's state.

    Attributes:
        layer: counted from 1, the lowest.
        part: which part of its state.
        norms: the mean norm over the text's places; index k is k characters back.
    """

    layer: int
    part: str
    norms: tuple[float, ...]


def measure_reach(
    model: CharModel, ids: Ids, steps: int = STEPS, places: int = PLACES
) -> list[Reach]:
    """How the gradient reaches back in a text.

    Args:
        model: on the CPU, not training; its weights stay as they are. The gradients are those of
            a copy in float64, since float32 loses what is smaller than 1e-38.
        ids: the text, shape (N,).
        steps: how far to look back; norms are given for k = 0 to ``steps``.
        places: how many places, evenly spread, to average over; fewer if the text is short.

    Raises:
        CorpusError: the text is not long enough to look back that far once.
        PredictionError: the model's predictions are not finite.
    """
    span = _span(steps)
    if len(ids) < span:
        raise CorpusError(
            f"a text of {len(ids):,} characters is too short to look {steps:,} back: it takes "
            f"{span:,}, {CONTEXT} to read before included",
            Remedy("give a longer text"),
            Remedy("look back fewer", "steps"),
        )
    starts = np.linspace(0, len(ids) - span, count_places(len(ids), steps, places)).astype(np.int64)
    model = copy.deepcopy(model).double()
    size = count_numbers(model.initial_states(1))
    rows = max(_MOST // (steps * size), 1)
    period = min(max(cell.period for cell in model.layers()), len(starts))
    sums = [
        _sum_norms(model, _windows(ids, in_phase[begin : begin + rows], span), phase)
        for phase, in_phase in enumerate(starts[first::period] for first in range(period))
        for begin in range(0, len(in_phase), rows)
    ]
    norms = np.sum(sums, axis=0) / len(starts)
    names = [(layer, part) for layer, cell in enumerate(model.layers(), 1) for part in cell.parts]
    return [
        Reach(layer, part, tuple(row.tolist()))
        for (layer, part), row in zip(names, norms, strict=True)
    ]


def count_places(characters: int, steps: int, places: int = PLACES) -> int:
    """How many of ``places`` are averaged over in a text of so many characters."""
    return min(places, characters - _span(steps) + 1)


def _span(steps: int) -> int:
    """Characters that one place takes: the context, those looked at, and the one they predict."""
    return CONTEXT + steps + 2


def _windows(ids: Ids, starts: NDArray[np.int64], span: int) -> Tensor:
    """The text from each start on, int64, (span, B)."""
    return take(ids, np.arange(span)[:, None] + starts)


def _sum_norms(model: CharModel, windows: Tensor, phase: int) -> NDArray[np.float64]:
    """The norms for each part of each layer's state and each k, summed over windows (span, B).

    The phase shortens what is read before, so that slow layers are met at every point of a step.
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
    """Every layer's states after each character of window (T, B) but the last, with the gradient
    of the last one's cost.
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
    # With these every step has a graph, that of a model whose weights want no gradient too.
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
    """A part of a state that keeps a gradient of its own, even if it is the one before."""
    if any(part is old for old in before):
        part = part.view_as(part)
    if part.requires_grad:
        part.retain_grad()
    return part


def _sum_norm(part: Tensor) -> float:
    """The sum over rows (B, ...) of the norm of a part's gradient."""
    if part.grad is None:
        return 0.0
    return float(part.grad.flatten(1).norm(dim=1).sum())
