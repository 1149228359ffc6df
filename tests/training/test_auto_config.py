"""Automatic settings: around the given ones, within bounds, larger for more time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from charrnn.config.model import ModelConfig
from charrnn.config.training import TrainConfig
from charrnn.training.auto_config import (
    HIDDEN_STEP,
    LEAST_HIDDEN,
    LEAST_MINUTES,
    MOST_HIDDEN,
    MOST_MINUTES,
    Situation,
    choose_dropout,
    choose_hidden,
    choose_learning_rate,
    choose_minutes,
    choose_settings,
    count_operations,
)

MEGABYTE = Situation(characters=1_000_000, alphabet_size=65, operations_per_second=5e11)
STEP = TrainConfig.batch * TrainConfig.window
GIVEN = {"cell": "lstm", "optimizer": "adamw", "experts": "auto"}


def chosen(given: dict[str, Any], situation: Situation = MEGABYTE) -> dict[str, Any]:
    return choose_settings({**GIVEN, **given}, situation).settings


@pytest.mark.parametrize(
    "given",
    [
        {"layers": 3},
        {"hidden": 100},
        {"embedding": 7},
        {"dropout": 0.9},
        {"weight_drop": 0.0},
        {"batch": 5},
        {"window": 33},
        {"learning_rate": 0.5},
        {"minutes": 7.5},
        {"epochs": 3},
        {"steps": 10},
    ],
)
def test_what_is_given_stays(given: dict[str, Any]) -> None:
    settings = chosen(given)
    assert {name: settings[name] for name in given} == given


def test_a_formal_language_is_counted_only_when_asked() -> None:
    generated = replace(MEGABYTE, generated=True)
    assert chosen({}, generated)["experts"] == "none"
    assert chosen({"experts": "ngram"}, generated)["experts"] == "ngram"
    assert chosen({})["experts"] == "auto"


@pytest.mark.parametrize("length", [{"epochs": 3}, {"steps": 10}, {"minutes": 2.0}])
def test_a_length_that_is_given_is_the_only_one(length: dict[str, Any]) -> None:
    assert {"epochs", "steps", "minutes"} & chosen(length).keys() == length.keys()


def test_a_length_is_chosen_where_none_is_given() -> None:
    assert chosen({})["minutes"] == choose_minutes(MEGABYTE.characters)


@pytest.mark.parametrize("characters", [1, 1_000, 10**6, 10**9, 10**12])
def test_minutes_stay_within_their_bounds(characters: int) -> None:
    assert LEAST_MINUTES <= choose_minutes(characters) <= MOST_MINUTES
    assert choose_minutes(characters) <= choose_minutes(2 * characters)


@pytest.mark.parametrize("operations", [0.0, 1e9, 1e12, 1e15, 1e30])
def test_hidden_sizes_stay_within_their_bounds(operations: float) -> None:
    hidden = choose_hidden(operations, 1, 65, STEP)
    assert LEAST_HIDDEN <= hidden <= MOST_HIDDEN
    assert hidden % HIDDEN_STEP == 0
    assert (
        choose_hidden(operations, 3, 65, STEP)
        <= hidden
        <= choose_hidden(2 * operations, 1, 65, STEP)
    )


@pytest.mark.parametrize("layers", [1, 2])
def test_a_large_alphabet_makes_layers_narrower_and_weights_no_more(layers: int) -> None:
    def weights(alphabet_size: int) -> float:
        hidden = choose_hidden(1e15, layers, alphabet_size, STEP)
        return (4 * (2 * layers - 1) * hidden + alphabet_size) * hidden

    assert choose_hidden(1e15, layers, 7_000, STEP) < choose_hidden(1e15, layers, 65, STEP)
    # Hidden sizes are rounded by up to 32 units.
    assert weights(7_000) == pytest.approx(weights(65), rel=0.3)


def test_layers_are_narrow_where_there_is_time_for_few_steps() -> None:
    def steps(characters_of_a_step: float) -> float:
        hidden = choose_hidden(1e13, 1, 65, characters_of_a_step)
        return 1e13 / (6 * (4 * hidden + 65) * hidden) / characters_of_a_step

    roomy = choose_hidden(1e13, 1, 65, STEP / 8)
    assert choose_hidden(1e13, 1, 65, STEP / 16) == roomy
    assert choose_hidden(1e13, 1, 65, 4 * STEP) < choose_hidden(1e13, 1, 65, STEP) <= roomy
    # Hidden sizes are rounded by up to 32 units.
    assert 400 < steps(STEP) < steps(STEP / 8)
    assert steps(4 * STEP) > 400
    narrow, wide = (chosen({"minutes": 0.1, "batch": batch})["hidden"] for batch in (128, 16))
    assert narrow < wide


def test_more_time_makes_a_larger_network_that_learns_more_slowly() -> None:
    short, long = chosen({"minutes": 0.5}), chosen({"minutes": 30})
    assert short["layers"] * short["hidden"] < long["layers"] * long["hidden"]
    assert short["learning_rate"] > long["learning_rate"]


def test_a_text_that_is_read_often_is_learned_with_more_dropout() -> None:
    assert choose_dropout(0.1, 2) == choose_dropout(1, 2) == 0
    assert 0 < choose_dropout(5, 2) < choose_dropout(20, 2) < choose_dropout(10**9, 2) < 0.95
    assert chosen({"epochs": 1})["dropout"] == 0
    settings = chosen({"epochs": 50})
    assert settings["dropout"] == settings["weight_drop"] > chosen({"epochs": 10})["dropout"]


def test_many_weights_for_a_text_want_more_dropout() -> None:
    assert choose_dropout(10, 1) < choose_dropout(10, 4) == choose_dropout(20, 1)
    narrow, wide = (chosen({"epochs": 20, "hidden": hidden}) for hidden in (128, 1024))
    assert narrow["dropout"] < wide["dropout"]


def test_a_text_that_a_wide_layer_would_read_often_gets_a_second_layer() -> None:
    seldom, often = chosen({"epochs": 5}), chosen({"epochs": 20})
    assert (seldom["layers"], often["layers"]) == (1, 2)
    assert 2 * often["hidden"] == pytest.approx(seldom["hidden"], abs=HIDDEN_STEP)
    assert chosen({"epochs": 20, "layers": 1})["layers"] == 1
    generated = choose_settings({**GIVEN, "epochs": 20}, replace(MEGABYTE, generated=True))
    assert generated.settings["layers"] == 1


def test_a_network_without_a_recurrent_matrix_drops_none_of_it() -> None:
    given = {"cell": "stack", "stack_only": True, "epochs": 50}
    assert chosen(given)["weight_drop"] == 0


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_other_optimizers_keep_defaults_of_their_own(optimizer: str) -> None:
    assert not {"learning_rate", "weight_decay"} & set(chosen({"optimizer": optimizer}))


def test_a_wide_layer_learns_more_slowly_and_a_narrow_one_no_faster() -> None:
    assert choose_learning_rate(16) == choose_learning_rate(512) > choose_learning_rate(1024)


@pytest.mark.parametrize(
    ("given", "layers"),
    [
        ({"epochs": 1}, 1),
        ({"pyramid": 2}, 3),
        ({"connect": "sum"}, 2),
        ({"connect": "sum", "epochs": 50}, 2),
        ({"cell": "gru", "epochs": 50}, 2),
        ({"cell": "stack", "stacks": 1024, "stack_depth": 1500, "epochs": 50}, 1),
    ],
)
def test_there_are_as_many_layers_as_what_is_given_needs(
    given: dict[str, Any], layers: int
) -> None:
    settings = chosen(given)
    assert settings["layers"] == layers
    assert ModelConfig(**{k: v for k, v in settings.items() if k in vars(ModelConfig())})


@pytest.mark.parametrize("minutes", [0.001, 1, 10**5])
@pytest.mark.parametrize("characters", [1, 10**4, 10**9])
@pytest.mark.parametrize("rate", [1e6, 1e12, 1e16])
def test_every_choice_is_one_that_a_user_could_have_given(
    minutes: float, characters: int, rate: float
) -> None:
    settings = chosen({"minutes": minutes}, Situation(characters, 10_000, rate))
    for config in (ModelConfig, TrainConfig):
        given = {k: v for k, v in settings.items() if k in vars(config())}
        assert given
        assert vars(config(**given)).items() >= given.items()


def test_what_was_chosen_is_told_and_nothing_that_was_given() -> None:
    event = choose_settings({**GIVEN, "hidden": 320, "epochs": 2}, MEGABYTE).event
    assert event is not None
    assert event.settings["layers"] == 1
    assert "hidden" not in event.settings
    assert (event.characters, event.epochs) == (1_000_000, 2)


def test_nothing_is_told_where_all_was_given() -> None:
    settings = chosen({})
    assert choose_settings(settings, MEGABYTE).event is None


def test_operations_are_counted_by_the_weights() -> None:
    shape = ModelConfig(cell="gru", layers=2, hidden=8, embedding=4)
    weights = 3 * 8 * (8 + 4) + 3 * 8 * (8 + 8) + 8 * 5
    assert count_operations(shape, alphabet_size=5) == 6 * weights


def test_a_generated_text_is_learned_without_dropout_however_often_it_is_read() -> None:
    settings = choose_settings({**GIVEN, "epochs": 50}, replace(MEGABYTE, generated=True)).settings
    assert settings["dropout"] == settings["weight_drop"] == 0


def test_weights_decay_more_where_a_text_is_read_often() -> None:
    assert chosen({"epochs": 1})["weight_decay"] < chosen({"epochs": 50})["weight_decay"]
    assert chosen({"epochs": 50, "weight_decay": 0.5})["weight_decay"] == 0.5


def test_a_text_that_is_made_by_a_rule_is_not_regularised_for_being_read_often() -> None:
    often, once = chosen({"epochs": 50}, replace(MEGABYTE, generated=True)), chosen({"epochs": 1})
    for name in ("dropout", "weight_drop", "weight_decay"):
        assert often[name] == once[name]


def test_what_goes_on_from_a_model_learns_more_slowly() -> None:
    rates = [
        chosen({}, replace(MEGABYTE, begins_trained=trained))["learning_rate"]
        for trained in (True, False)
    ]
    assert rates[0] < rates[1]


def test_what_goes_on_from_a_model_takes_smaller_steps_and_less_dropout() -> None:
    trained = replace(MEGABYTE, begins_trained=True)
    small, usual = (
        chosen({"hidden": 512, "epochs": 20}, trained),
        chosen({"hidden": 512, "epochs": 20}),
    )
    assert small["batch"] * small["window"] < STEP
    assert 0 < small["dropout"] < usual["dropout"]
    assert chosen({"batch": 5, "window": 33}, trained).items() >= {"batch": 5, "window": 33}.items()
    assert chosen({}, replace(trained, record=8))["batch"] == 128


def test_evaluations_take_a_quarter_of_the_time_that_is_given() -> None:
    def evaluations(scored: int, **given: float) -> int | None:
        return chosen(given, replace(MEGABYTE, scored=scored)).get("evaluations")

    assert evaluations(1_000, minutes=1) == TrainConfig.evaluations
    assert evaluations(10**9, minutes=1) == 2
    assert evaluations(10**9, minutes=1, evaluations=7) == 7
    assert evaluations(10**9, steps=100) is None
    assert evaluations(10**9, epochs=1) is None
    few, more = (evaluations(4_000_000, minutes=minutes) for minutes in (5, 10))
    assert few is not None
    assert more is not None
    assert 2 < few < more < TrainConfig.evaluations


def test_short_records_are_read_many_at_a_time() -> None:
    def batch(record: float | None, **given: int) -> int | None:
        return chosen(given, replace(MEGABYTE, record=record)).get("batch")

    assert batch(None) is None
    assert batch(300) == TrainConfig.batch
    assert batch(8) == 128
    assert batch(8, batch=7) == 7
    event = choose_settings(GIVEN, replace(MEGABYTE, record=8)).event
    assert event is not None
    assert event.settings["batch"] == 128


def test_steps_through_short_records_read_no_more_than_is_in_them() -> None:
    given = {"steps": 4000}
    texts = [chosen(given, replace(MEGABYTE, record=record)) for record in (None, 8)]
    assert texts[1]["dropout"] < texts[0]["dropout"]
