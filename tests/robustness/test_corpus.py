"""A small share of what ``make robustness`` tries of corpora."""

import pytest

from tests.robustness.corpus import PROMISES
from tests.robustness.promise import Promise, assert_kept

pytestmark = pytest.mark.slow

_SHARES = (4_000, 800, 300, 3, 1, 8)


@pytest.mark.parametrize(
    ("promise", "count"),
    list(zip(PROMISES, _SHARES, strict=True)),
    ids=[promise.trials.__name__ for promise in PROMISES],
)
def test_it_holds(promise: Promise, count: int) -> None:
    assert_kept(promise, count)
