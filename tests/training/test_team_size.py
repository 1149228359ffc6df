"""The number of threads follows the speed of steps, and trials cost little of the time."""

import random
from collections.abc import Callable

import pytest

from charrnn.training.team_size import TeamSize

Speed = Callable[[int, float], float]
"""Work per second on a number of threads, after some seconds."""


def simulate(most: int, speed: Speed, seconds: float, work: float = 1.0) -> tuple[TeamSize, float]:
    """Take steps for some time; return the team and the work per second that was done."""
    team, clock, done = TeamSize(most), 0.0, 0.0
    while clock < seconds:
        took = work / speed(team.threads, clock)
        clock += took
        done += work
        team.record(took, work)
    return team, done / clock


def scaling(threads: int, _: float) -> float:
    return 1000.0 * float(threads**0.9)


def contended(threads: int, _: float) -> float:
    return 1000.0 / threads


@pytest.mark.parametrize("most", [1, 2, 3, 6, 16])
def test_threads_that_help_are_all_used(most: int) -> None:
    _, rate = simulate(most, scaling, 60)
    assert rate >= 0.97 * scaling(most, 0)


@pytest.mark.parametrize("most", [2, 3, 6, 16])
@pytest.mark.parametrize("work", [1.0, 100.0, 2000.0])
def test_threads_that_hinder_are_not_used(most: int, work: float) -> None:
    _, rate = simulate(most, contended, seconds=10 * work + 60, work=work)
    assert rate >= 0.95 * contended(1, 0)


def test_a_number_between_is_found() -> None:
    def best_at_four(threads: int, _: float) -> float:
        return 1000.0 / (1 + abs(threads - 4))

    _, rate = simulate(16, best_at_four, 60)
    assert rate >= 0.95 * 1000.0


def test_load_that_comes_and_goes_is_followed() -> None:
    def speed(threads: int, clock: float) -> float:
        return contended(threads, clock) if 20 < clock < 60 else scaling(threads, clock)

    _, rate = simulate(2, speed, 100)
    possible = (60 * scaling(2, 0) + 40 * contended(1, 0)) / 100
    assert rate >= 0.93 * possible


def test_noise_does_not_make_it_worse_than_one_thread() -> None:
    chance = random.Random(1)

    def speed(threads: int, _: float) -> float:
        return 1000.0 if threads == 1 else 900.0 * chance.choice((0.2, 1.0, 1.9))

    _, rate = simulate(2, speed, 300)
    assert rate >= 0.95 * 1000.0


def test_one_thread_is_never_left() -> None:
    team = TeamSize(1)
    for _ in range(100):
        team.record(1.0, 1.0)
        assert team.threads == 1
