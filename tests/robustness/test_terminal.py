"""A small share of what ``make robustness`` tries of the terminal."""

import pytest

from tests.robustness.promise import Promise, assert_kept
from tests.robustness.terminal import PROMISES

pytestmark = pytest.mark.slow

_SHARES = (400, 18, 13, 4)


@pytest.mark.parametrize(
    ("promise", "count"),
    list(zip(PROMISES, _SHARES, strict=True)),
    ids=[promise.trials.__name__ for promise in PROMISES],
)
def test_it_holds(promise: Promise, count: int) -> None:
    assert_kept(promise, count)
