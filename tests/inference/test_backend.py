"""The contract of every backend: the caller owns the state, and rows and parts change nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn.config.inference import SampleConfig
from charrnn.errors import PredictionError
from charrnn.inference.backend import Backend, BackendState
from charrnn.inference.sampling import build_filters, draw_index, filter_distribution
from charrnn.kernels.network import Doubles, Filters, Floats
from tests.support.networks import (
    backend_of,
    both_kinds,
    every_backend,
    make_model,
    random_ids,
)

STEPS, ROWS = 41, 3
IDS = random_ids(STEPS, ROWS)
TARGETS = random_ids(STEPS + 1, ROWS)[1:]


def whole(backend: Backend) -> tuple[Floats, Doubles, BackendState]:
    """Logits, nats and the state after one pass over all steps of all rows."""
    logits, _ = backend.predict(IDS, backend.initial_state(ROWS))
    nats, state = backend.score(IDS, TARGETS, backend.initial_state(ROWS))
    return logits, nats, state


def assert_close(one: NDArray[Any], other: NDArray[Any]) -> None:
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@every_backend
def test_one_long_pass_equals_the_same_text_in_chunks(kind: str, arrangement: str) -> None:
    backend = backend_of(kind, arrangement)
    logits, nats, after = whole(backend)
    for size in (1, 5, 16):
        state, chunks = backend.initial_state(ROWS), []
        for number, begin in enumerate(range(0, STEPS, size)):
            block = slice(begin, begin + size)
            if number % 3 == 0:
                state = backend.read(IDS[block], state)
            elif number % 3 == 1:
                found, state = backend.predict(IDS[block], state)
                assert_close(found, logits[block])
            else:
                costs, state = backend.score(IDS[block], TARGETS[block], state)
                assert_close(costs, nats[block])
            chunks.append(block)
        assert chunks[-1].stop >= STEPS
        assert backend.joined(state, after).all()


@every_backend
def test_rows_are_independent(kind: str, arrangement: str) -> None:
    backend = backend_of(kind, arrangement)
    logits, nats, after = whole(backend)
    for row in range(ROWS):
        own = IDS[:, row : row + 1]
        found, state = backend.predict(own, backend.initial_state(1))
        assert_close(found[:, 0], logits[:, row])
        costs, _ = backend.score(own, TARGETS[:, row : row + 1], backend.initial_state(1))
        assert_close(costs[:, 0], nats[:, row])
        assert backend.joined(state, backend.select(after, np.array([row]))).all()


@every_backend
def test_the_nats_are_the_cross_entropy_of_the_logits(kind: str, arrangement: str) -> None:
    logits, nats, _ = whole(backend_of(kind, arrangement))
    weights = np.exp(logits.astype(np.float64))
    chosen = np.take_along_axis(weights, TARGETS[..., None].astype(np.int64), -1)[..., 0]
    np.testing.assert_allclose(nats, -np.log(chosen / weights.sum(-1)), rtol=1e-5)


@every_backend
def test_rows_can_be_chosen_and_repeated_in_any_order(kind: str, arrangement: str) -> None:
    backend = backend_of(kind, arrangement)
    state = backend.read(IDS, backend.initial_state(ROWS))
    rows = np.array([2, 0, 0, 1])
    found, _ = backend.predict(np.zeros((2, 4), np.uint8), backend.select(state, rows))
    expected, _ = backend.predict(np.zeros((2, 3), np.uint8), state)
    assert_close(found, expected[:, rows])
    assert backend.joined(backend.select(state, rows), backend.select(state, rows)).all()
    other = backend.select(state, np.array([2, 1, 0, 1]))
    assert list(backend.joined(backend.select(state, rows), other)) == [True, False, True, True]


def use_in_every_way(backend: Backend, state: BackendState) -> None:
    backend.read(IDS, state)
    backend.predict(IDS, state)
    backend.score(IDS, TARGETS, state)
    backend.draw(IDS[0], np.full((ROWS, 4), 0.5), state, Filters())
    backend.select(state, np.arange(ROWS))
    backend.joined(state, backend.initial_state(ROWS))


@every_backend
def test_a_state_is_never_changed(kind: str, arrangement: str) -> None:
    backend = backend_of(kind, arrangement)
    state = backend.read(IDS[:7], backend.initial_state(ROWS))
    before, _ = backend.predict(IDS, state)
    use_in_every_way(backend, state)
    after, _ = backend.predict(IDS, state)
    np.testing.assert_array_equal(before, after)


CONFIG = SampleConfig(temperature=0.9, top_k=8, top_p=0.95, min_p=0.01)


@pytest.mark.slow
@every_backend
def test_drawing_is_reading_each_character_and_choosing_the_next(
    kind: str, arrangement: str
) -> None:
    backend = backend_of(kind, arrangement)
    uniforms = np.random.default_rng(1).random((ROWS, 20))
    start = backend.read(IDS, backend.initial_state(ROWS))
    drawn, end = backend.draw(IDS[0], uniforms, start, build_filters(CONFIG))
    assert drawn.shape == (ROWS, 20)
    state, last = start, IDS[0]
    for n in range(20):
        logits, state = backend.predict(last[None], state)
        chosen = [
            draw_index(filter_distribution(one.astype(np.float64), build_filters(CONFIG)), uniform)
            for one, uniform in zip(logits[0], uniforms[:, n], strict=True)
        ]
        assert list(drawn[:, n]) == chosen
        last = drawn[:, n]
    assert backend.joined(end, state).all()


@every_backend
def test_drawing_in_parts_is_drawing_at_once(kind: str, arrangement: str) -> None:
    backend = backend_of(kind, arrangement)
    uniforms = np.random.default_rng(2).random((ROWS, 20))
    expected, _ = backend.draw(IDS[0], uniforms, backend.initial_state(ROWS), Filters())
    state, last, parts = backend.initial_state(ROWS), IDS[0], []
    for part in np.split(uniforms, [0, 1, 7], axis=1):
        drawn, state = backend.draw(last, part, state, Filters())
        last = drawn[:, -1] if drawn.size else last
        parts.append(drawn)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), expected)


@both_kinds
def test_what_is_drawn_for_a_row_is_the_same_in_any_company(kind: str) -> None:
    backend = backend_of(kind, "gru")
    rows = backend.rows_to_draw
    uniforms = np.random.default_rng(3).random((rows, 30))
    last = random_ids(rows)
    expected, _ = backend.draw(last, uniforms, backend.initial_state(rows), Filters())
    for some in ([1], [2, 0], [0, 1, 3]):
        drawn, _ = backend.draw(
            last[some], uniforms[some], backend.initial_state(len(some)), Filters()
        )
        np.testing.assert_array_equal(drawn, expected[some])


@both_kinds
@pytest.mark.parametrize("length", [0, 1, 50])
def test_any_length_of_text_is_read(kind: str, length: int) -> None:
    backend = backend_of(kind, "lstm")
    ids = random_ids(length, 1)
    state = backend.read(ids, backend.initial_state(1))
    expected = backend.initial_state(1)
    for step in ids:
        expected = backend.read(step[None], expected)
    assert backend.joined(state, expected).all()


@pytest.mark.parametrize(
    ("arrangement", "alignment", "state_size"),
    [
        ("lstm", 1, 2 * 2 * 19),
        ("gru", 1, 2 * 19),
        ("stack, shallow", 1, 2 * (19 + 3 * 5)),
        ("pyramid of lstm", 4, 3 * 2 * 19 + 2 * (19 + 1)),
    ],
)
def test_a_backend_says_how_large_a_state_is_and_which_pace_it_keeps(
    arrangement: str, alignment: int, state_size: int
) -> None:
    backend = backend_of("torch", arrangement)
    assert (backend.characters, backend.alignment) == (11, alignment)
    assert backend.state_size == state_size


@pytest.mark.parametrize("arrangement", ["lstm", "rnn"])
def test_the_native_backend_says_the_same(arrangement: str) -> None:
    native, through_torch = (backend_of(kind, arrangement) for kind in ("native", "torch"))
    for name in ("characters", "alignment", "state_size"):
        assert getattr(native, name) == getattr(through_torch, name)


def spoiled(kind: str, name: str) -> Backend:
    model = make_model("rnn")
    model.state_dict()[name].view(-1)[0] = np.inf
    return backend_of(kind, "rnn", model)


@both_kinds
@pytest.mark.parametrize("name", ["head.bias", "norms.1.weight"])
def test_drawing_from_predictions_that_are_not_finite_is_an_error(kind: str, name: str) -> None:
    backend = spoiled(kind, name)
    with pytest.raises(PredictionError, match="not finite"):
        backend.draw(IDS[0], np.full((ROWS, 9), 0.5), backend.initial_state(ROWS), Filters())


@both_kinds
def test_scores_of_predictions_that_are_not_finite_are_not_finite_either(kind: str) -> None:
    nats, _ = spoiled(kind, "head.bias").score(
        IDS, TARGETS, spoiled(kind, "head.bias").initial_state(ROWS)
    )
    assert not np.isfinite(nats).any()


@both_kinds
def test_long_texts_are_read_part_by_part(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = backend_of(kind, "lstm")
    logits, nats, after = whole(backend)
    monkeypatch.setattr("charrnn.inference.native_backend._STEPS_AT_ONCE", 7)
    monkeypatch.setattr("charrnn.inference.torch_backend._MOST_CHARACTERS_AT_ONCE", 7)
    again: Callable[[], Any] = lambda: backend.read(IDS, backend.initial_state(ROWS))  # noqa: E731
    assert backend.joined(again(), after).all()
    assert_close(whole(backend)[0], logits)
    assert_close(whole(backend)[1], nats)
