"""What a run is to do: the settings of a command, and what the recipe chooses around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from charrnn.alphabet import Ids
from charrnn.config import ComputeConfig, SourceConfig, TrainConfig
from charrnn.corpus import Corpus
from charrnn.device import products_per_second, settle_compute
from charrnn.kernels.library import find
from charrnn.modelconfig import ModelConfig
from charrnn.recipe import SHARE_OF_PRODUCTS, SHARE_UNCOMPILED, Situation, choose, with_layers
from charrnn.registry import CELLS
from charrnn.request import Request


def all_left_open() -> dict[str, Any]:
    """The settings of a user who names none: what the recipe chooses is None."""
    return {
        field.name: None if field.metadata["by_recipe"] else field.default
        for config in (ModelConfig, TrainConfig, ComputeConfig)
        for field in fields(config)
    }


def settle(
    settings: Mapping[str, Any],
    source: SourceConfig,
    corpus: Corpus,
    *,
    generated: bool,
    begins_trained: bool = False,
) -> tuple[Request, str]:
    """The request once the recipe has chosen what the settings leave open, and why it did."""
    wished = ModelConfig.pick(with_layers(settings))
    compute = settle_compute(ComputeConfig.pick(settings), wished)
    compiled = CELLS[wished.cell].compiled and compute.device == "cpu" and find() is not None
    share = SHARE_OF_PRODUCTS if compiled else SHARE_UNCOMPILED
    train_ids, _ = corpus.split(settings["valid"])
    rate = share * products_per_second(compute)
    situation = Situation(
        max(len(train_ids), 1),
        len(corpus.alphabet),
        rate,
        generated,
        begins_trained,
        record=_mean_record(train_ids, corpus.end),
    )
    choice = choose(settings, situation)
    model, train = ModelConfig.pick(choice.settings), TrainConfig.pick(choice.settings)
    return Request(source, model, train, compute), choice.reason


def _mean_record(ids: Ids, end: int | None) -> float | None:
    """Characters of a record in the mean, its end included; None if the text is one."""
    return None if end is None else len(ids) / max(int(np.count_nonzero(ids == end)), 1)
