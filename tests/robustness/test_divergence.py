"""A share of the trials of runs that diverge."""

import pytest

from tests.robustness.divergence import PROMISES
from tests.robustness.promise import Promise, assert_kept

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("promise", "trials"), [(PROMISES[0], 20), (PROMISES[1], 4)], ids=["library", "program"]
)
def test_a_run_that_diverges_goes_back_or_stops(promise: Promise, trials: int) -> None:
    assert_kept(promise, trials)
