"""Held-out text is scored from its beginning, records whole."""

import numpy as np
import pytest

from charrnn.models.char_model import build_model
from charrnn.training.validation import HeldOut
from tests.support.arrangements import configure

END = 0
RECORDS = np.array([END, 1, 2, END, 2, END, 1, 1, 2, 2, END], np.uint8)


@pytest.fixture
def most(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    most: int = request.param
    monkeypatch.setattr("charrnn.training.validation.MOST_SCORED", most)
    return most


@pytest.mark.parametrize("most", [1, 7, 10, 11, 12], indirect=True)
def test_of_a_long_text_the_beginning_is_scored(most: int) -> None:
    assert HeldOut(RECORDS).ids.tolist() == RECORDS[:most].tolist()


@pytest.mark.parametrize(
    ("most", "scored"),
    [(1, 4), (3, 4), (4, 4), (5, 4), (6, 6), (10, 6), (11, 11), (12, 11)],
    indirect=["most"],
)
def test_of_many_records_the_first_that_fit_are_scored_and_one_at_least(
    most: int, scored: int
) -> None:
    held_out = HeldOut(RECORDS, END)
    assert held_out.ids.tolist() == RECORDS[:scored].tolist()


@pytest.mark.parametrize("end", [None, END])
def test_every_character_is_scored_or_charged_once(end: int | None) -> None:
    held_out = HeldOut(RECORDS, end)
    model = build_model(configure("gru", hidden=4, embedding=2), 3)
    tally = held_out.tally(model)
    for nats, characters in held_out.score(model):
        tally.add(nats, characters)
    assert tally.characters == len(RECORDS) - (end is not None)
    assert tally.nats > 0
