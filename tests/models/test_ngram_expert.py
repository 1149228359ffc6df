"""An expert that counts: how it is joined with a network, and fitted to a text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn.data.ngrams import UNSEEN, Ngrams, count_ngrams
from charrnn.models.ngram_expert import NgramExpert, Places, fit_expert
from tests.support.networks import make_expert, random_ids

V = 11


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    found: NDArray[Any] = shares / shares.sum(-1, keepdims=True)
    return found


def test_the_two_are_multiplied_each_raised_to_its_power() -> None:
    expert, ids = make_expert(V), random_ids(30, 2).astype(np.int64)
    logits = np.random.default_rng(1).normal(size=(30, 2, V)).astype(np.float32)
    histories = expert.fresh_histories(2)
    joined = expert.join(logits, histories, ids)
    contexts = expert.ngrams.find_contexts(histories, ids).reshape(60, -1)
    counted, order = expert.ngrams.predict(contexts)
    a, b = expert.of_network[order][:, None], expert.of_ngrams[order][:, None]
    product = softmax(logits.reshape(60, V)) ** a * counted**b
    expected = product / product.sum(1, keepdims=True)
    np.testing.assert_allclose(softmax(joined.reshape(60, V)), expected, rtol=1e-4)


def test_rows_are_joined_alike_in_parts() -> None:
    expert, ids = make_expert(V), random_ids(30, 2).astype(np.int64)
    logits = np.random.default_rng(1).normal(size=(30, 2, V)).astype(np.float32)
    whole = expert.join(logits, expert.fresh_histories(2), ids)
    for size in (1, 2, 7):
        histories, parts = expert.fresh_histories(2), []
        for begin in range(0, 30, size):
            part = slice(begin, begin + size)
            parts.append(expert.join(logits[part], histories, ids[part]))
            histories = expert.follow(histories, ids[part])
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def make_places(sharpness: float, places: int = 4000) -> tuple[Ngrams, Places]:
    """Places of a text that is drawn from the logits times a sharpness."""
    rng = np.random.default_rng(3)
    ids = rng.integers(V, size=(places, 1))
    logits = rng.normal(scale=2, size=(places, V)).astype(np.float32)
    chances = softmax(sharpness * logits).cumsum(1)
    targets = (rng.random((places, 1)) < chances).argmax(1)
    ngrams = count_ngrams(rng.integers(V, size=5000), V, orders=3, most=10**6)
    contexts = ngrams.find_contexts(np.full((1, 2), UNSEEN), ids)[:, 0]
    return ngrams, Places.of(ngrams, logits, contexts, targets)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_a_network_that_is_too_sure_is_tempered_and_counts_of_noise_are_left(
    sharpness: float,
) -> None:
    expert = fit_expert(*make_places(sharpness))
    assert min(expert.of_network.min(), expert.of_ngrams.min()) >= 0
    np.testing.assert_allclose(expert.of_network, sharpness, rtol=0.1)
    np.testing.assert_allclose(expert.of_ngrams, 0, atol=0.4)


def test_no_other_exponents_have_a_smaller_loss() -> None:
    ngrams, places = make_places(0.7)
    fitted = fit_expert(ngrams, places)
    least = places.measure_nats(fitted).sum()
    assert least < places.measure_nats().sum()
    # The places of the highest order are most, so that nothing pulls its pair away.
    for name in ("of_network", "of_ngrams"):
        for change in (-0.05, 0.05):
            other = {n: getattr(fitted, n).copy() for n in ("of_network", "of_ngrams")}
            other[name][-1] += change
            if other[name][-1] < 0:
                continue  # No power is below 0.
            assert places.measure_nats(NgramExpert(ngrams, **other)).sum() > least


def test_nats_are_those_of_the_joined_logits() -> None:
    expert, ids = make_expert(V), random_ids(30, 1).astype(np.int64)
    logits = np.random.default_rng(1).normal(size=(30, V)).astype(np.float32)
    contexts = expert.ngrams.find_contexts(expert.fresh_histories(1), ids)[:, 0]
    targets = random_ids(31)[1:]
    places = Places.of(expert.ngrams, logits, contexts, targets)
    for joined, kept in ((expert.join_at(logits, contexts), expert), (logits, None)):
        expected = -np.log(softmax(joined)[np.arange(30), targets])
        np.testing.assert_allclose(places.measure_nats(kept), expected, rtol=1e-4, atol=1e-5)


def test_an_order_that_few_places_have_is_joined_nearly_as_all_places_are() -> None:
    ngrams, places = make_places(0.7)
    few = places._replace(orders=np.where(np.arange(4000) < 3, 0, 2).astype(np.int32))
    expert = fit_expert(ngrams, few)
    np.testing.assert_allclose(expert.of_network, 0.7, rtol=0.15)
    one = fit_expert(ngrams, places.at(np.arange(1)))
    assert np.isfinite([one.of_network, one.of_ngrams]).all()
