"""A share of the trials of runs that diverge."""

import pytest

from tests.torture.divergence import PROMISES
from tests.torture.promise import Promise, put_to_the_test


@pytest.mark.slow
@pytest.mark.parametrize(
    ("promise", "trials"), [(PROMISES[0], 60), (PROMISES[1], 12)], ids=["library", "program"]
)
def test_a_run_that_diverges_goes_back_or_stops(promise: Promise, trials: int) -> None:
    outcome = put_to_the_test(promise, trials)
    assert outcome.failures == ()
    assert outcome.trials == trials
