"""A share of the trials of runs and programs that are signalled."""

import pytest

from tests.robustness.promise import Promise, assert_kept
from tests.robustness.signals import PROMISES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("promise", "trials"),
    list(zip(PROMISES, (8, 4, 2, 4), strict=True)),
    ids=["once", "twice", "imports", "pipes"],
)
def test_a_signal_ends_the_program_and_loses_nothing(promise: Promise, trials: int) -> None:
    assert_kept(promise, trials)
