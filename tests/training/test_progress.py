import pytest

from charrnn.data.batches import Position
from charrnn.training.progress import Progress


def timed(steps: int, seconds_each: float) -> Progress:
    progress = Progress()
    for window in range(1, steps + 1):
        progress = progress.after_step(Position(0, window), nats=1.0, seconds=seconds_each)
    return progress


def test_the_first_steps_are_not_timed() -> None:
    slow_start = timed(3, seconds_each=9.0)
    assert slow_start.estimate_total(100) is None
    progress = slow_start
    for window in range(4, 24):
        progress = progress.after_step(Position(0, window), nats=1.0, seconds=0.5)
    assert progress.estimate_total(100) == 23 + round((100 - 3 * 9.0 - 20 * 0.5) / 0.5)


@pytest.mark.parametrize(("seconds", "enough"), [(10, 1), (180, 18), (600, 30), (3600, 30)])
def test_a_tenth_of_a_run_is_timed_and_half_a_minute_is_enough(seconds: int, enough: int) -> None:
    steps = 3 + 4 * enough
    assert timed(steps - 1, seconds_each=0.25).estimate_total(seconds) is None
    assert timed(steps, seconds_each=0.25).estimate_total(seconds) == 4 * seconds


def test_a_run_without_time_for_more_steps_ends_where_it_stands() -> None:
    assert timed(5, seconds_each=10.0).estimate_total(20) == 5
