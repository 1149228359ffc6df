"""Automatic settings: choose each setting that is not given from the text, time and machine.

Settings that the user gives are kept. The constants below come from the experiments in
``tests/benchmarks/EXPERIMENTS.md``. This module does not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from charrnn.config.cells import takers
from charrnn.config.model import ModelConfig
from charrnn.config.training import LENGTHS, OPTIMIZERS, ComputeConfig, TrainConfig
from charrnn.display import did_you_mean
from charrnn.errors import Remedy, UsageError
from charrnn.models.parameter_shapes import EMBEDDING, list_parameter_shapes
from charrnn.training.expert_choice import MOST_PLACES
from charrnn.training.progress import SettingsChosen

LEAST_MINUTES, MOST_MINUTES = 0.1, 10.0
LEAST_HIDDEN, MOST_HIDDEN, HIDDEN_STEP = 128, 2048, 64

SHARE_OF_PRODUCTS = 0.6
"""The share of the measured rate of large matrix products that training a native cell reaches."""

SHARE_UNCOMPILED = 0.1
"""The same share for cells that torch runs step by step."""

_MINUTES_OF_A_MEGABYTE = 2.0
_HIDDEN_OF_A_TERAFLOP, _GROWTH_OF_HIDDEN = 275, 0.16
_LEAST_STEPS = 600
_EPOCHS_OF_ONE_LAYER = 12.0
_CHARACTERS_OF_RECORDS = 1024
_STRAIN_WITHOUT_DROPOUT = 4.5
_DROPOUT_OF_A_DOUBLING, _MOST_DROPOUT = 0.09, 0.5
_MOST_DECAY = 0.3
_WIDEST_AT_FULL_RATE = 512
_BATCH_OF_WHAT_IS_TRAINED, _WINDOW_OF_WHAT_IS_TRAINED = 16, 64
_RATE_OF_WHAT_IS_TRAINED, _STRAIN_OF_WHAT_IS_TRAINED = 0.3, 0.25
_SHARE_OF_EVALUATIONS, _LEAST_EVALUATIONS = 0.25, 2

REPORTED = (
    *("minutes", "batch", "window", "layers", "hidden", "dropout", "weight_drop", "weight_decay"),
    "learning_rate",
)
"""The settings that are reported to the user when they were chosen automatically."""

_CONFIGS = (ModelConfig, TrainConfig, ComputeConfig)
_FREE_IN_FINE_TUNING = ("dropout", "weight_drop")
"""The model settings that affect only its training, which fine-tuning may change."""

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Situation:
    """The facts that the automatic settings depend on.

    Attributes:
        characters: number of training characters.
        alphabet_size: V, the number of different characters.
        operations_per_second: floating-point operations per second that training reaches on this
            machine, for this cell and precision.
        generated: True if the text is drawn from a formal language; many epochs do not overfit it.
        begins_trained: True if a trained model is fine-tuned.
        scored: number of held-out characters that an evaluation scores.
        record: mean length of a record in characters, its end included; None for a continuous
            text.
    """

    characters: int
    alphabet_size: int
    operations_per_second: float
    generated: bool = False
    begins_trained: bool = False
    scored: int = 0
    record: float | None = None


@dataclass(frozen=True)
class Choice:
    """The result of :func:`choose_settings`.

    Attributes:
        settings: every setting, given or chosen.
        event: reports the chosen settings to the user; None if all settings were given.
    """

    settings: dict[str, Any]
    event: SettingsChosen | None


def choose_settings(given: Settings, situation: Situation) -> Choice:
    """Choose each setting that ``given`` lacks or has as None."""
    settings = {name: value for name, value in given.items() if value is not None}
    minutes = settings.get("minutes", choose_minutes(situation.characters))
    if not any(name in settings for name in LENGTHS):
        settings["minutes"] = minutes
    if situation.record is not None:
        settings.setdefault("batch", choose_record_batch(situation.record))
    elif situation.begins_trained:
        settings.setdefault("batch", _BATCH_OF_WHAT_IS_TRAINED)
        settings.setdefault("window", _WINDOW_OF_WHAT_IS_TRAINED)
    operations = situation.operations_per_second * minutes * 60
    settings = _sized(settings, situation, operations)
    epochs = _epochs(settings, situation, operations)
    weights = _multiplied(ModelConfig.pick(settings), situation.alphabet_size)
    if "evaluations" not in settings and "minutes" in settings:
        scored = situation.scored + MOST_PLACES * (settings["experts"] != "none")
        settings["evaluations"] = choose_evaluations(epochs * situation.characters, scored)
    # Of a formal language the network is to find the rule, not the counts its traces.
    if situation.generated and settings["experts"] == "auto":
        settings["experts"] = "none"
    # A generated text represents its rule fully: further epochs do not overfit it.
    read = 0.0 if situation.generated else epochs
    if situation.begins_trained:
        read *= _STRAIN_OF_WHAT_IS_TRAINED
    dropout = choose_dropout(read, weights / situation.characters)
    settings.setdefault("dropout", dropout)
    settings.setdefault("weight_drop", 0.0 if settings.get("stack_only") else dropout)
    if settings["optimizer"] == "adamw":
        share = _RATE_OF_WHAT_IS_TRAINED if situation.begins_trained else 1.0
        settings.setdefault("weight_decay", choose_weight_decay(dropout))
        rate = share * choose_learning_rate(settings["layers"] * settings["hidden"])
        settings.setdefault("learning_rate", round(rate, 5))
    chosen = {
        name: settings[name] for name in REPORTED if name in settings and given.get(name) is None
    }
    event = SettingsChosen(chosen, situation.characters, epochs, situation.operations_per_second)
    return Choice(settings, event if chosen else None)


def complete_settings(given: Settings, network: ModelConfig | None = None) -> dict[str, Any]:
    """Complete the given settings with defaults; None marks a setting to choose automatically.

    Args:
        given: the given settings, by name.
        network: settings of the model to fine-tune, whose network cannot change; None if training
            starts from scratch.

    Raises:
        UsageError: a setting is out of bounds, settings contradict each other, or the network
            differs from that of the model to fine-tune.
        ValueError: there is no setting of a name.
    """
    declared = {field.name: field for config in _CONFIGS for field in fields(config)}
    for name in given:
        if name not in declared:
            raise ValueError(f"there is no setting {name!r}{did_you_mean(name, declared)}")
    left_open = {
        name: None if field.metadata["automatic"] else field.default
        for name, field in declared.items()
    }
    settings = {**left_open, **given}
    if network is not None:
        other = find_contradiction(given, network)
        if other is not None:
            raise UsageError(
                f"is {given[other]}, but the model to fine-tune has {getattr(network, other)}: "
                "fine-tuning cannot change the network",
                Remedy("leave it out"),
                Remedy("train from scratch"),
                settings=(other,),
            )
        settings |= _kept(network)
    for config in _CONFIGS:
        config.pick(fill_layers(settings))
    return settings


def find_contradiction(given: Settings, network: ModelConfig) -> str | None:
    """Find a given setting of another network than that of the model to fine-tune; None if none."""
    kept = _kept(network).items()
    return next((name for name, value in kept if given.get(name) not in (None, value)), None)


def _kept(network: ModelConfig) -> dict[str, Any]:
    """Return the settings of a network that fine-tuning cannot change."""
    return {k: v for k, v in network.to_dict().items() if k not in _FREE_IN_FINE_TUNING}


def fill_layers(settings: Settings) -> dict[str, Any]:
    """Return the settings with the fewest layers that they allow, unless ``layers`` is given."""
    if settings.get("layers") is not None:
        return dict(settings)
    return {**settings, "layers": minimum_layers(settings)}


def choose_minutes(characters: int) -> float:
    """Choose the minutes of training, which grow with the square root of the text's length."""
    minutes = _MINUTES_OF_A_MEGABYTE * math.sqrt(characters / 1e6)
    return round(min(max(minutes, LEAST_MINUTES), MOST_MINUTES), 2)


def choose_record_batch(record: float) -> int:
    """Choose the batch size for records of this mean length: about a thousand characters a step.

    In a shorter step the overhead would dominate.
    """
    return max(TrainConfig.batch, round(_CHARACTERS_OF_RECORDS / record))


def choose_hidden(
    operations: float, layers: int, alphabet_size: int, characters_of_a_step: float
) -> int:
    """Choose the hidden units of each layer for a budget of floating-point operations.

    The units of all layers together depend on the budget, not on the number of layers, and are few
    enough that some hundred steps fit into it. A large alphabet makes the head larger: layers are
    narrower then, so that the total number of weights stays about the same.
    """
    units = _HIDDEN_OF_A_TERAFLOP * (operations / 1e12) ** _GROWTH_OF_HIDDEN
    # Counted as for LSTMs: each layer has four recurrent H x H matrices and, above the first, four
    # input ones; each weight takes six operations per character.
    of_a_square_unit = 6 * 4 * characters_of_a_step * _LEAST_STEPS
    units = min(units, math.sqrt(operations / of_a_square_unit)) / layers
    # matrices * H^2 + alphabet_size * H = matrices * units^2
    matrices = 4 * (2 * layers - 1)
    half = alphabet_size / (2 * matrices)
    blocks = round((math.hypot(units, half) - half) / HIDDEN_STEP)
    return min(max(HIDDEN_STEP * blocks, LEAST_HIDDEN), MOST_HIDDEN)


def choose_dropout(epochs: float, weights_per_character: float) -> float:
    """Choose the dropout probability of units and of recurrent weights.

    Many epochs with many weights memorize a text: dropout rises by nearly a tenth for each
    doubling of the epochs, and for four times the weights.

    Args:
        epochs: epochs of the run.
        weights_per_character: matrix weights divided by the characters of the text.
    """
    strain = epochs * math.sqrt(weights_per_character)
    doublings = math.log2(max(strain / _STRAIN_WITHOUT_DROPOUT, 1.0))
    return round(min(_DROPOUT_OF_A_DOUBLING * doublings, _MOST_DROPOUT), 2)


def choose_weight_decay(dropout: float) -> float:
    """Choose AdamW's weight decay for a dropout probability."""
    return max(OPTIMIZERS["adamw"].weight_decay, min(dropout, _MOST_DECAY))


def choose_learning_rate(units: int) -> float:
    """Choose AdamW's peak learning rate for the hidden units of all layers together."""
    narrowness = min(_WIDEST_AT_FULL_RATE / units, 1.0)
    return round(OPTIMIZERS["adamw"].learning_rate * math.sqrt(narrowness), 4)


def choose_evaluations(read: float, scored: int) -> int:
    """Choose the number of evaluations: as many as take about a quarter of the time of training.

    Training on a character takes about three times as long as scoring one.

    Args:
        read: characters that the run reads.
        scored: characters that an evaluation scores.
    """
    affordable = int(_SHARE_OF_EVALUATIONS * 3 * read / max(scored, 1))
    return min(max(affordable, _LEAST_EVALUATIONS), TrainConfig.evaluations)


def minimum_layers(settings: Settings) -> int:
    """Return the fewest layers that the given settings allow."""
    if settings.get("pyramid"):
        return int(settings["pyramid"]) + 1
    return 2 if settings.get("connect") in ("residual", "sum") else 1


def count_operations(model: ModelConfig, alphabet_size: int) -> float:
    """Count the floating-point operations of all matrix products for one training character.

    Each matrix weight is multiplied and added once in the forward pass, twice in the backward one.
    """
    return 6.0 * _multiplied(model, alphabet_size)


def _multiplied(model: ModelConfig, alphabet_size: int) -> int:
    """Count the weights of a model that are multiplied for each character."""
    shapes = list_parameter_shapes(model, alphabet_size)
    return sum(math.prod(s) for name, s in shapes.items() if len(s) == 2 and name != EMBEDDING)


def _sized(settings: Settings, situation: Situation, operations: float) -> dict[str, Any]:
    """Add layers and hidden units to the settings that lack them."""
    one = _with_hidden(fill_layers(settings), situation, operations)
    read = 0.0 if situation.generated else _epochs(one, situation, operations)
    # A second layer does not halve the stacks of the first, as it does the units: it adds its own.
    if "layers" in settings or one["layers"] > 1 or one["cell"] in takers("stacks"):
        return one
    # With more epochs than this, two narrower layers learn more than one wide layer.
    if read <= _EPOCHS_OF_ONE_LAYER:
        return one
    return _with_hidden({**settings, "layers": 2}, situation, operations)


def _with_hidden(settings: Settings, situation: Situation, operations: float) -> dict[str, Any]:
    alphabet_size, of_a_step = situation.alphabet_size, _characters_of_a_step(settings, situation)
    chosen = choose_hidden(operations, settings["layers"], alphabet_size, of_a_step)
    return {"hidden": chosen, **settings}


def _epochs(settings: Settings, situation: Situation, operations: float) -> float:
    """Estimate the epochs of the run."""
    if "epochs" in settings:
        return float(settings["epochs"])
    if "steps" in settings:
        characters = settings["steps"] * _characters_of_a_step(settings, situation)
    else:
        model = ModelConfig.pick(settings)
        characters = operations / count_operations(model, situation.alphabet_size)
    return float(characters / situation.characters)


def _characters_of_a_step(settings: Settings, situation: Situation) -> float:
    window = min(settings.get("window", TrainConfig.window), situation.record or math.inf)
    return float(settings.get("batch", TrainConfig.batch) * window)
