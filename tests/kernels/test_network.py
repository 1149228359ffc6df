"""The native network against torch's, and against itself in other company."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from charrnn.config.model import ModelConfig
from charrnn.config.processors import count_processors
from charrnn.inference import native_backend
from charrnn.inference.sampling import draw_index, filter_distribution
from charrnn.kernels.library import BASELINE, load_build
from charrnn.kernels.network import Filters, Floats
from charrnn.models.parameter_shapes import list_parameter_shapes
from tests.support.networks import (
    RUNNABLE,
    SERVED,
    make_model,
    native,
    needs_library,
    random_ids,
)

STEPS, ROWS = 40, 17

BFLOAT16 = 0.1
"""The error of rounding to 8 significant bits in logits whose deviation is about 2."""

pytestmark = needs_library


@pytest.fixture(params=RUNNABLE)
def chosen_build(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every build of the library that this processor runs."""
    kernels = load_build(request.param)
    monkeypatch.setattr(native_backend, "load_kernels", lambda: kernels)
    return str(request.param)


def torch_logits(arrangement: str, hidden: int = 19) -> Floats:
    model = make_model(arrangement, hidden=hidden)
    ids = torch.from_numpy(random_ids(STEPS, ROWS).astype(np.int64))
    logits: Floats = model(ids, model.initial_states(ROWS))[0].numpy()
    return logits


@pytest.mark.parametrize("arrangement", SERVED)
def test_logits_are_those_of_torch(chosen_build: str, arrangement: str) -> None:
    for hidden in (16, 19, 70):
        model = make_model(arrangement, hidden=hidden)
        network = native(arrangement, model)
        expected = torch_logits(arrangement, hidden)
        logits = network.predict(random_ids(STEPS, ROWS), network.fresh_states(ROWS))
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
        rounded = native(arrangement, model, bfloat16=True)
        logits = rounded.predict(random_ids(STEPS, ROWS), rounded.fresh_states(ROWS))
        np.testing.assert_allclose(logits, expected, rtol=0, atol=BFLOAT16)


@pytest.mark.slow
@pytest.mark.parametrize("arrangement", SERVED)
def test_a_row_is_the_same_in_any_company(chosen_build: str, arrangement: str) -> None:
    for bfloat16 in (False, True):
        network = native(arrangement, make_model(arrangement, hidden=37), bfloat16=bfloat16)
        ids = random_ids(STEPS, ROWS)
        whole = network.predict(ids, network.fresh_states(ROWS))
        for rows in range(1, ROWS + 1):
            for threads in (1, 3):
                few = network.predict(ids[:, :rows], network.fresh_states(rows), threads)
                np.testing.assert_array_equal(few, whole[:, :rows])


@pytest.mark.parametrize("arrangement", SERVED)
def test_one_pass_equals_chunks_with_the_state_carried(arrangement: str) -> None:
    for bfloat16 in (False, True):
        network = native(arrangement, make_model(arrangement), bfloat16=bfloat16)
        ids = random_ids(STEPS, 3)
        states = network.fresh_states(3)
        whole = network.predict(ids, network.fresh_states(3))
        chunks = [network.predict(part, states) for part in np.split(ids, [1, 9, 30])]
        np.testing.assert_array_equal(np.concatenate(chunks), whole)


@pytest.mark.parametrize("characters", [2, 15, 16, 300])
def test_alphabets_of_every_size(characters: int) -> None:
    model = make_model("gru", characters=characters)
    network = native("gru", model)
    ids = np.random.default_rng(0).integers(characters, size=(STEPS, 3))
    expected = model(torch.from_numpy(ids), model.initial_states(3))[0].numpy()
    logits = network.predict(ids, network.fresh_states(3))
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("characters", [2, 15, 16, 300])
def test_nats_are_those_of_the_logits(chosen_build: str, characters: int) -> None:
    network = native("lstm", make_model("lstm", characters=characters))
    ids = np.random.default_rng(0).integers(characters, size=(STEPS + 1, 3))
    states = network.fresh_states(3)
    logits = network.predict(ids[:-1], states.copy()).astype(np.float64)
    nats = network.score(ids[:-1], ids[1:], states)
    wanted = np.take_along_axis(logits, ids[1:, :, None], -1)[..., 0]
    expected = np.log(np.exp(logits).sum(-1)) - wanted
    np.testing.assert_allclose(nats, expected, rtol=0, atol=3e-7)


FILTERS = [
    Filters(),
    Filters(temperature=0.0),
    Filters(temperature=0.3),
    Filters(temperature=3.0, top_k=1),
    Filters(top_k=5),
    Filters(top_k=999),
    Filters(top_p=0.0),
    Filters(top_p=0.7),
    Filters(min_p=0.2),
    Filters(min_p=1.0),
    Filters(temperature=1.7, top_k=7, top_p=0.9, min_p=0.05),
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_draws_are_those_of_the_filtered_distribution(filters: Filters) -> None:
    network = native("lstm", make_model("lstm"))
    uniforms = np.random.default_rng(3).random((5, 200))
    last = np.arange(5)
    drawn = network.draw(last, uniforms, network.fresh_states(5), filters)
    read = np.concatenate((last[:, None], drawn[:, :-1]), axis=1).T
    logits = network.predict(read, network.fresh_states(5)).astype(np.float64)
    expected = [
        [
            draw_index(filter_distribution(logits[n, row], filters), uniforms[row, n])
            for n in range(200)
        ]
        for row in range(5)
    ]
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_equals_are_filtered_in_the_order_of_the_alphabet(filters: Filters) -> None:
    model = make_model("lstm", characters=40)
    torch.nn.init.zeros_(model.head.weight)
    model.head.bias.copy_(torch.arange(40) % 4)
    network = native("lstm", model)
    uniforms = (np.arange(500) + 0.37) / 500  # Clear of where one character meets the next.
    drawn = network.draw(np.zeros(1, int), uniforms[None], network.fresh_states(1), filters)
    left = filter_distribution(model.head.bias.double().numpy(), filters)
    np.testing.assert_array_equal(drawn[0], [draw_index(left, uniform) for uniform in uniforms])


def test_drawing_in_blocks_equals_drawing_at_once() -> None:
    network = native("gru", make_model("gru"), bfloat16=True)
    uniforms = np.random.default_rng(3).random((3, 60))
    whole = network.draw(np.arange(3), uniforms, network.fresh_states(3), Filters(), 2)
    states, parts = network.fresh_states(3), []
    last: NDArray[Any] = np.arange(3)
    for part in np.split(uniforms, [1, 3, 40], axis=1):
        parts.append(network.draw(last, part, states, Filters()))
        last = parts[-1][:, -1]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_rows_that_are_not_finite_are_marked() -> None:
    model = make_model("rnn")
    model.head.bias[2] = torch.inf
    network = native("rnn", model)
    drawn = network.draw(np.zeros(2, int), np.zeros((2, 4)), network.fresh_states(2), Filters())
    np.testing.assert_array_equal(drawn, np.full((2, 4), -1))


HOSTILE = [
    np.array([[11]]),
    np.array([[-1]]),
    np.array([[2**31]]),
    np.array([[2**32 + 1]]),
    np.array([[2**64 - 1]], np.uint64),
    np.array([[0.0]]),
    np.array([[True]]),
]


def test_ids_beyond_the_alphabet_are_refused() -> None:
    network = native("lstm", make_model("lstm"))
    states, sound = network.fresh_states(1), np.zeros((1, 1), int)
    calls: list[Callable[[NDArray[Any]], object]] = [
        lambda ids: network.read(ids, states),
        lambda ids: network.predict(ids, states),
        lambda ids: network.score(ids, sound, states),
        lambda ids: network.score(sound, ids, states),
        lambda ids: network.draw(ids[0], np.zeros((1, 1)), states, Filters()),
    ]
    for ids in HOSTILE:
        for call in calls:
            with pytest.raises(ValueError, match="ids"):
                call(ids)


def test_states_of_another_sort_are_refused() -> None:
    network = native("lstm", make_model("lstm"))
    sound = network.fresh_states(2)
    ids = np.zeros((1, 2), int)
    others: list[NDArray[Any]] = [
        sound[:, :, :1],
        sound.astype(np.float64),
        np.asfortranarray(sound),
        network.fresh_states(3)[:, :, :2],
    ]
    for states in others:
        with pytest.raises(ValueError, match="states are"):
            network.read(ids, states)


def test_there_is_a_thread_at_least() -> None:
    assert count_processors() >= 1
    assert BASELINE in RUNNABLE


@pytest.mark.parametrize("arrangement", SERVED)
def test_what_is_not_a_number_stays_so(chosen_build: str, arrangement: str) -> None:
    model = make_model(arrangement)
    network = native(arrangement, model)
    states = network.fresh_states(2)
    states[0, :, 1] = np.nan
    logits = network.predict(random_ids(3, 2), states)
    assert np.isfinite(logits[:, 0]).all()
    assert np.isnan(logits[:, 1]).all()


@pytest.mark.parametrize("end", ["candidate_bias", "head.bias", "recurrent_weight"])
def test_weights_that_do_not_go_together_are_refused(end: str) -> None:
    config = ModelConfig(cell="gru", layers=2, hidden=16, embedding=8)
    shapes = list_parameter_shapes(config, 5)
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    native_backend.build_network(config, weights)
    shorter = {name: each[:-1] if name.endswith(end) else each for name, each in weights.items()}
    with pytest.raises(ValueError, match="is of shape"):
        native_backend.build_network(config, shorter)
