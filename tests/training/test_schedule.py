"""The learning rate rises, falls and never leaves its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.training.schedule import Schedule


def test_the_rate_rises_in_equal_steps_to_the_peak() -> None:
    schedule = Schedule(peak=0.8, warmup=4, total=100)
    assert [schedule.learning_rate(step) for step in range(5)] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 0.8]
    )


def test_the_rate_falls_in_equal_steps_to_one_part_above_zero() -> None:
    schedule = Schedule(peak=1.0, warmup=2, total=22)
    falling = [schedule.learning_rate(step) for step in range(2, 22)]
    assert falling == pytest.approx([parts / 20 for parts in range(20, 0, -1)])


def test_a_run_without_a_known_length_stays_at_the_peak() -> None:
    schedule = Schedule(peak=0.5, warmup=10, total=None)
    assert schedule.learning_rate(0) == pytest.approx(0.05)
    assert [schedule.learning_rate(step) for step in (9, 10, 10**9)] == [0.5, 0.5, 0.5]


def test_a_short_run_warms_up_for_a_tenth_of_itself() -> None:
    schedule = Schedule(peak=1.0, warmup=100, total=50)
    assert schedule.learning_rate(3) == pytest.approx(0.8)
    assert schedule.learning_rate(4) == 1.0
    assert schedule.learning_rate(6) < 1.0


@pytest.mark.parametrize("total", [1, 9, 100, None])
def test_without_warm_up_the_first_step_is_at_the_peak(total: int | None) -> None:
    assert Schedule(peak=0.3, warmup=0, total=total).learning_rate(0) == 0.3


@pytest.mark.parametrize("total", [1, 10])
def test_nothing_is_learned_after_the_end(total: int) -> None:
    schedule = Schedule(peak=1.0, warmup=5, total=total)
    assert schedule.learning_rate(total - 1) > 0
    assert [schedule.learning_rate(step) for step in (total, total + 1, 10**9)] == [0, 0, 0]


@settings(deadline=None)
@given(
    peak=st.floats(1e-8, 10),
    warmup=st.integers(0, 10**6),
    total=st.integers(1, 400),
)
def test_the_rate_rises_once_to_the_peak_and_falls_once(
    peak: float, warmup: int, total: int
) -> None:
    schedule = Schedule(peak, warmup, total)
    rates = [schedule.learning_rate(step) for step in range(total)]
    top = rates.index(max(rates))
    assert rates[top] == peak
    assert min(rates) > 0
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert top <= total / 10


def test_a_length_learned_later_gives_the_schedule_that_knew_it_from_the_start() -> None:
    open_ended = Schedule(peak=0.5, warmup=10, total=None)
    assert open_ended.with_total(200) == Schedule(peak=0.5, warmup=10, total=200)
    assert open_ended.total is None
