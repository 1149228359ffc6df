"""A promise, its trials, and their outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Trials = Callable[[int, int], Iterator[str | None]]
"""Trials(count, seed) makes about so many trials, each drawn from the seed, and yields for each
one None where the promise was kept, else what went wrong and how to try it again."""


@dataclass(frozen=True)
class Promise:
    """Something that charrnn promises.

    Attributes:
        text: the promise, as a sentence.
        trials: tries it.
        count: trials that ``make robustness`` makes.
    """

    text: str
    trials: Trials
    count: int


@dataclass(frozen=True)
class Outcome:
    """The outcome of a promise's trials.

    Attributes:
        promise: the sentence.
        trials: how many were made.
        failures: what went wrong, one for each trial that did.
        seconds: they took.
    """

    promise: str
    trials: int
    failures: tuple[str, ...]
    seconds: float


def put_to_the_test(promise: Promise, count: int | None = None, seed: int = 1) -> Outcome:
    """Make a promise's trials: its own count of them, or another."""
    started = time.perf_counter()
    results = list(promise.trials(promise.count if count is None else count, seed))
    failures = tuple(result for result in results if result is not None)
    return Outcome(promise.text, len(results), failures, time.perf_counter() - started)


def assert_kept(promise: Promise, count: int, seed: int = 1) -> None:
    """Make ``count`` trials of a promise for the test suite; fail on any problem."""
    outcome = put_to_the_test(promise, count, seed)
    assert not outcome.failures, "\n".join(outcome.failures)
    assert outcome.trials == count
