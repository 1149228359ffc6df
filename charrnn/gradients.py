"""How far back a gradient reaches: the norm of dL_t / ds_{t-k} against k.

L_t is the cost, in nats, of the character after character t, and s_{t-k} a part of a layer's state
(h, c ...) after character t - k. The derivative is the whole one: it counts every way from that
state to the loss, through the layer's own recurrence and through the layers above. Norms that fall
towards 0 as k grows are the vanishing gradient of Bengio, Simard & Frasconi 1994, norms that rise
without end the exploding one; Pascanu, Mikolov & Bengio 2013 draw the same curves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from charrnn.alphabet import Ids
from charrnn.cells.contract import State, detach_states
from charrnn.errors import CorpusError
from charrnn.model import CharModel

STEPS = 100
"""Characters to look back."""

PLACES = 64
"""Places of the text to average over."""

CONTEXT = 100
"""Characters read before those that are looked at, so that the state is one the model comes to."""


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
        model: on any device; its weights stay as they are.
        ids: the text, shape (N,).
        steps: how far to look back; norms are given for k = 0 to ``steps``.
        places: how many places, evenly spread, to average over; fewer if the text is short.

    Raises:
        CorpusError: the text is not long enough to look back that far once.
    """
    span = CONTEXT + steps + 2
    if len(ids) < span:
        raise CorpusError(
            f"a text of {len(ids):,} characters is too short to look {steps} back: it takes "
            f"{span}. Give a longer text or fewer --steps."
        )
    starts = np.linspace(0, len(ids) - span, min(places, len(ids) - span + 1)).astype(np.int64)
    window = torch.from_numpy(ids[np.arange(span)[:, None] + starts].astype(np.int64))
    window = window.to(model.head.weight.device)
    with torch.no_grad():
        _, states = model(window[:CONTEXT], model.initial_states(len(starts)))
    seen = _backpropagate(model, window[CONTEXT:], detach_states(states))
    return [
        Reach(layer + 1, part, tuple(_mean_norm(state[index]) for state in reversed(past)))
        for layer, (cell, past) in enumerate(zip(model.layers(), seen, strict=True))
        for index, part in enumerate(cell.parts)
    ]


def _backpropagate(
    model: CharModel, window: Tensor, states: tuple[State, ...]
) -> list[list[State]]:
    """Every layer's states after each character of window (T, B) but the last, with the gradient
    of the last one's cost.
    """
    seen: list[list[State]] = [[] for _ in states]

    def tap(past: list[State]) -> Any:
        def hook(_: nn.Module, __: Any, output: tuple[Tensor, State]) -> tuple[Tensor, State]:
            state = tuple(_differentiable(part) for part in output[1])
            past.append(state)
            return state[0][None], state

        return hook

    taps = [
        cell.register_forward_hook(tap(past))
        for cell, past in zip(model.layers(), seen, strict=True)
    ]
    try:
        for characters in window[:-1]:
            logits, states = model(characters[None], states)
    finally:
        for handle in taps:
            handle.remove()
    loss = nn.functional.cross_entropy(logits[0], window[-1], reduction="sum")
    torch.autograd.backward(loss, inputs=[part for past in seen for s in past for part in s])
    return seen


def _differentiable(part: Tensor) -> Tensor:
    if not part.requires_grad:
        return part.detach().requires_grad_()
    part.retain_grad()
    return part


def _mean_norm(part: Tensor) -> float:
    """The mean over rows (B, ...) of the norm of a part's gradient."""
    if part.grad is None:
        return 0.0
    return float(part.grad.flatten(1).norm(dim=1).mean())
