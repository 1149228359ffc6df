"""A training run in memory: settle what is left open, assemble what trains, save and resume.

This is the place where configurations are unpacked into plain arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from charrnn import __version__
from charrnn.checkpoints.checkpoint import TRAINING, Arrays, Checkpoint
from charrnn.checkpoints.model_file import (
    CorpusFacts,
    ModelFile,
    Scores,
    check_weights,
    describe_model,
    parse_description,
    select_arrays,
)
from charrnn.config.cells import CELLS
from charrnn.config.model import ModelConfig
from charrnn.config.training import LENGTHS, ComputeConfig, SourceConfig, TrainConfig
from charrnn.data.alphabet import Alphabet
from charrnn.data.batches import Shape, fit_shape, open_streams
from charrnn.data.corpus import Corpus, SplitCorpus
from charrnn.errors import CheckpointError, Remedy, UnknownCharacterError, UsageError
from charrnn.inference.torch_backend import check_states
from charrnn.kernels.library import NONE, load_kernels
from charrnn.models.char_model import build_model
from charrnn.models.device import Compute, choose_device, products_per_second, settle_compute
from charrnn.training.auto_config import (
    SHARE_OF_PRODUCTS,
    SHARE_UNCOMPILED,
    Situation,
    choose,
    default_minutes,
    with_layers,
)
from charrnn.training.fine_tuning import Origin, Transfer
from charrnn.training.optimizers import build_optimizers
from charrnn.training.progress import Evaluation, Progress, SettingsChosen
from charrnn.training.run_config import Request, SavedRun, check_unchanged
from charrnn.training.schedule import Schedule
from charrnn.training.train_state import Learner, WeightAverage
from charrnn.training.trainer import Trainer
from charrnn.training.validation import MOST_SCORED, HeldOut


@dataclass(frozen=True)
class Session:
    """A run that is ready to train or to go on.

    Attributes:
        origin: the model that it went on from; None if its weights were drawn.
        notes: what was changed from the request to fit the corpus, for the user.
    """

    request: Request
    alphabet: Alphabet
    corpus: CorpusFacts
    trainer: Trainer
    origin: Origin | None = None
    notes: tuple[str, ...] = ()

    def checkpoint(self) -> Checkpoint:
        """Everything needed to go on from here; its arrays share memory with the run.

        Raises:
            DivergedError: a weight is not finite, so that this is no place to go on from.
        """
        self.trainer.learner.check_finite()
        good = self.trainer.good
        header = {
            "charrnn": __version__,
            "torch": torch.__version__,
            "kernels": _kernels_of(self.request.model),
            **describe_model(self.request.model, self.alphabet, self.corpus),
            "source": self.request.source.to_dict(),
            "train": self.request.train.to_dict(),
            "compute": self.request.compute.to_dict(),
            "from": self.origin.to_dict() if self.origin else None,
            "progress": self.trainer.progress.to_dict(),
            "good": good.progress.to_dict() if good else None,
        }
        return Checkpoint(TRAINING, header, _arrays_of(self.trainer.tensors()))

    def model_file(self, evaluation: Evaluation) -> ModelFile:
        """The averaged weights as they were evaluated."""
        scores = Scores(
            step=evaluation.step,
            epoch=evaluation.epoch,
            train_seconds=evaluation.train_seconds,
            train_nats_per_char=evaluation.train_nats_per_char,
            valid_nats_per_char=evaluation.valid_nats_per_char,
        )
        arrays = _arrays_of(self.trainer.learner.average.model.state_dict())
        return ModelFile(self.request.model, self.alphabet, self.corpus, scores, arrays)


def begin(
    request: Request, split: SplitCorpus, name: str, start: Transfer | None = None
) -> Session:
    """Make a fresh run. Batch, window and length are fitted to the corpus and written down.

    Args:
        request: what is asked for; its device and precision are settled, see :func:`settle`.
        split: the text; that of ``start``, if there is one.
        name: what the user calls the text.
        start: the model to go on from; None draws the weights.

    Raises:
        CorpusError: the text is too short to train on.
        UsageError: no such device, or a model that would not learn from the text.
    """
    corpus = split.corpus
    shape = fit_to(request, split)
    notes = []
    if (shape.batch, shape.window) != (request.train.batch, request.train.window):
        what = "streams of" if corpus.records is None else "records side by side in"
        notes.append(
            f"{len(split.train):,} characters to train on fill {shape.batch} {what} windows of "
            f"{shape.window}, not {request.train.batch} of {request.train.window}"
        )
    train = replace(request.train, batch=shape.batch, window=shape.window)
    if all(getattr(train, length) is None for length in LENGTHS):
        train = replace(train, minutes=default_minutes(len(split.train)))
    request = replace(request, train=train)
    if len(split.held_out) > MOST_SCORED:
        notes.append(
            f"{len(split.held_out):,} characters are held out; evaluations during training score "
            f"the first {MOST_SCORED:,} of them, and a later evaluation all"
        )
    facts = CorpusFacts(name, corpus.digest, len(corpus), request.train.valid, corpus.records)
    origin = start.origin if start else None
    trainer = assemble(request, split, shape, begins_trained=origin is not None)
    if start:
        trainer.learner.begin_with(start.weights)
        notes.append(start.describe())
    return Session(request, corpus.alphabet, facts, trainer, origin, tuple(notes))


def resume(saved: SavedRun, corpus: Corpus, wished: Request | None = None) -> Session:
    """Take up a run where its checkpoint left it.

    Args:
        saved: the run's last checkpoint.
        corpus: the text it was trained on, read again.
        wished: the saved request with another computing part, or with its texts elsewhere; None
            leaves it as it was.

    Raises:
        CheckpointError: not a sound training checkpoint.
        CorpusError: the corpus is not the one that was trained on.
    """
    path, checkpoint, facts = saved.path, saved.checkpoint, saved.corpus
    request = wished or saved.request
    model, alphabet, _ = parse_description(path, checkpoint.header)
    for part in ("model.", "average."):
        check_weights(path, model, len(alphabet), select_arrays(part, checkpoint.arrays))
    check_unchanged(corpus, facts)
    try:
        corpus = corpus.reencode(alphabet)
    except UnknownCharacterError:
        raise CheckpointError(f"{path}: its alphabet is not that of the corpus it names") from None
    request = replace(request, compute=settle_compute(request.compute, model))
    notes = []
    kernels = _kernels_of(model)
    if (
        request.compute != saved.request.compute
        or checkpoint.header.get("torch") != torch.__version__
        # Files of before there were any do not say.
        or checkpoint.header.get("kernels", kernels) != kernels
    ):
        notes.append(
            "device, precision, threads, torch or native library are not those of before: the run "
            "goes on, but rounds differently from one that was never interrupted"
        )
    try:
        progress = Progress.from_dict(checkpoint.header.get("progress"))
        good = checkpoint.header.get("good")
        good = Progress.from_dict(good) if good is not None else None
        split = SplitCorpus.of(corpus, request.train.valid)
        shape = fit_to(request, split)
        states = select_arrays("state.", checkpoint.arrays)
        check_states(model, len(alphabet), shape.batch, states)
        origin = Origin.in_header(checkpoint.header)
        trainer = assemble(request, split, shape, begins_trained=origin is not None)
        tensors = {name: torch.from_numpy(array) for name, array in checkpoint.arrays.items()}
        trainer.restore(tensors, progress, good)
    except ValueError as problem:
        raise CheckpointError(f"{path}: does not hold a run to go on with: {problem}") from problem
    return Session(request, alphabet, facts, trainer, origin, tuple(notes))


def _kernels_of(model: ModelConfig) -> str:
    """The build of the native library that runs a model's cells; NONE if torch does."""
    kernels = load_kernels() if CELLS[model.cell].native_training else None
    return kernels.build if kernels else NONE


def _arrays_of(tensors: Mapping[str, Tensor]) -> Arrays:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def fit_to(request: Request, split: SplitCorpus) -> Shape:
    """The shape, within what is asked for, in which a corpus is read.

    Raises:
        CorpusError: it is too short to train on.
        UsageError: a model that would not learn from it in that shape.
    """
    model, train = request.model, request.train
    if split.corpus.records is not None and model.norm == "batch":
        raise UsageError(
            "is batch, which takes the mean over what is read side by side, and records of "
            "different lengths leave gaps in it",
            Remedy("take the mean over a character's numbers", "norm", "layer"),
            settings=("norm",),
        )
    shape = fit_shape(split.train, train.batch, train.window)
    _refuse_idle_layers(model, shape)
    return shape


def _refuse_idle_layers(model: ModelConfig, shape: Shape) -> None:
    """Raise UsageError if a layer would not run often enough in a window to learn."""
    runs = shape.window // 2**model.pyramid
    what = f"windows of {shape.window:,} characters in {shape.batch:,} streams"
    if not runs:
        raise UsageError(
            f"is {model.pyramid}, so that a layer runs once every {2**model.pyramid:,} "
            f"characters, too seldom for {what}",
            Remedy("read longer windows, of a text that fills them,", "window"),
            settings=("pyramid",),
        )
    if model.norm == "batch" and runs * shape.batch < 2:
        raise UsageError(
            f"is batch, which takes the mean of several characters, and {what} have one for a "
            "layer",
            Remedy("read longer windows, of a text that fills them,", "window"),
            Remedy("read more streams", "batch"),
            settings=("norm",),
        )


def assemble(
    request: Request, split: SplitCorpus, shape: Shape, *, begins_trained: bool
) -> Trainer:
    """The trainer of a model with weights as they are drawn.

    Args:
        request: settled: no length or device is left open.
        split: the text.
        shape: from :func:`fit_to`.
        begins_trained: see :class:`charrnn.training.trainer.Trainer`.
    """
    train = request.train
    corpus = split.corpus
    streams = open_streams(split.train, shape, train.seed)
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
        HeldOut(split.held_out),
        Schedule(train.learning_rate, train.warmup, steps),
        seconds=None if train.minutes is None else train.minutes * 60,
        evaluations=train.evaluations,
        goes_back=train.on_divergence == "rollback",
        begins_trained=begins_trained,
    )


def settle(
    settings: Mapping[str, Any],
    source: SourceConfig,
    split: SplitCorpus,
    *,
    generated: bool,
    begins_trained: bool = False,
) -> tuple[Request, SettingsChosen | None]:
    """Choose the settings that are left open.

    Returns:
        The request, and what was chosen; None if nothing was left open.
    """
    wished = ModelConfig.pick(with_layers(settings))
    compute = settle_compute(ComputeConfig.pick(settings), wished)
    native = (
        CELLS[wished.cell].native_training
        and compute.device == "cpu"
        and load_kernels() is not None
    )
    share = SHARE_OF_PRODUCTS if native else SHARE_UNCOMPILED
    corpus = split.corpus
    rate = share * products_per_second(compute)
    situation = Situation(
        max(len(split.train), 1),
        len(corpus.alphabet),
        rate,
        generated,
        begins_trained,
        record=split.train.mean_record_length,
    )
    choice = choose(settings, situation)
    model, train = ModelConfig.pick(choice.settings), TrainConfig.pick(choice.settings)
    return Request(source, model, train, compute), choice.told
