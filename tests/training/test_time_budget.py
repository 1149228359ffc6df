"""A run that is limited by time ends on time, whatever its machine does meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from charrnn.data.batches import Position
from charrnn.training.progress import Progress
from charrnn.training.time_budget import StepTimer, plan_steps


def timed(steps: int, seconds_each: float, before: Progress | None = None) -> Progress:
    progress = before or Progress()
    for _ in range(steps):
        progress = after_step(progress, seconds_each)
    return progress


def after_step(progress: Progress, seconds: float) -> Progress:
    return progress.after_step(Position(0, progress.step + 1), nats=1.0, seconds=seconds)


def run(seconds: float, step_seconds: Callable[[float], float]) -> tuple[Progress, int]:
    """Run a machine whose next step takes a time that depends on the time so far.

    Returns the progress at the end, and how often the number of steps was planned.
    """
    progress, plans = Progress(), 0
    while progress.total is None or progress.step < progress.total:
        before = progress.total
        progress = plan_steps(after_step(progress, step_seconds(progress.seconds)), seconds)
        plans += progress.total != before
    return progress, plans


def test_the_first_steps_are_not_timed() -> None:
    slow_start = timed(3, seconds_each=9.0)
    assert plan_steps(slow_start, 100) == slow_start
    progress = plan_steps(timed(20, 0.5, slow_start), 100)
    assert progress.total == 23 + round((100 - 3 * 9.0 - 20 * 0.5) / 0.5)


@pytest.mark.parametrize(("seconds", "enough"), [(10, 1), (180, 18), (600, 30), (3600, 30)])
def test_a_tenth_of_a_run_is_timed_and_half_a_minute_is_enough(seconds: int, enough: int) -> None:
    steps = 3 + 4 * enough
    assert plan_steps(timed(steps - 1, seconds_each=0.25), seconds).total is None
    assert plan_steps(timed(steps, seconds_each=0.25), seconds).total == 4 * seconds


@pytest.mark.parametrize("steps", [1, 5])
def test_a_run_without_time_for_more_steps_ends_where_it_stands(steps: int) -> None:
    assert plan_steps(timed(steps, seconds_each=30.0), 20).total == steps


def test_on_a_steady_machine_the_number_of_steps_is_planned_once() -> None:
    progress, plans = run(60, lambda now: 0.01)
    assert plans == 1
    assert progress.seconds == pytest.approx(60, rel=0.01)


@pytest.mark.parametrize("seconds", [3, 60])
@pytest.mark.parametrize("moment", [0.0, 0.05, 0.11, 0.5, 0.9, 0.97])
@pytest.mark.parametrize("factor", [0.25, 0.5, 0.9, 1.1, 1.5, 2.0, 4.0, 8.0])
def test_a_machine_that_changes_its_speed_ends_the_run_on_time(
    seconds: float, moment: float, factor: float
) -> None:
    progress, _ = run(seconds, lambda now: 0.02 * (factor if now >= moment * seconds else 1))
    assert progress.seconds == pytest.approx(seconds, rel=0.05)


@pytest.mark.parametrize("period", [0.01, 0.05, 0.2, 0.7])
def test_a_machine_whose_speed_comes_and_goes_ends_the_run_on_time(period: float) -> None:
    progress, plans = run(100, lambda now: 0.01 if now / (100 * period) % 2 < 1 else 0.03)
    assert progress.seconds == pytest.approx(100, rel=0.05)
    assert plans <= 40


def test_long_steps_end_within_a_step_of_the_time() -> None:
    progress, _ = run(100, lambda now: 7.0)
    assert progress.seconds == pytest.approx(100, abs=7)


class Clocks:
    """The clocks of a process that runs and is suspended."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0

    def pass_by(self, wall: float, processor: float) -> None:
        self.wall += wall
        self.processor += processor


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(time, "perf_counter", lambda: clocks.wall)
    monkeypatch.setattr(time, "thread_time", lambda: clocks.processor)
    return clocks


def time_steps(clocks: Clocks, steps: list[tuple[float, float]]) -> list[float]:
    timer, seconds = StepTimer(), []
    for wall, processor in steps:
        timer.start()
        clocks.pass_by(wall, processor)
        seconds.append(timer.stop())
    return seconds


def test_the_time_of_a_suspended_process_is_not_counted(clocks: Clocks) -> None:
    steps = [(0.01, 0.02), (25.01, 0.02), (0.01, 0.02), (8.01, 0.02), (0.01, 0.02)]
    assert time_steps(clocks, steps) == pytest.approx([0.01, 0.02, 0.01, 0.02, 0.01])


def test_slow_steps_are_counted(clocks: Clocks) -> None:
    crowded = [(0.04, 0.01), (0.3, 0.01), (0.45, 0.02)]
    assert time_steps(clocks, crowded) == pytest.approx([0.04, 0.3, 0.45])


def test_of_long_idle_steps_in_a_row_only_the_first_counts_as_suspended(clocks: Clocks) -> None:
    waiting = [(4.0, 1.0)] * 4
    assert time_steps(clocks, waiting) == pytest.approx([1.0, 4.0, 4.0, 4.0])
