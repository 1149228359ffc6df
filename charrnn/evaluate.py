"""Scoring: what each character of a text costs, in nats, with the state carried all the way.

A text of N characters has N scores. The first has nothing before it and is charged log(V), as if
all V characters were equally likely; the sum is therefore the length of a code for the whole text,
and a model that knows nothing scores log2(V) bits for every character.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.alphabet import Alphabet, Ids
from charrnn.cells.contract import State, select_states
from charrnn.errors import CheckpointError
from charrnn.model import CharModel, States

CONTEXT = 512
"""Characters that a side-by-side stream reads, unscored, before the ones it scores."""

ALIGNMENT = 64
"""Side-by-side streams begin at multiples of it, so that a pyramid's slow layers keep step with a
single stream's, up to the rate of one in 64."""

NOT_FINITE = "the model predicts values that are not finite: its weights are of no use"

_IDS_AT_ONCE = 1 << 20
_MOST_STREAMS = 32
_LOGITS_AT_ONCE = 1 << 22
_MOST_CHARACTERS_AT_ONCE = 4096


@dataclass(frozen=True)
class Score:
    """What a text cost under a model.

    Attributes:
        nats: the sum over all characters.
        characters: how many were scored.
        bytes: how many bytes they take in a file (UTF-8 for a text alphabet).
    """

    nats: float
    characters: int
    bytes: int

    @property
    def nats_per_char(self) -> float:
        """The mean over characters."""
        return self.nats / self.characters

    @property
    def bits_per_char(self) -> float:
        """The mean over characters, in bits."""
        return self.nats_per_char / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        """Bits for each byte of the text as a file would hold it."""
        return self.nats / math.log(2) / self.bytes

    @property
    def perplexity(self) -> float:
        """Equally likely characters the model hesitates among: e to the nats per character."""
        try:
            return math.exp(self.nats_per_char)
        except OverflowError:
            return math.inf


class Tally:
    """Adds up what :func:`score` yields.

    Args:
        ids: the text that is scored, shape (N,).
        alphabet_size: V, which prices the first character.
    """

    def __init__(self, ids: Ids, alphabet_size: int) -> None:
        self._ids = ids
        self._alphabet_size = alphabet_size
        self._sums = [math.log(alphabet_size)]
        self.characters = 1

    def add(self, nats: Tensor) -> None:
        """Take in the scores of some more characters."""
        self._sums.append(float(nats.sum()))
        self.characters += nats.numel()

    @property
    def nats(self) -> float:
        """The sum so far."""
        return math.fsum(self._sums)

    def score(self, alphabet: Alphabet) -> Score:
        """The score of the whole text.

        Raises:
            CheckpointError: the model's predictions are not finite.
            ValueError: some characters have not been scored.
        """
        if not math.isfinite(self.nats):
            raise CheckpointError(NOT_FINITE)
        if self.characters != len(self._ids):
            raise ValueError(f"{self.characters} of {len(self._ids)} characters are scored")
        counts = np.zeros(self._alphabet_size, dtype=np.int64)
        for begin in range(0, len(self._ids), _IDS_AT_ONCE):
            part = self._ids[begin : begin + _IDS_AT_ONCE]
            counts += np.bincount(part, minlength=self._alphabet_size)
        return Score(self.nats, self.characters, int(counts @ alphabet.byte_lengths))


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
    rows = min(_MOST_CHARACTERS_AT_ONCE, max(_LOGITS_AT_ONCE // model.head.out_features, 64))
    window = max(rows // streams, 1)
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
        tally.add(nats)
    return tally.score(alphabet)


def streams_for(characters: int) -> int:
    """How many streams a text is long enough for: each scores four times what it reads before."""
    return max(1, min(_MOST_STREAMS, characters // (4 * CONTEXT)))


def take(ids: Ids, positions: NDArray[np.int64]) -> Tensor:
    """The ids (N,) at some positions, as an int64 tensor of the positions' shape."""
    return torch.from_numpy(ids[positions].astype(np.int64))


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


def _score_block(
    model: CharModel, ids: Ids, positions: NDArray[np.int64], states: States
) -> tuple[Tensor, tuple[State, ...]]:
    """Nats of what follows each position (T, B), in float64, and the states after them."""
    device = model.head.weight.device
    with torch.inference_mode():
        logits, states_after = model(take(ids, positions).to(device), states)
        targets = take(ids, positions + 1)
        likelihoods = logits.cpu().double().log_softmax(-1)
        return -likelihoods.gather(-1, targets[..., None])[..., 0], states_after
