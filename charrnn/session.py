"""A training run as a whole: what it was asked to do, and how it is put down and taken up again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from charrnn import __version__
from charrnn.alphabet import Alphabet
from charrnn.assembly import assemble, fit_to
from charrnn.checkpoint import TRAINING, Arrays, Checkpoint
from charrnn.config import LENGTHS
from charrnn.corpus import Corpus
from charrnn.device import settle_compute
from charrnn.errors import CheckpointError, UnknownCharacterError
from charrnn.events import Evaluation
from charrnn.heldout import MOST_SCORED
from charrnn.kernels.library import NONE, find
from charrnn.modelconfig import ModelConfig
from charrnn.modelfile import (
    CorpusFacts,
    ModelFile,
    Scores,
    arrays_under,
    check_weights,
    describe,
    read_description,
)
from charrnn.progress import Progress
from charrnn.recipe import default_minutes
from charrnn.registry import CELLS
from charrnn.request import Request, SavedRun, check_unchanged
from charrnn.restore import check_states
from charrnn.train import Trainer
from charrnn.transfer import Origin, Transfer


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
            **describe(self.request.model, self.alphabet, self.corpus),
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


def begin(request: Request, corpus: Corpus, name: str, start: Transfer | None = None) -> Session:
    """Make a fresh run. What the request leaves open is decided here and written down.

    Args:
        request: what is asked for.
        corpus: the text; that of ``start``, if there is one.
        name: what the user calls the text.
        start: the model to go on from; None draws the weights.

    Raises:
        CorpusError: the text is too short to train on.
        UsageError: no such device, or a model that would not learn from the text.
    """
    train_ids, held_out = corpus.split(request.train.valid)
    shape = fit_to(request, corpus)
    notes = []
    if (shape.batch, shape.window) != (request.train.batch, request.train.window):
        what = "streams of" if corpus.records is None else "records side by side in"
        notes.append(
            f"{len(train_ids):,} characters to train on fill {shape.batch} {what} windows of "
            f"{shape.window}, not {request.train.batch} of {request.train.window}"
        )
    train = replace(request.train, batch=shape.batch, window=shape.window)
    if all(getattr(train, length) is None for length in LENGTHS):
        train = replace(train, minutes=default_minutes(len(train_ids)))
    compute = settle_compute(request.compute, request.model)
    request = replace(request, train=train, compute=compute)
    if len(held_out) > MOST_SCORED:
        notes.append(
            f"{len(held_out):,} characters are held out; evaluations during training score the "
            f"first {MOST_SCORED:,} of them, charrnn eval all"
        )
    facts = CorpusFacts(name, corpus.digest, len(corpus), request.train.valid, corpus.records)
    origin = start.origin if start else None
    trainer = assemble(request, corpus, shape, begins_trained=origin is not None)
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
    model, alphabet, _ = read_description(path, checkpoint.header)
    for part in ("model.", "average."):
        check_weights(path, model, len(alphabet), arrays_under(part, checkpoint.arrays))
    check_unchanged(corpus, facts)
    try:
        corpus = corpus.spelt_by(alphabet)
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
        shape = fit_to(request, corpus)
        states = arrays_under("state.", checkpoint.arrays)
        check_states(model, len(alphabet), shape.batch, states)
        origin = Origin.in_header(checkpoint.header)
        trainer = assemble(request, corpus, shape, begins_trained=origin is not None)
        tensors = {name: torch.from_numpy(array) for name, array in checkpoint.arrays.items()}
        trainer.restore(tensors, progress, good)
    except ValueError as problem:
        raise CheckpointError(f"{path}: does not hold a run to go on with: {problem}") from problem
    return Session(request, alphabet, facts, trainer, origin, tuple(notes))


def _kernels_of(model: ModelConfig) -> str:
    """The build of the native library that runs a model's cells; NONE if torch does."""
    kernels = find() if CELLS[model.cell].compiled else None
    return kernels.build if kernels else NONE


def _arrays_of(tensors: Mapping[str, Tensor]) -> Arrays:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
