"""N-grams: counts as a dictionary makes them, and predictions as the recursion states them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.data.ngrams import LEAST_PROBABILITY, UNSEEN, Ngrams, count_ngrams, number_keys

V, ORDERS, END = 4, 4, 0

some_text = st.lists(st.integers(0, V - 1), min_size=1, max_size=40)
ends = st.sampled_from([None, END])


def count(text: list[int], end: int | None = None, repeated_from: int | None = None) -> Ngrams:
    return count_ngrams(
        np.array(text, np.uint8),
        V,
        orders=ORDERS,
        most=10**6,
        repeated_from=repeated_from,
        end=end,
    )


def contexts_of(text: list[int], place: int, end: int | None) -> list[tuple[int, ...]]:
    """The contexts of every order before a place of a text: none goes beyond an end."""
    found = []
    for order in range(min(ORDERS - 1, place) + 1):
        context = tuple(text[place - order : place])
        if end is not None and end in context[1:]:
            break
        found.append(context)
    return found


def count_plainly(text: list[int], end: int | None) -> Counter[tuple[int, ...]]:
    """How often each string occurs; V is the character that the end of the text is."""
    found = Counter(
        (*context, text[place])
        for place in range(len(text))
        for context in contexts_of(text, place, end)
    )
    found.update((*context, V) for context in contexts_of(text, len(text), end)[1:])
    return found


def predict_plainly(
    counts: Counter[tuple[int, ...]], contexts: list[tuple[int, ...]], repeated_from: int
) -> tuple[NDArray[np.float64], int]:
    """The recursion at the head of the module, order by order."""
    predicted, highest = np.full(V, 1 / V), 0
    for order, context in enumerate(contexts):
        following = np.array([counts[(*context, character)] for character in range(V + 1)])
        total = following.sum() + np.count_nonzero(following)
        kept = np.where(following > (order >= repeated_from), following, 0)[:V]
        if kept.sum():
            predicted = (kept + (total - kept.sum()) * predicted) / total
            highest = order
    return predicted, highest


@given(some_text, some_text, ends, st.sampled_from([None, 1, 2, 3]))
def test_predictions_are_those_of_the_recursion(
    learnt: list[int], read: list[int], end: int | None, repeated_from: int | None
) -> None:
    ngrams, counts = count(learnt, end, repeated_from), count_plainly(learnt, end)
    history = np.full((1, ngrams.history), UNSEEN)
    contexts = ngrams.find_contexts(history, np.array(read)[:, None])[:, 0]
    predicted, highest = ngrams.predict(contexts)
    np.testing.assert_allclose(predicted.sum(1), 1, rtol=1e-5)
    assert predicted.min() > 0
    for place in range(len(read)):
        found = contexts_of(read[: place + 1], place + 1, end)
        expected = predict_plainly(counts, found, repeated_from or ORDERS)
        np.testing.assert_allclose(predicted[place], expected[0], rtol=1e-5)
        assert highest[place] == expected[1]


@given(some_text, some_text, st.integers(0, 40))
def test_contexts_carry_on_from_a_history(learnt: list[int], read: list[int], cut: int) -> None:
    ngrams = count(learnt)
    history = np.full((1, ngrams.history), UNSEEN)
    ids = np.array(read)[:, None]
    whole = ngrams.find_contexts(history, ids)
    before, after = ids[:cut], ids[cut:]
    parts = ngrams.find_contexts(history, before)
    carried = np.concatenate([history, before.T], 1)[:, len(before) :]
    rest = ngrams.find_contexts(carried, after)
    np.testing.assert_array_equal(np.concatenate([parts, rest]), whole)


@given(some_text, some_text, st.sampled_from([None, 1]))
def test_the_probabilities_of_what_follows_are_those_predicted(
    learnt: list[int], read: list[int], repeated_from: int | None
) -> None:
    ngrams = count(learnt, repeated_from=repeated_from)
    history = np.full((1, ngrams.history), UNSEEN)
    contexts = ngrams.find_contexts(history, np.array(read)[:, None])[:, 0]
    targets = np.roll(read, -1)
    *_, found = ngrams.predict_targets(contexts, targets)
    predicted, _ = ngrams.predict(contexts)
    np.testing.assert_allclose(found, predicted[np.arange(len(read)), targets], rtol=1e-5)


def test_what_never_follows_is_never_quite_impossible() -> None:
    text = np.zeros(3_000_000, np.uint8)
    text[:30] = [1, 2, 3] * 10
    ngrams = count_ngrams(text, V, orders=7, most=10**6)
    contexts = ngrams.find_contexts(np.full((1, 6), UNSEEN), np.zeros((9, 1), np.int64))[-1]
    predicted, highest = ngrams.predict(contexts)
    assert highest.tolist() == [6]
    assert predicted.min() == np.float32(LEAST_PROBABILITY)
    assert predicted.sum() == pytest.approx(1)


def test_orders_that_would_make_too_many_strings_are_left_out() -> None:
    text = np.random.default_rng(0).integers(V, size=1000)
    sizes = [len(each.counts) for each in count_ngrams(text, V, orders=9, most=10**6).orders]
    assert sizes[:2] == [V, V * V]
    for most in (1, sum(sizes[:3]), sum(sizes[:3]) - 1):
        kept = count_ngrams(text, V, orders=9, most=most).orders
        total = sum(len(each.counts) for each in kept)
        assert len(kept) == 1 or total <= most < total + sizes[len(kept)]


@given(some_text, st.integers(1, ORDERS - 1))
def test_strings_that_occur_once_are_left_out(text: list[int], repeated_from: int) -> None:
    for order, strings in enumerate(count(text, repeated_from=repeated_from).orders):
        every = count(text).orders[order].counts
        kept = every[every > 1] if order >= repeated_from else every
        assert sorted(strings.counts) == sorted(kept)


@given(st.lists(st.integers(0, 2**40), max_size=30))
def test_keys_are_numbered_in_ascending_order(keys: list[int]) -> None:
    for wide in (0, 2**62):
        given_keys = np.array([key + wide for key in keys], np.uint64)
        different, numbers = number_keys(given_keys.copy())
        expected = np.unique(given_keys, return_inverse=True)
        np.testing.assert_array_equal(different, expected[0])
        np.testing.assert_array_equal(numbers, expected[1])
