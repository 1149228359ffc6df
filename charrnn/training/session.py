"""A training session: a run in memory, built from a request, saved to and resumed from checkpoints.

Configurations are unpacked into plain arguments here.
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
    Learnt,
    ModelFile,
    Scores,
    check_weights,
    describe_model,
    parse_description,
    parse_learnt,
    select_arrays,
)
from charrnn.config.model import ModelConfig
from charrnn.config.processors import count_usual_threads
from charrnn.config.training import LENGTHS, ComputeConfig, SourceConfig, TrainConfig
from charrnn.data.alphabet import Alphabet
from charrnn.data.batches import Shape, fit_shape, open_streams
from charrnn.data.corpus import Corpus, SplitCorpus
from charrnn.errors import CheckpointError, Remedy, UnknownCharacterError, UsageError
from charrnn.inference.torch_backend import check_states
from charrnn.kernels.library import NONE, load_kernels
from charrnn.models.char_model import build_model
from charrnn.models.device import (
    Compute,
    choose_device,
    measure_products_per_second,
    settle_compute,
)
from charrnn.models.threads import explain_threads
from charrnn.training.auto_config import (
    SHARE_OF_PRODUCTS,
    SHARE_UNCOMPILED,
    Situation,
    choose_minutes,
    choose_settings,
    fill_layers,
)
from charrnn.training.expert_choice import can_fit
from charrnn.training.fine_tuning import Origin, Transfer
from charrnn.training.footprint import check_training_size
from charrnn.training.learnt import describe_learnt, trace_learnt
from charrnn.training.native_step import choose_step
from charrnn.training.optimizers import build_optimizers
from charrnn.training.progress import Evaluated, Progress, SettingsChosen
from charrnn.training.run_config import Request, SavedRun
from charrnn.training.run_data import check_unchanged, learn_another_text
from charrnn.training.schedule import Schedule
from charrnn.training.train_state import TrainState
from charrnn.training.trainer import Trainer
from charrnn.training.validation import MOST_SCORED, HeldOut
from charrnn.training.weight_average import WeightAverage


@dataclass(frozen=True)
class Session:
    """A run in memory that is ready to train.

    Attributes:
        request: the run's configuration, with every setting final.
        alphabet: the alphabet of its model.
        corpus: facts of its text.
        trainer: trains the model.
        origin: the base model of fine-tuning; None if it is trained from scratch.
        learnt: what its weights are trained on; None if an older version began the run.
        notes: messages for the user, such as changes of the request to fit the corpus.
    """

    request: Request
    alphabet: Alphabet
    corpus: CorpusFacts
    trainer: Trainer
    origin: Origin | None = None
    learnt: Learnt | None = None
    notes: tuple[str, ...] = ()

    @property
    def held_out_learnt(self) -> float:
        """The share of the held-out text that the base model was trained on."""
        return self.learnt.held_out if self.learnt else 0.0

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint to resume from; its arrays share memory with the run.

        Raises:
            DivergedError: a value of the state is not finite.
        """
        self.trainer.train_state.check_finite()
        good = self.trainer.good
        header = {
            "charrnn": __version__,
            "torch": torch.__version__,
            "kernels": _kernels_of(self.request.model),
            **describe_model(self.request.model, self.alphabet, self.corpus, self.learnt),
            "source": self.request.source.to_dict(),
            "files": [facts and facts.to_dict() for facts in self.request.files],
            "train": self.request.train.to_dict(),
            "compute": self.request.compute.to_dict(),
            "usual_threads": count_usual_threads(),
            "from": self.origin.to_dict() if self.origin else None,
            "progress": self.trainer.progress.to_dict(),
            "good": good.progress.to_dict() if good else None,
        }
        return Checkpoint(TRAINING, header, _arrays_of(self.trainer.tensors()))

    def model_file(self, evaluation: Evaluated) -> ModelFile:
        """Return a model file of the averaged weights with the scores of an evaluation."""
        scores = Scores(
            step=evaluation.step,
            epoch=evaluation.epoch,
            train_seconds=evaluation.train_seconds,
            train_nats_per_char=evaluation.train_nats_per_char,
            valid_nats_per_char=evaluation.valid_nats_per_char,
        )
        arrays = _arrays_of(self.trainer.train_state.average.model.state_dict())
        return ModelFile(
            self.request.model,
            self.alphabet,
            self.corpus,
            scores,
            arrays,
            learnt=self.learnt,
            expert=self.trainer.held_out.expert,
        )


def begin_session(
    request: Request, split: SplitCorpus, name: str, start: Transfer | None = None
) -> Session:
    """Begin a new run, with its batch size, window and length fitted to the corpus.

    Args:
        request: the configuration, with device and precision from :func:`build_request`.
        split: the text; that of ``start``, if one is given.
        name: the user's name for the text.
        start: the model to fine-tune; None trains from scratch.

    Raises:
        CorpusError: the text is too short to train on.
        UsageError: no such device, or a model that would not learn from the text.
    """
    corpus = split.corpus
    shape = fit_request(request, split)
    notes = [shortage] if (shortage := explain_threads()) else []
    if (shape.batch, shape.window) != (request.train.batch, request.train.window):
        kind = "stream" if corpus.records is None else "record"
        rows = f"{shape.batch} {kind}" + ("" if shape.batch == 1 else "s")
        notes.append(
            f"the {len(split.train):,} training characters fill a batch of {rows} in "
            f"windows of {shape.window}, not of {request.train.batch} in windows of "
            f"{request.train.window}"
        )
    train = replace(request.train, batch=shape.batch, window=shape.window)
    if all(getattr(train, length) is None for length in LENGTHS):
        train = replace(train, minutes=choose_minutes(len(split.train)))
    request = replace(request, train=train)
    if len(split.held_out) > MOST_SCORED:
        notes.append(
            f"{len(split.held_out):,} characters are held out; evaluations during training score "
            f"the first {MOST_SCORED:,} of them; evaluate the model afterwards to score all"
        )
    if request.train.experts == "ngram" and not can_fit(split.held_out):
        notes.append(
            f"there is no expert: {len(split.held_out):,} characters are held out, too few to fit "
            "its powers to"
        )
    facts = CorpusFacts(name, corpus.digest, len(corpus), request.train.valid, corpus.records)
    origin = start.origin if start else None
    trainer = build_trainer(request, split, shape, begins_trained=origin is not None)
    if start:
        trainer.train_state.load_weights(start.weights)
        notes.append(start.describe())
    learnt = trace_learnt(split, request.train.valid, start)
    notes += _warn_of_learnt(learnt)
    if start and start.base.digest == corpus.digest and len(split.held_out) and not learnt.held_out:
        notes.append(
            "the base model was trained on this same text, and held out the part that is held out "
            "now; it was chosen by its loss there"
        )
    return Session(request, corpus.alphabet, facts, trainer, origin, learnt, tuple(notes))


def resume_session(saved: SavedRun, corpus: Corpus, changed: Request | None = None) -> Session:
    """Resume a run from its checkpoint.

    Args:
        saved: the run's last checkpoint.
        corpus: its training text, read again.
        changed: the saved request with another ComputeConfig or SourceConfig; None keeps it.

    Raises:
        CheckpointError: not a valid training checkpoint.
        CorpusError: the corpus is not the training text.
    """
    path, checkpoint, facts = saved.path, saved.checkpoint, saved.corpus
    request = changed or saved.request
    model, alphabet, _ = parse_description(path, checkpoint.header)
    for part in ("model.", "average."):
        check_weights(path, model, len(alphabet), select_arrays(part, checkpoint.arrays))
    check_unchanged(corpus, facts, learn_another_text(path.parent))
    try:
        corpus = corpus.reencode(alphabet)
    except UnknownCharacterError:
        raise CheckpointError(f"{path}: its alphabet is not that of its corpus") from None
    notes = []
    previous = saved.request.compute.threads
    if request.compute.threads is None and previous is not None:
        threads, note = _fit_threads(previous, checkpoint.header)
        request = replace(request, compute=replace(request.compute, threads=threads))
        if note:
            notes.append(note)
    request = replace(request, compute=settle_compute(request.compute, model))
    if shortage := explain_threads():
        notes.append(shortage)
    kernels = _kernels_of(model)
    before = saved.request.compute
    if kernels != NONE and model.steps_natively:
        # The results of the library do not depend on the number of threads.
        before = replace(before, threads=request.compute.threads)
    if (
        request.compute != before
        or checkpoint.header.get("torch") != torch.__version__
        # Older checkpoints lack this entry.
        or checkpoint.header.get("kernels", kernels) != kernels
    ):
        notes.append(
            "the device, precision, threads, torch or native library have changed: the run "
            "continues, but its rounding differs from that of an uninterrupted run"
        )
    try:
        progress = Progress.from_dict(checkpoint.header.get("progress"))
        good = checkpoint.header.get("good")
        good = Progress.from_dict(good) if good is not None else None
        split = SplitCorpus.of(corpus, request.train.valid)
        if request.train.valid and (shortage := split.describe_shortage(request.train.window)):
            notes.append(f"this run holds out {shortage}")
        shape = fit_request(request, split)
        states = select_arrays("state.", checkpoint.arrays)
        check_states(model, len(alphabet), shape.batch, states)
        origin = Origin.from_header(checkpoint.header)
        trainer = build_trainer(request, split, shape, begins_trained=origin is not None)
        tensors = {name: torch.from_numpy(array) for name, array in checkpoint.arrays.items()}
        trainer.restore(tensors, progress, good)
    except ValueError as problem:
        raise CheckpointError(f"{path}: holds no run that can be resumed: {problem}") from problem
    learnt = parse_learnt(path, checkpoint.header)
    notes += _warn_of_learnt(learnt)
    return Session(request, alphabet, facts, trainer, origin, learnt, tuple(notes))


def _warn_of_learnt(learnt: Learnt | None) -> list[str]:
    """Return a note if the base model was trained on held-out text."""
    if not (learnt and learnt.held_out):
        return []
    return [
        f"the held-out text is not new to this run: {describe_learnt(learnt.held_out)}, so its "
        "losses there are too low to be compared with those of others"
    ]


def _fit_threads(previous: int, header: Mapping[str, Any]) -> tuple[int, str]:
    """Fit a run's number of threads to this machine: fewer than before where fewer can be used.

    A number that did not fit the machine on which the run was saved was asked for, and is kept.

    Returns:
        The number, and a note for the user if the machine has changed; else an empty one.
    """
    here = count_usual_threads()
    then = header.get("usual_threads")
    if not isinstance(then, int):
        then = max(previous, here)  # Older checkpoints lack this entry.
    if here < min(previous, then):
        return here, (
            f"the run used {previous} threads, and {here} can be used here: it goes on with {here}"
        )
    if previous < here > then:
        return previous, f"the run keeps its number of threads, {previous}; {here} can be used here"
    return previous, ""


def _kernels_of(model: ModelConfig) -> str:
    """Return the version of the native library that trains a model's cells; NONE if torch does."""
    kernels = load_kernels() if model.trains_natively else None
    return kernels.version if kernels else NONE


def _arrays_of(tensors: Mapping[str, Tensor]) -> Arrays:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def fit_request(request: Request, split: SplitCorpus) -> Shape:
    """Fit the batch size and the window of a request to a corpus.

    Raises:
        CorpusError: the corpus is too short to train on.
        UsageError: the model would not learn from it in that shape, or takes too much memory.
    """
    model, train = request.model, request.train
    if split.corpus.records is not None and model.norm == "batch":
        raise UsageError(
            "is batch, which takes means over the batch, and records of different lengths leave "
            "padding in it",
            Remedy("use layer normalization", "norm", "layer"),
            settings=("norm",),
        )
    shape = fit_shape(split.train, train.batch, train.window)
    _refuse_idle_layers(model, shape)
    check_training_size(model, train, request.compute, len(split.corpus.alphabet), shape)
    return shape


def _refuse_idle_layers(model: ModelConfig, shape: Shape) -> None:
    """Raise UsageError if a layer would not run often enough in a window to learn."""
    runs = shape.window // 2**model.pyramid
    shown = f"windows of {shape.window:,} characters in {shape.batch:,} streams"
    if not runs:
        raise UsageError(
            f"is {model.pyramid}, so that a layer runs once every {2**model.pyramid:,} "
            f"characters, too rarely for {shown}",
            Remedy("use longer windows, with a text that fills them,", "window"),
            settings=("pyramid",),
        )
    if model.norm == "batch" and runs * shape.batch < 2:
        raise UsageError(
            f"is batch, which takes means over several characters, and {shown} give a layer only "
            "one",
            Remedy("use longer windows, with a text that fills them,", "window"),
            Remedy("use a larger batch", "batch"),
            settings=("norm",),
        )


def build_trainer(
    request: Request, split: SplitCorpus, shape: Shape, *, begins_trained: bool
) -> Trainer:
    """Build the trainer of a model with randomly initialized weights.

    Args:
        request: the configuration, with every setting final.
        split: the text.
        shape: from :func:`fit_request`.
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
    step = choose_step(
        model,
        WeightAverage(model, train.average),
        build_optimizers(model, train.optimizer, train.weight_decay),
        compute,
        clip=train.clip,
        clip_value=train.clip_value,
    )
    train_state = TrainState(
        step,
        batch=shape.batch,
        dropout=request.model.dropout,
        weight_drop=request.model.weight_drop,
        # A random stream other than that of the weights.
        seed=int(np.random.SeedSequence([train.seed, 1]).generate_state(1)[0]),
    )
    return Trainer(
        train_state,
        streams,
        HeldOut(
            split.held_out,
            request.model,
            None if train.experts == "none" else split.train,
            train.experts,
        ),
        Schedule(train.learning_rate, train.warmup, steps),
        seconds=None if train.minutes is None else train.minutes * 60,
        evaluations=train.evaluations,
        goes_back=train.on_divergence == "rollback",
        begins_trained=begins_trained,
    )


def build_request(
    settings: Mapping[str, Any],
    source: SourceConfig,
    split: SplitCorpus,
    *,
    generated: bool,
    begins_trained: bool = False,
) -> tuple[Request, SettingsChosen | None]:
    """Build a request from settings, and choose those that are None.

    Args:
        settings: every setting by name, see :func:`complete_settings`.
        source: the sources of the text.
        split: the text.
        generated: True if the text is drawn from a formal language.
        begins_trained: True if a trained model is fine-tuned.

    Returns:
        The request, and the event that reports the chosen settings; None if all were given.
    """
    network = ModelConfig.pick(fill_layers(settings))
    compute = settle_compute(ComputeConfig.pick(settings), network)
    native = network.trains_natively and compute.device == "cpu" and load_kernels() is not None
    share = SHARE_OF_PRODUCTS if native else SHARE_UNCOMPILED
    corpus = split.corpus
    rate = share * measure_products_per_second(compute)
    situation = Situation(
        max(len(split.train), 1),
        len(corpus.alphabet),
        rate,
        generated,
        begins_trained,
        scored=min(len(split.held_out), MOST_SCORED),
        record=split.train.mean_record_length,
    )
    choice = choose_settings(settings, situation)
    model, train = ModelConfig.pick(choice.settings), TrainConfig.pick(choice.settings)
    return Request(source, model, train, compute), choice.event
