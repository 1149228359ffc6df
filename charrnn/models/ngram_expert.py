"""An expert that counts: n-grams of the training text, joined with a network's predictions.

    logits = a_k network's logits + b_k log P(c | h)     P is the n-gram model, data/ngrams.py

The predictions are the softmax of that sum, so that they always sum to one: a product of the two,
each raised to a power. k is the highest order of n-grams whose context was seen: the longer the
context, the more the counts know. a_k also makes predictions that are too sure, or not sure enough,
as sure as they are right: it is a temperature.

a and b are fitted to a text that neither the network nor the counts have read. For each k the loss
is convex in (a_k, b_k), and its minimum is found by Newton's method. Pairs with few places are kept
near the pair that fits all places.

Source: Hinton 2002, "Training products of experts by minimizing contrastive divergence", for the
product; Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks", for the
temperature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.data.ngrams import Ngrams
from charrnn.kernels.network import Floats, Histories

_WEIGHT_OF_ALL = 100.0
"""How far a pair is kept near the one of all places, in the curvature of so many places."""

_ROUNDS = 20
"""Steps at most, and halvings of a step."""

_NEAR = 1e-3
_LEAST_CURVATURE = 1e-6
_START = (1.0, 0.1)


@dataclass(frozen=True, eq=False)
class NgramExpert:
    """N-grams of a text, and how they are joined with a network.

    Attributes:
        ngrams: the counts, of K orders.
        of_network: a (K), the exponents of the network.
        of_ngrams: b (K), those of the n-grams.
    """

    ngrams: Ngrams
    of_network: Floats
    of_ngrams: Floats

    @property
    def history(self) -> int:
        """Characters before a place that the prediction there depends on, the last one aside."""
        return self.ngrams.history

    @property
    def strings(self) -> int:
        """The number of different strings that were counted, of all orders."""
        return sum(len(each.counts) for each in self.ngrams.orders)

    def to_dict(self) -> dict[str, Any]:
        """List its facts by their names in JSON."""
        return {
            "orders": len(self.ngrams.orders),
            "strings": self.strings,
            "network_exponents": [round(float(each), 4) for each in self.of_network],
            "ngram_exponents": [round(float(each), 4) for each in self.of_ngrams],
        }

    def fresh_histories(self, rows: int) -> Histories:
        """Return the histories (R, K - 1) of rows that have read nothing."""
        return np.full((rows, self.history), -1, np.int32)

    def follow(self, histories: NDArray[Any], ids: NDArray[Any]) -> Histories:
        """Return the histories (R, K - 1) after ids (T, R)."""
        read = np.concatenate([histories, ids.T], axis=1)
        return np.ascontiguousarray(read[:, read.shape[1] - self.history :], np.int32)

    def join(self, logits: Floats, histories: NDArray[Any], ids: NDArray[Any]) -> Floats:
        """Join a network's logits (T, R, V) after ids (T, R), which follow histories."""
        contexts = self.ngrams.find_contexts(histories, ids)
        flat = logits.reshape(-1, logits.shape[-1])
        return self.join_at(flat, contexts.reshape(len(flat), -1)).reshape(logits.shape)

    def join_at(self, logits: Floats, contexts: NDArray[Any]) -> Floats:
        """Join a network's logits (N, V) at places with these contexts (N, K)."""
        predicted, order = self.ngrams.predict(contexts)
        a, b = (exponents[order][:, None] for exponents in (self.of_network, self.of_ngrams))
        joined: Floats = a * logits + b * np.log(predicted)
        return joined


class Places(NamedTuple):
    """Some places of a text as both predict them.

    Attributes:
        logits: of the network, and the logarithms of the n-grams' probabilities (2, N, V), float32;
            the largest of each place is 0.
        orders: the highest order whose context was seen (N,).
        targets: the characters that follow (N,).
    """

    logits: Floats
    orders: NDArray[np.int32]
    targets: NDArray[np.int64]

    @classmethod
    def of(
        cls, ngrams: Ngrams, logits: NDArray[Any], contexts: NDArray[Any], targets: NDArray[Any]
    ) -> Places:
        """Predict the characters after contexts (N, K), beside a network's logits (N, V)."""
        predicted, orders = ngrams.predict(contexts)
        both = np.stack([logits, np.log(predicted)]).astype(np.float32)
        both -= both.max(2, keepdims=True)
        return cls(both, orders, targets.astype(np.int64))

    def at(self, places: NDArray[np.int64]) -> Places:
        """Return the places with these numbers."""
        return Places(self.logits[:, places], self.orders[places], self.targets[places])

    def measure_nats(self, expert: NgramExpert | None = None) -> NDArray[np.float64]:
        """Measure the loss of each place (N,) with an expert, or of the network alone."""
        joined = self.logits[0].astype(np.float64)
        if expert is not None:
            a, b = (each[self.orders][:, None] for each in (expert.of_network, expert.of_ngrams))
            joined = a * joined + b * self.logits[1]
        highest = joined.max(1, keepdims=True)
        found = np.take_along_axis(joined, self.targets[:, None], 1)
        nats: NDArray[np.float64] = np.log(np.exp(joined - highest).sum(1))
        nats += (highest - found)[:, 0]
        return nats


def fit_expert(ngrams: Ngrams, places: Places) -> NgramExpert:
    """Fit an expert to places of a text that neither the network nor the counts have read."""
    of_all = _fit_pair(places, np.array(_START), 0.0)
    pairs = np.tile(of_all, (len(ngrams.orders), 1))
    for order in range(len(pairs)):
        own = np.flatnonzero(places.orders == order)
        if len(own):
            pairs[order] = _fit_pair(places.at(own), of_all, _WEIGHT_OF_ALL)
    # A power below 0 would prefer what is unlikely: it comes of a few odd places.
    return NgramExpert(ngrams, *np.maximum(pairs.T, 0).astype(np.float32))


def _fit_pair(places: Places, start: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Minimize the loss of some places over (a, b), by Newton's method from a start.

    Args:
        places: N of them.
        start: (a, b), near which the result is kept.
        weight: of the curvature of one mean place, by which it is kept there.
    """
    found = np.take_along_axis(places.logits, places.targets[None, :, None], 2)[..., 0].sum(1)
    pair = start.copy()
    loss, gradient, curvature = _differentiate(places.logits, found, pair)
    kept = weight / len(places.targets) * curvature + _LEAST_CURVATURE * np.eye(2)
    penalized = loss
    for _ in range(_ROUNDS):
        step = np.linalg.solve(curvature + kept, gradient + kept @ (pair - start))
        for _ in range(_ROUNDS):
            trial = pair - step
            loss, gradient, curvature = _differentiate(places.logits, found, trial)
            apart = trial - start
            trial_penalized = loss + float(apart @ kept @ apart) / 2
            is_near = np.abs(step).max() < _NEAR
            if trial_penalized <= penalized or is_near:
                break
            step /= 2
        pair, penalized = trial, trial_penalized
        if is_near:
            break
    return pair


def _differentiate(
    logits: Floats, found: NDArray[Any], pair: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of losses, its gradient (2,) and its curvature (2, 2) at a pair.

    Args:
        logits: of both (2, N, V).
        found: the sum of those of the characters that followed (2,).
        pair: (a, b).
    """
    a, b = pair.astype(np.float32)
    joined = a * logits[0] + b * logits[1]
    highest = joined.max(1, keepdims=True)
    shares = np.exp(joined - highest)
    sums = shares.sum(1, keepdims=True)
    shares /= sums
    of_network, of_ngrams = (shares * each for each in logits)
    means = np.stack([of_network.sum(1), of_ngrams.sum(1)]).astype(np.float64)
    crossed = np.vdot(of_network, logits[1])
    squares = [[np.vdot(of_network, logits[0]), crossed], [crossed, np.vdot(of_ngrams, logits[1])]]
    loss = float((np.log(sums) + highest).sum(dtype=np.float64) - pair @ found)
    return loss, means.sum(1) - found, np.array(squares, np.float64) - means @ means.T
