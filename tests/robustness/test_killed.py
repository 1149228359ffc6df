"""A share of the trials of runs that are killed."""

import pytest

from tests.robustness.killed import PROMISES
from tests.robustness.promise import Promise, assert_kept

pytestmark = pytest.mark.slow

KILLS = 6


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.text.split(",")[0])
def test_a_killed_run_ends_like_one_that_was_not(promise: Promise) -> None:
    assert_kept(promise, KILLS)
