"""Streams are contiguous, targets follow inputs, and a position is all that must be remembered.

The ids of most tests are 0, 1, 2 ..., so that an id is its own place in the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn.data.batches import (
    LEAST_WINDOWS,
    ContinuousStreams,
    Position,
    Shape,
    Streams,
    Window,
    fit_shape,
)
from charrnn.data.encoded_text import ContinuousText
from charrnn.errors import CorpusError

sizes = given(
    characters=st.integers(2, 3_000),
    batch=st.integers(1, 80),
    window=st.integers(1, 400),
    seed=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 2**31),
)


def text_of(characters: int) -> ContinuousText:
    return ContinuousText(np.arange(characters))


def make(characters: int, batch: int, window: int, seed: int = 1) -> ContinuousStreams:
    text = text_of(characters)
    return ContinuousStreams(text, fit_shape(text, batch, window), seed)


def epoch_of(streams: Streams, epoch: int = 0) -> Iterator[Window]:
    position = Position(epoch)
    while position.epoch == epoch:
        yield streams.read(position)
        position = streams.after(position)


@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_streams_are_contiguous_from_window_to_window(epoch: int) -> None:
    inputs = np.concatenate([x for x, _ in epoch_of(make(1_000, 4, 16), epoch)])
    for stream in inputs.T:
        assert stream.tolist() == list(range(stream[0], stream[0] + len(stream)))


def test_streams_lie_side_by_side_without_gap_or_overlap() -> None:
    inputs = np.concatenate([x for x, _ in epoch_of(make(1_000, 4, 16))])
    assert inputs[0, 1:].tolist() == (inputs[-1, :-1] + 1).tolist()


@pytest.mark.parametrize("epoch", [0, 3])
def test_targets_are_the_characters_that_follow_in_the_text(epoch: int) -> None:
    for inputs, targets in epoch_of(make(1_000, 4, 16), epoch):
        assert np.array_equal(targets, inputs + 1)


def test_windows_hold_the_ids_of_the_text() -> None:
    text = np.random.default_rng(5).integers(200, size=1_000).astype(np.uint8)
    shape = fit_shape(ContinuousText(text), 4, 16)
    places = make(1_000, 4, 16, seed=9)
    streams = ContinuousStreams(ContinuousText(text), shape, 9)
    for (inputs, targets), (at, next_at) in zip(epoch_of(streams), epoch_of(places), strict=True):
        assert inputs.dtype == targets.dtype == np.int64
        assert np.array_equal(inputs, text[at])
        assert np.array_equal(targets, text[next_at])


def test_time_comes_first_in_a_window() -> None:
    streams = make(1_000, 4, 16)
    for array in streams.read(Position()):
        assert array.shape == (16, 4)
        assert array.flags.c_contiguous
    assert streams.characters_per_window == 64


def test_epochs_begin_at_offsets_of_their_own() -> None:
    streams = make(10_000, 4, 16)
    offsets = [streams.offset(epoch) for epoch in range(40)]
    assert len(set(offsets)) > 20
    assert [next(epoch_of(streams, epoch))[0][0, 0] for epoch in range(40)] == offsets


def test_an_offset_depends_on_the_seed_and_the_epoch_alone() -> None:
    streams, same, changed = (make(10_000, 4, 16, seed) for seed in (3, 3, 4))
    offsets = [streams.offset(epoch) for epoch in range(9)]
    assert [same.offset(epoch) for epoch in reversed(range(9))] == offsets[::-1]
    assert [changed.offset(epoch) for epoch in range(9)] != offsets


def test_nearly_the_whole_of_a_long_text_is_read_in_an_epoch_and_nothing_twice() -> None:
    targets = np.concatenate([y.ravel() for _, y in epoch_of(make(100_000, 32, 64))])
    assert len(set(targets.tolist())) == targets.size
    assert targets.size >= 100_000 - 1 - (32 * 64 + 64)


@pytest.mark.parametrize(("characters", "batch", "window"), [(50, 4, 3), (9, 32, 4), (200, 2, 16)])
def test_over_the_epochs_every_character_is_predicted(
    characters: int, batch: int, window: int
) -> None:
    streams = make(characters, batch, window)
    seen = {int(i) for epoch in range(300) for _, y in epoch_of(streams, epoch) for i in y.ravel()}
    assert seen == set(range(1, characters))


@settings(deadline=None)
@given(place=st.integers(0, 100), seed=st.integers(0, 2**63 - 1))
def test_reading_goes_on_from_a_restored_position_as_if_never_stopped(
    place: int, seed: int
) -> None:
    streams = make(700, 3, 8, seed)
    position = Position()
    for _ in range(place):
        position = streams.after(position)
    restored = Position(**json.loads(json.dumps(asdict(position))))
    fresh = make(700, 3, 8, seed)
    for _ in range(streams.windows_per_epoch + 2):
        for was, now in zip(streams.read(position), fresh.read(restored), strict=True):
            assert np.array_equal(was, now)
        position, restored = streams.after(position), fresh.after(restored)


def test_the_position_after_the_last_window_begins_the_next_epoch() -> None:
    streams = make(1_000, 4, 16)
    last = streams.windows_per_epoch - 1
    assert streams.after(Position(2, last - 1)) == Position(2, last)
    assert streams.after(Position(2, last)) == Position(3, 0)


@pytest.mark.parametrize(
    ("characters", "expected"),
    [
        (8 * 32 * 128 + 1, Shape(32, 128)),
        (8 * 32 * 128, Shape(31, 128)),
        (8 * 2 * 128 + 1, Shape(2, 128)),
        (8 * 2 * 128, Shape(1, 128)),
        (129, Shape(1, 128)),
        (128, Shape(1, 127)),
        (3, Shape(1, 2)),
        (2, Shape(1, 1)),
    ],
)
def test_a_short_text_gives_up_streams_and_then_shortens_the_window(
    characters: int, expected: Shape
) -> None:
    assert fit_shape(text_of(characters), 32, 128) == expected


@pytest.mark.parametrize("characters", [0, 1])
def test_a_text_in_which_nothing_follows_anything_is_refused(characters: int) -> None:
    with pytest.raises(CorpusError, match=f"training text: {characters}; at least 2"):
        fit_shape(text_of(characters), 32, 128)


def test_two_characters_are_one_window_of_one() -> None:
    streams = make(2, 32, 128)
    assert streams.windows_per_epoch == 1
    for epoch in range(3):
        inputs, targets = streams.read(Position(epoch))
        assert (inputs.tolist(), targets.tolist()) == ([[0]], [[1]])


@settings(deadline=None)
@sizes
@example(characters=2, batch=1, window=1, seed=0, epoch=0)
@example(characters=3_000, batch=80, window=400, seed=2**63 - 1, epoch=2**31)
def test_any_text_of_two_characters_or_more_has_windows_within_it(
    characters: int, batch: int, window: int, seed: int, epoch: int
) -> None:
    shape = fit_shape(text_of(characters), batch, window)
    assert 1 <= shape.batch <= batch
    assert 1 <= shape.window <= window
    streams = ContinuousStreams(text_of(characters), shape, seed)
    assert streams.windows_per_epoch >= 1
    first, _ = streams.read(Position(epoch))
    _, last = streams.read(Position(epoch, streams.windows_per_epoch - 1))
    # An index below zero would not fail but read from the end, and show here as a jump.
    assert first.shape == last.shape == (shape.window, shape.batch)
    assert 0 <= first[0, 0] <= last[-1, -1] < characters
    trained = streams.windows_per_epoch * streams.characters_per_window
    assert last[-1, -1] - first[0, 0] == trained


@settings(deadline=None)
@sizes
def test_a_fitted_shape_could_not_be_larger(
    characters: int, batch: int, window: int, seed: int, epoch: int
) -> None:
    shape = fit_shape(text_of(characters), batch, window)
    targets = characters - 1
    assert shape.batch * shape.window <= targets
    assert shape.batch == batch or (shape.batch + 1) * shape.window * LEAST_WINDOWS > targets
    assert shape.window in (window, targets)
