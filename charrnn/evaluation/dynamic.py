"""Dynamic evaluation: the weights follow the text as it is scored.

A text is scored segment by segment; after each, whose cost counts as it was before, the weights
take a step down its gradient, and a small one back to where they began:

    w <- w - rate * g / (rms(g) + eps) + decay * (w_0 - w)

Krause, Kahembwe, Murray & Renals 2018, "Dynamic evaluation of neural sequence models". They take
the gradient's mean squares from the training text; a model here comes without one, so that they
are those of the text scored so far.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from charrnn.data.alphabet import Alphabet, Ids
from charrnn.data.encoded_text import ContinuousText
from charrnn.evaluation.evaluate import ProgressCallback, add_up
from charrnn.evaluation.metrics import Score
from charrnn.evaluation.scorer import Part
from charrnn.inference.torch_backend import take_ids
from charrnn.models.cells.base import detach_states
from charrnn.models.char_model import CharModel
from charrnn.models.ngram_expert import NgramExpert, Places

SEGMENT = 64
"""Characters scored between steps."""

RATE = 3e-4
DECAY = 1e-3
_EPSILON = 1e-8


def score_dynamically(
    model: CharModel, ids: Ids, expert: NgramExpert | None = None
) -> Iterator[Part]:
    """Score every character but the first, and yield the parts segment by segment.

    Args:
        model: float32, on any device; its weights are changed.
        ids: the text, shape (N,), N >= 1.
        expert: joined with the network's predictions, but not with those that it learns from; None
            for none.
    """
    device = model.head.weight.device
    follower = _Follower(list(model.requires_grad_().parameters()))
    states = model.initial_states(1)
    histories = expert.fresh_histories(1) if expert is not None else np.empty((1, 0), np.int32)
    for begin in range(0, len(ids) - 1, SEGMENT):
        positions = np.arange(begin, min(begin + SEGMENT, len(ids) - 1))[:, None]
        logits, states = model(take_ids(ids, positions).to(device), states)
        nats = (
            -logits.double()
            .log_softmax(-1)
            .gather(-1, take_ids(ids, positions + 1).to(device)[..., None])
        )
        torch.autograd.backward(nats.mean())
        states = detach_states(states)
        follower.step()
        scored = nats.detach().cpu().numpy()
        if expert is not None:
            found = logits.detach().float().cpu().numpy()[:, 0]
            contexts = expert.ngrams.find_contexts(histories, ids[positions])[:, 0]
            places = Places.of(expert.ngrams, found, contexts, ids[positions[:, 0] + 1])
            scored = places.measure_nats(expert)
            histories = expert.follow(histories, ids[positions])
        yield Part(float(scored.sum()), scored.size)


def evaluate_dynamically(
    model: CharModel,
    text: ContinuousText,
    alphabet: Alphabet,
    on_progress: ProgressCallback | None = None,
    expert: NgramExpert | None = None,
) -> Score:
    """Score a whole text while the weights follow it; see :func:`score_dynamically`.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    return add_up(score_dynamically(model, text.ids, expert), text, alphabet, on_progress)


class _Follower:
    """Moves parameters after each segment's gradient."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self._parameters = parameters
        self._start = [parameter.detach().clone() for parameter in parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in parameters]
        self._steps = 0

    @torch.no_grad()
    def step(self) -> None:
        self._steps += 1
        for parameter, start, squares in zip(
            self._parameters, self._start, self._squares, strict=True
        ):
            gradient = parameter.grad
            if gradient is None:
                continue
            squares.lerp_(gradient.square(), 1 / self._steps)
            parameter.addcdiv_(gradient, squares.sqrt().add_(_EPSILON), value=-RATE)
            parameter.lerp_(start, DECAY)
            parameter.grad = None
