"""Train a new run in a directory, or resume one, and save it as it goes.

An observer receives the events of the run and decides when to stop it. A stopped run is saved and
can be resumed.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.checkpoints.run_index import mark_latest
from charrnn.config.inference import SampleConfig
from charrnn.config.model import ModelConfig
from charrnn.config.training import SAVE_EVERY
from charrnn.data.alphabet import encode_default_prime
from charrnn.data.records import find_separator
from charrnn.errors import DivergedError, PredictionError, StorageError
from charrnn.inference.record_sampling import open_record, stop_at_record_end
from charrnn.inference.sampling import sample
from charrnn.inference.select_backend import load_native
from charrnn.inference.torch_backend import TorchBackend
from charrnn.models.char_model import count_parameters
from charrnn.training.preparation import NewRun, ResumedRun
from charrnn.training.progress import (
    Drawn,
    Evaluated,
    Evaluating,
    Observer,
    Ready,
    RolledBack,
    SaveDue,
    Started,
)
from charrnn.training.run_config import read_run
from charrnn.training.session import Session, begin_session, build_request, resume_session


@dataclass(frozen=True)
class RunResult:
    """The result of a run when its training ended.

    Attributes:
        path: the run directory.
        best: the file of its best model.
        corpus: the name of its text.
        model: settings of the network.
        parameters: number of trainable parameters.
        stopped: True if the observer stopped it early; it can be resumed.
        steps: optimizer steps of the whole run.
        epochs: epochs of the whole run, a partial one included.
        train_seconds: training time, without evaluations and saves.
        chars_per_second: training speed over the run.
        best_step: the step of the best model's evaluation.
        valid_nats_per_char: validation loss of the best model; None without a validation split.
        held_out_learnt: the share of the validation split that the base model was trained on: the
            loss is too low for a text that is new. 0 without a base model.
    """

    path: Path
    best: Path
    corpus: str
    model: ModelConfig
    parameters: int
    stopped: bool
    steps: int
    epochs: float
    train_seconds: float
    chars_per_second: float
    best_step: int
    valid_nats_per_char: float | None
    held_out_learnt: float = 0.0


def train_run(
    new: NewRun,
    *,
    observer: Observer = Observer(),  # noqa: B008
    save_every: float = SAVE_EVERY,
) -> RunResult:
    """Train a new run in its own directory, from scratch or by fine-tuning a model.

    Args:
        new: the prepared run.
        observer: receives the events. Nothing but the lock of the directory is written before it
            receives :class:`Ready`.
        save_every: seconds between saves; an evaluation saves in addition.

    Raises:
        CorpusError: the text is too short to train on.
        UsageError: settings contradict each other.
        RunDirectoryError: the directory holds a run already, or another process trains there.
        StorageError: a file cannot be written.
        DivergedError: the loss or the gradient is not finite.
    """
    run = new.run
    request, chosen = build_request(
        new.settings,
        new.source,
        new.split,
        generated=new.generated,
        begins_trained=new.start is not None,
    )
    request = replace(request, files=new.files)
    session = begin_session(request, new.split, new.name, new.start)
    with run.locked(observer.note):
        replaces = run.begun
        if not new.overwrite:
            run.refuse_if_begun()
        observer.tell(Ready())
        try:
            run.begin(session.checkpoint(), new.copies, sources=new.kept)
            if chosen is not None:
                observer.tell(chosen)
            return _train(session, run, observer, save_every)
        except BaseException:
            # A run that has learned nothing would only be in the way of the next try.
            if not replaces and not session.trainer.progress.step:
                with suppress(StorageError):
                    run.discard(new.kept)
            raise


def resume_run(
    resumed: ResumedRun,
    *,
    observer: Observer = Observer(),  # noqa: B008
    save_every: float = SAVE_EVERY,
) -> RunResult:
    """Resume a run in its directory.

    Args:
        resumed: the prepared run.
        observer: receives the events.
        save_every: seconds between saves; an evaluation saves in addition.

    Raises:
        CheckpointError: its checkpoint is not valid.
        StorageError: a file cannot be written.
        DivergedError: the loss or the gradient is not finite.
    """
    observer.tell(Ready())
    run = resumed.run
    saved = read_run(run.last)
    session = resume_session(saved, resumed.corpus, resumed.request)
    del saved  # Frees its tensors; the session has copies.
    run.check_disk_space(session.checkpoint())
    progress = session.trainer.progress
    run.forget_after(progress.evaluated_step, progress.halvings)
    if session.trainer.finished:
        # A new place of the text is stored all the same.
        run.save_last(session.checkpoint())
        observer.note(f"{run.path}: the run is complete; there is nothing left to train")
    return _train(session, run, observer, save_every)


def _train(session: Session, run: RunDirectory, observer: Observer, save_every: float) -> RunResult:
    """Train to the end of the schedule, and save the run from time to time."""
    for message in session.notes:
        observer.note(message)
    try:
        mark_latest(run.path)
    except StorageError as problem:
        observer.note(f"the run is not marked as the latest: {problem.headline}")
    observer.tell(_describe_start(session, run))
    trainer = session.trainer
    try:
        stopped = _follow(session, run, observer, save_every)
    except DivergedError as problem:
        if not trainer.progress.step:
            raise
        problem.message += f"; the last good checkpoint is {run.last}"
        raise
    progress = trainer.progress
    return RunResult(
        path=run.path,
        best=run.best,
        corpus=session.corpus.name,
        model=session.request.model,
        parameters=count_parameters(trainer.train_state.model),
        stopped=stopped,
        steps=progress.step,
        epochs=trainer.epochs_done,
        train_seconds=progress.seconds,
        chars_per_second=trainer.chars_per_second,
        best_step=progress.best_step,
        valid_nats_per_char=progress.best_nats_per_char,
        held_out_learnt=session.held_out_learnt,
    )


def _follow(session: Session, run: RunDirectory, observer: Observer, save_every: float) -> bool:
    """Take the steps, save and report; return True if the observer stopped the run."""
    saved_at = time.monotonic()
    for event in session.trainer.fit():
        match event:
            case Evaluated():
                if event.improved:
                    run.save_best(session.model_file(event).to_checkpoint())
                drawn = draw_preview(session, event)
                run.append({**_record(event), "sample": drawn})
                observer.tell(event)
                if drawn is not None:
                    observer.tell(Drawn(event.step, drawn))
            case RolledBack():
                _report_rollback(event, run, observer)
            case _:
                observer.tell(event)
        due = isinstance(event, SaveDue) or time.monotonic() - saved_at >= save_every
        stop = observer.wants_stop()
        if (due and not isinstance(event, Evaluating)) or stop:
            _save(session, run, observer)
            saved_at = time.monotonic()
        if stop:
            return True
    return False


def _save(session: Session, run: RunDirectory, observer: Observer) -> None:
    """Save the run; if its state is not finite, roll it back first."""
    try:
        checkpoint = session.checkpoint()
    except DivergedError as problem:
        _report_rollback(session.trainer.roll_back(problem), run, observer)
        checkpoint = session.checkpoint()
    run.save_last(checkpoint)


def _report_rollback(event: RolledBack, run: RunDirectory, observer: Observer) -> None:
    run.append({"event": "rollback", **asdict(event)})
    observer.tell(event)


def _record(event: Evaluated) -> dict[str, object]:
    return {
        "event": "evaluation",
        "step": event.step,
        "total": event.total,
        "epoch": event.epoch,
        "train_seconds": event.train_seconds,
        "train_nats_per_char": event.train_nats_per_char,
        "valid_nats_per_char": event.valid_nats_per_char,
        "chars_per_second": event.chars_per_second,
    }


def _describe_start(session: Session, run: RunDirectory) -> Started:
    request, trainer = session.request, session.trainer
    return Started(
        path=run.path,
        corpus=session.corpus.name,
        characters=session.corpus.characters,
        alphabet=len(session.alphabet),
        model=request.model,
        parameters=count_parameters(trainer.train_state.model),
        step=trainer.progress.step,
        total=trainer.progress.total,
        minutes=request.train.minutes,
        seconds_left=trainer.seconds_left,
        compute=request.compute,
        held_out_learnt=session.held_out_learnt,
    )


_NATIVE_PREVIEW = SampleConfig(temperature=0.8, length=300)
_TORCH_PREVIEW = SampleConfig(temperature=0.8, length=100)
"""A shorter sample: torch draws more slowly, and each evaluation waits for it."""

_PREVIEW_RECORDS = 8
"""Number of records in the preview of a model of records."""


def draw_preview(session: Session, evaluation: Evaluated) -> str | None:
    """Draw a sample from the evaluated weights, with the same prime and seed each time.

    None if the weights or their predictions are not finite; the trainer handles that.
    """
    try:
        return _draw(session, evaluation)
    except (PredictionError, DivergedError):
        return None


def _draw(session: Session, evaluation: Evaluated) -> str:
    alphabet, prime = session.alphabet, encode_default_prime(session.alphabet)
    native = load_native(session.model_file(evaluation), threads=1)
    trainer = session.trainer
    backend = native or TorchBackend(trainer.train_state.average.model, trainer.held_out.expert)
    settings = _NATIVE_PREVIEW if native is not None else _TORCH_PREVIEW
    records = session.corpus.records
    if records is not None:
        prime = open_record(alphabet, prime[:0])
        settings = stop_at_record_end(replace(settings, count=_PREVIEW_RECORDS))
    drawn: dict[int, str] = defaultdict(str)
    for piece in sample(backend, alphabet, settings, prime, seed=0):
        drawn[piece.sample] += piece.symbols
    symbols = alphabet.symbols(find_separator(records or "")).join(drawn.values())
    return alphabet.to_bytes(symbols).decode("utf-8", "replace")
