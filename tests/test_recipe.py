"""How long to train when nobody says."""

from __future__ import annotations

import pytest

from charrnn.config import TrainConfig
from charrnn.recipe import EPOCHS, LEAST_STEPS, MOST_STEPS, default_steps


@pytest.mark.parametrize("windows", [1, LEAST_STEPS // EPOCHS])
def test_a_short_text_is_read_more_often(windows: int) -> None:
    assert default_steps(windows) == LEAST_STEPS


def test_a_text_in_between_is_read_for_whole_epochs() -> None:
    windows = LEAST_STEPS // EPOCHS + 1
    assert default_steps(windows) == EPOCHS * windows > LEAST_STEPS


@pytest.mark.parametrize("windows", [MOST_STEPS // EPOCHS, MOST_STEPS // EPOCHS + 1, 10**12])
def test_a_huge_text_is_left_before_its_end(windows: int) -> None:
    assert default_steps(windows) == MOST_STEPS


@pytest.mark.parametrize("windows", [1, 1_000, 10**12])
def test_the_recipe_is_a_length_that_a_user_could_have_given(windows: int) -> None:
    steps = default_steps(windows)
    assert TrainConfig(steps=steps).steps == steps
