"""What to train, and for how long, where nobody says: from the text, the time and the machine.

The numbers below come from the experiments in ``tests/benchmarks/EXPERIMENTS.md``. Nothing that a
user names is changed; the rest is chosen around it. Knows nothing of torch.
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
from charrnn.training.progress import SettingsChosen

LEAST_MINUTES, MOST_MINUTES = 0.1, 10.0
LEAST_HIDDEN, MOST_HIDDEN, HIDDEN_STEP = 128, 2048, 64

SHARE_OF_PRODUCTS = 0.6
"""Of the machine's rate of large matrix products, what training a compiled cell reaches."""

SHARE_UNCOMPILED = 0.1
"""The same for cells that torch runs step by step."""

_MINUTES_OF_A_MEGABYTE = 2.0
_HIDDEN_OF_A_TERAFLOP, _GROWTH_OF_HIDDEN = 275, 0.16
_LEAST_STEPS = 600
_EPOCHS_OF_ONE_LAYER = 12.0
_CHARACTERS_OF_RECORDS = 1024
_STRAIN_WITHOUT_DROPOUT = 4.5
_DROPOUT_OF_A_DOUBLING, _MOST_DROPOUT = 0.09, 0.5
_MOST_DECAY = 0.3
_WIDEST_AT_FULL_RATE = 512
_RATE_OF_WHAT_IS_TRAINED = 0.3

TOLD = (
    *("minutes", "batch", "layers", "hidden", "dropout", "weight_drop", "weight_decay"),
    "learning_rate",
)
"""The settings that the user is told of when they have been chosen."""

_CONFIGS = (ModelConfig, TrainConfig, ComputeConfig)
_OF_TRAINING = ("dropout", "weight_drop")
"""Settings of the model that concern its training alone."""

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Situation:
    """What a choice depends on.

    Attributes:
        characters: of the text to train on.
        alphabet_size: how many different ones.
        operations_per_second: floating-point operations that training gets through here, for this
            cell and precision.
        generated: whether the text is drawn from a rule, which reading it often does not overfit.
        begins_trained: whether training goes on from a model.
        record: mean characters of a record, its end included; None if the text is one.
    """

    characters: int
    alphabet_size: int
    operations_per_second: float
    generated: bool = False
    begins_trained: bool = False
    record: float | None = None


@dataclass(frozen=True)
class Choice:
    """The settings that were left open.

    Attributes:
        settings: all of them, those that were given included.
        told: what to tell the user of; None if nothing was left open.
    """

    settings: dict[str, Any]
    told: SettingsChosen | None


def choose(given: Settings, situation: Situation) -> Choice:
    """Choose what ``given`` leaves open (lacks, or has as None)."""
    settings = {name: value for name, value in given.items() if value is not None}
    minutes = settings.get("minutes", default_minutes(situation.characters))
    if not any(name in settings for name in LENGTHS):
        settings["minutes"] = minutes
    if situation.record is not None:
        settings.setdefault("batch", batch_of_records(situation.record))
    operations = situation.operations_per_second * minutes * 60
    settings = _sized(settings, situation, operations)
    epochs = _epochs(settings, situation, operations)
    weights = _multiplied(ModelConfig.pick(settings), situation.alphabet_size)
    # Reading it again brings no more of what a rule can make, and no less.
    read = 0.0 if situation.generated else epochs
    dropout = dropout_for(read, weights / situation.characters)
    settings.setdefault("dropout", dropout)
    settings.setdefault("weight_drop", 0.0 if settings.get("stack_only") else dropout)
    if settings["optimizer"] == "adamw":
        share = _RATE_OF_WHAT_IS_TRAINED if situation.begins_trained else 1.0
        settings.setdefault("weight_decay", weight_decay_for(dropout))
        rate = share * learning_rate_for(settings["layers"] * settings["hidden"])
        settings.setdefault("learning_rate", round(rate, 5))
    chosen = {name: settings[name] for name in TOLD if name in settings and given.get(name) is None}
    told = SettingsChosen(chosen, situation.characters, epochs, situation.operations_per_second)
    return Choice(settings, told if chosen else None)


def complete_settings(given: Settings, network: ModelConfig | None = None) -> dict[str, Any]:
    """Put a value beside the name of every setting of a run; None leaves the choice open.

    Args:
        given: the settings that were named.
        network: of the model that is gone on from, which stays as it is; None if there is none.

    Raises:
        UsageError: a setting out of its bounds, settings that contradict each other, or a network
            other than the one to go on from.
        ValueError: a name that is no setting's.
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
        kept = {k: v for k, v in network.to_dict().items() if k not in _OF_TRAINING}
        for name, value in kept.items():
            if given.get(name, value) != value:
                raise UsageError(
                    f"is {given[name]} and the model to go on from has {value}: its network "
                    "stays as it is",
                    Remedy("leave it out"),
                    Remedy("begin with fresh weights"),
                    settings=(name,),
                )
        settings |= kept
    for config in _CONFIGS:
        config.pick(with_layers(settings))
    return settings


def with_layers(settings: Settings) -> dict[str, Any]:
    """The settings with as few layers as they allow, if they leave the number open."""
    if settings.get("layers") is not None:
        return dict(settings)
    return {**settings, "layers": least_layers(settings)}


def default_minutes(characters: int) -> float:
    """Minutes of training for a text: more for a longer one, but less than in proportion."""
    minutes = _MINUTES_OF_A_MEGABYTE * math.sqrt(characters / 1e6)
    return round(min(max(minutes, LEAST_MINUTES), MOST_MINUTES), 2)


def batch_of_records(record: float) -> int:
    """Records of that many characters to read side by side: short ones by the thousand characters.

    A step of fewer is over before its overhead is.
    """
    return max(TrainConfig.batch, round(_CHARACTERS_OF_RECORDS / record))


def hidden_for(
    operations: float, layers: int, alphabet_size: int, characters_of_a_step: float
) -> int:
    """Hidden units of each layer that so many floating-point operations train best.

    However many layers they are in, the units are about as many, and so few that there is time
    for some hundred steps. Where the alphabet is large, so is the head's share of the operations:
    layers are narrower then, so that all weights together are about as many.
    """
    units = _HIDDEN_OF_A_TERAFLOP * (operations / 1e12) ** _GROWTH_OF_HIDDEN
    # Counted as for LSTMs: four matrices of H x H lead into a layer from below, but for the first,
    # and four from its past; each weight takes six operations a character.
    of_a_square_unit = 6 * 4 * characters_of_a_step * _LEAST_STEPS
    units = min(units, math.sqrt(operations / of_a_square_unit)) / layers
    # matrices * H^2 + alphabet_size * H = matrices * units^2
    matrices = 4 * (2 * layers - 1)
    half = alphabet_size / (2 * matrices)
    blocks = round((math.hypot(units, half) - half) / HIDDEN_STEP)
    return min(max(HIDDEN_STEP * blocks, LEAST_HIDDEN), MOST_HIDDEN)


def dropout_for(epochs: float, weights_per_character: float) -> float:
    """Share to drop of units and of recurrent weights.

    What learns a text by heart is reading it often with many weights: nearly a tenth more is
    dropped for each doubling of the epochs, or for four times the weights.

    Args:
        epochs: how many times the text is read.
        weights_per_character: weights of the matrices for each character of the text.
    """
    strain = epochs * math.sqrt(weights_per_character)
    doublings = math.log2(max(strain / _STRAIN_WITHOUT_DROPOUT, 1.0))
    return round(min(_DROPOUT_OF_A_DOUBLING * doublings, _MOST_DROPOUT), 2)


def weight_decay_for(dropout: float) -> float:
    """Weight decay of AdamW beside that much dropout."""
    return max(OPTIMIZERS["adamw"].weight_decay, min(dropout, _MOST_DECAY))


def learning_rate_for(units: int) -> float:
    """Peak learning rate of AdamW for layers of so many hidden units together."""
    narrowness = min(_WIDEST_AT_FULL_RATE / units, 1.0)
    return round(OPTIMIZERS["adamw"].learning_rate * math.sqrt(narrowness), 4)


def least_layers(settings: Settings) -> int:
    """One layer, unless what is given needs more."""
    if settings.get("pyramid"):
        return int(settings["pyramid"]) + 1
    return 2 if settings.get("connect") in ("residual", "sum") else 1


def operations_per_character(model: ModelConfig, alphabet_size: int) -> float:
    """Floating-point operations of all matrix products for one trained character.

    Each weight of a matrix multiplies and adds once on the way forward and twice on the way back.
    """
    return 6.0 * _multiplied(model, alphabet_size)


def _multiplied(model: ModelConfig, alphabet_size: int) -> int:
    """Weights of a model that are multiplied for each character."""
    shapes = list_parameter_shapes(model, alphabet_size)
    return sum(math.prod(s) for name, s in shapes.items() if len(s) == 2 and name != EMBEDDING)


def _sized(settings: Settings, situation: Situation, operations: float) -> dict[str, Any]:
    """The settings with layers and hidden units."""
    one = _with_hidden(with_layers(settings), situation, operations)
    read = 0.0 if situation.generated else _epochs(one, situation, operations)
    # Stacks are not shared out between layers as units are: a second one has as many again.
    if "layers" in settings or one["layers"] > 1 or one["cell"] in takers("stacks"):
        return one
    # Where a wide layer would read the text that often, two narrower ones learn more of it.
    if read <= _EPOCHS_OF_ONE_LAYER:
        return one
    return _with_hidden({**settings, "layers": 2}, situation, operations)


def _with_hidden(settings: Settings, situation: Situation, operations: float) -> dict[str, Any]:
    alphabet_size, of_a_step = situation.alphabet_size, _characters_of_a_step(settings, situation)
    chosen = hidden_for(operations, settings["layers"], alphabet_size, of_a_step)
    return {"hidden": chosen, **settings}


def _epochs(settings: Settings, situation: Situation, operations: float) -> float:
    """How many times the text will be read."""
    if "epochs" in settings:
        return float(settings["epochs"])
    if "steps" in settings:
        characters = settings["steps"] * _characters_of_a_step(settings, situation)
    else:
        model = ModelConfig.pick(settings)
        characters = operations / operations_per_character(model, situation.alphabet_size)
    return float(characters / situation.characters)


def _characters_of_a_step(settings: Settings, situation: Situation) -> float:
    window = min(settings.get("window", TrainConfig.window), situation.record or math.inf)
    return float(settings.get("batch", TrainConfig.batch) * window)
