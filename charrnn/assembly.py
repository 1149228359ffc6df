"""A request and its corpus -> what trains: here the settings are unpacked."""

from __future__ import annotations

import numpy as np

from charrnn.averaging import WeightAverage
from charrnn.corpus import Corpus
from charrnn.device import Compute, choose_device
from charrnn.errors import UsageError
from charrnn.heldout import HeldOut
from charrnn.learner import Learner
from charrnn.model import build_model
from charrnn.modelconfig import ModelConfig
from charrnn.optimizer import build_optimizers
from charrnn.recordstreams import fit, stream
from charrnn.request import Request
from charrnn.schedule import Schedule
from charrnn.streams import Shape
from charrnn.train import Trainer


def fit_to(request: Request, corpus: Corpus) -> Shape:
    """The shape, within what is asked for, in which a corpus is read.

    Raises:
        CorpusError: it is too short to train on.
        UsageError: a model that would not learn from it in that shape.
    """
    model, train = request.model, request.train
    if corpus.records is not None and model.norm == "batch":
        raise UsageError(
            "--norm batch takes the mean over what is read side by side, and records of different "
            "lengths leave gaps in it: give --norm layer, or leave it out"
        )
    train_ids, _ = corpus.split(train.valid)
    shape = fit(train_ids, corpus.end, batch=train.batch, window=train.window)
    _refuse_idle_layers(model, shape)
    return shape


def _refuse_idle_layers(model: ModelConfig, shape: Shape) -> None:
    """Raise UsageError if a layer would not run often enough in a window to learn."""
    runs = shape.window // 2**model.pyramid
    what = f"windows of {shape.window:,} characters in {shape.batch:,} streams"
    if not runs:
        raise UsageError(
            f"--pyramid {model.pyramid} has a layer that runs once every {2**model.pyramid:,} "
            f"characters, too seldom for {what}: give a longer --window, and a text that fills it"
        )
    if model.norm == "batch" and runs * shape.batch < 2:
        raise UsageError(
            f"--norm batch takes the mean of several characters, and {what} have one for a layer: "
            "give a longer --window or a larger --batch, and a text that fills them"
        )


def assemble(request: Request, corpus: Corpus, shape: Shape, *, begins_trained: bool) -> Trainer:
    """The trainer of a model with weights as they are drawn.

    Args:
        request: settled: no length or device is left open.
        corpus: the text.
        shape: from :func:`fit_to`.
        begins_trained: see :class:`charrnn.train.Trainer`.
    """
    train = request.train
    train_ids, held_out = corpus.split(train.valid)
    streams = stream(train_ids, corpus.end, shape, train.seed)
    compute = Compute(choose_device(request.compute.device), request.compute.precision)
    model = build_model(request.model, len(corpus.alphabet), train.seed).to(compute.device)
    steps = train.steps
    if train.epochs is not None:
        steps = train.epochs * streams.windows_per_epoch
    learner = Learner(
        model,
        WeightAverage(model, train.average),
        build_optimizers(model, train.optimizer, train.weight_decay),
        compute,
        batch=shape.batch,
        clip=train.clip,
        clip_value=train.clip_value,
        dropout=request.model.dropout,
        weight_drop=request.model.weight_drop,
        # Another stream than the one the weights are drawn from.
        seed=int(np.random.SeedSequence([train.seed, 1]).generate_state(1)[0]),
    )
    return Trainer(
        learner,
        streams,
        HeldOut(held_out, corpus.end),
        Schedule(train.learning_rate, train.warmup, steps),
        seconds=None if train.minutes is None else train.minutes * 60,
        evaluations=train.evaluations,
        goes_back=train.on_divergence == "rollback",
        begins_trained=begins_trained,
    )
