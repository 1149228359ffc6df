"""A training run from its first save to its summary.

A little text from a model in training: shown as it goes, and kept in the run's log.
"""

from __future__ import annotations

import shlex
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.checkpoints.model_file import ModelFile
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.checkpoints.run_index import RUNS, find_run, mark_latest
from charrnn.cli import signals, terminal
from charrnn.cli.progress import TrainingView
from charrnn.cli.summary import describe, summarise
from charrnn.config.inference import SampleConfig
from charrnn.config.training import SourceConfig
from charrnn.data.alphabet import opening
from charrnn.data.corpus import fit_corpus
from charrnn.data.inputs import corpus_name, gather, is_generated, naming_copies, remember
from charrnn.data.records import separator
from charrnn.errors import CheckpointError, DivergedError, UsageError
from charrnn.files import is_file, is_folder
from charrnn.inference.record_sampling import open_record, until_end
from charrnn.inference.sampling import sample as sample_natively
from charrnn.inference.select_backend import native_network
from charrnn.inference.torch_backend import sample
from charrnn.training.fine_tuning import transfer
from charrnn.training.progress import Checkpoint, Evaluating, Evaluation, RolledBack, Step
from charrnn.training.run_config import read_run
from charrnn.training.run_data import read_again
from charrnn.training.session import Session, begin, resume, settle


@dataclass(frozen=True)
class RunnerOptions:
    """How a run is accompanied; nothing here changes its result.

    Attributes:
        save_every: seconds between saves.
        show_samples: whether to show some drawn text at each evaluation.
        as_json: whether the summary is JSON.
    """

    save_every: float
    show_samples: bool
    as_json: bool


def begin_training(
    sources: Sequence[str],
    run_path: Path | None,
    settings: Mapping[str, Any],
    options: RunnerOptions,
    *,
    encoding: str | None,
    records: str | None,
    overwrite: bool,
    origin: tuple[Path, ModelFile] | None,
) -> None:
    """Read the corpus, claim a run directory and train in it, perhaps going on from a model."""
    name = corpus_name(sources[0])
    generated = all(map(is_generated, sources))
    if generated and records is not None:
        raise UsageError(
            f"{', '.join(sources)}: a formal language is one text, whose sequences follow one "
            "another.\nLeave --records out, or train on a text of your own."
        )
    run = RunDirectory(run_path or RUNS / name)
    if not overwrite:
        run.refuse_if_begun()
    with ExitStack() as stack:
        stack.enter_context(_saying_that_nothing_began())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(naming_copies(str(folder), sources))
        paths = gather(sources, folder)
        corpus = fit_corpus(paths, encoding, records)
        for message in corpus.notes:
            terminal.note(message)
        start = transfer(*origin, corpus) if origin else None
        corpus = start.corpus if start else corpus
        copies = {path: run.copy_of(path, corpus.digest) for path in paths if path.parent == folder}
        remembered = tuple(
            copies[path].name if path in copies else remember(source)
            for source, path in zip(sources, paths, strict=True)
        )
        source = SourceConfig(paths=remembered, encoding=encoding)
        request, reason = settle(
            settings, source, corpus, generated=generated, begins_trained=start is not None
        )
        session = begin(request, corpus, name, start)
        stop = stack.enter_context(signals.deferred())
        stack.enter_context(run.locked())
        if not overwrite:
            run.refuse_if_begun()
        run.begin(session.checkpoint(), copies, sources=[p for p in paths if p not in copies])
        if reason:
            terminal.note(reason)
        _train(session, run, stop, options)


def resume_training(
    named: Sequence[str],
    run_path: Path | None,
    device: str | None,
    threads: int | None,
    options: RunnerOptions,
) -> None:
    """Go on with a run in its directory; device and threads may differ from before."""
    run = RunDirectory(run_path or _run_of(named))
    sources = named if run_path else named[1:]
    if not is_file(run.last):
        raise CheckpointError(
            f"{run.path}: holds no run to go on with; nothing was saved there. "
            "Give the whole train command again, without --resume."
        )
    with signals.deferred() as stop, run.locked():
        saved = read_run(run.last)
        compute, source = saved.request.compute, saved.request.source
        if device is not None and device != compute.device:
            compute = replace(compute, device=device, precision="auto")
        if threads is not None:
            compute = replace(compute, threads=threads)
        if sources:
            source = replace(source, paths=tuple(map(remember, sources)))
        corpus = read_again(run, source, saved.corpus.records)
        stop.check()
        session = resume(saved, corpus, replace(saved.request, source=source, compute=compute))
        del saved  # The run has copies of its tensors, and trains for long.
        run.rehearse(session.checkpoint())
        progress = session.trainer.progress
        run.forget_after(progress.evaluated_step, progress.halvings)
        if session.trainer.finished:
            # Where the text is now is worth keeping even so.
            run.save_last(session.checkpoint())
            terminal.note(f"{run.path}: the run is complete; there is nothing left to train")
        _train(session, run, stop, options)


@contextmanager
def _saying_that_nothing_began() -> Iterator[None]:
    """Tell of a signal that came before there was anything to save."""
    try:
        yield
    except signals.Interrupted as signal:
        if not signal.saved:
            terminal.note("stopped before training began: nothing was changed")
        raise


def _run_of(named: Sequence[str]) -> Path:
    """The run that the arguments of --resume stand for: a run, or the run of a corpus."""
    if not named:
        return find_run(None)
    by_corpus = RUNS / corpus_name(named[0])
    if is_folder(by_corpus) and not is_folder(Path(named[0])):
        return by_corpus
    return find_run(named[0])


def _train(session: Session, run: RunDirectory, stop: signals.Stop, options: RunnerOptions) -> None:
    """Train to the end, saving as it goes; on a signal, save and leave."""
    for message in session.notes:
        terminal.note(message)
    mark_latest(run.path)
    terminal.note(describe(session))
    trainer = session.trainer
    try:
        with TrainingView(trainer.progress.step, trainer.progress.total) as view:
            _follow(session, run, view, stop, options)
    except DivergedError as problem:
        if not trainer.progress.step:
            raise
        raise DivergedError(f"{problem}\nThe last good checkpoint is {run.last}.") from None
    except signals.Interrupted as signal:
        signal.saved = True
        terminal.note(
            f"stopped at step {trainer.progress.step:,} and saved; go on with: "
            f"charrnn train --resume {shlex.quote(str(run.path))}"
        )
        raise
    summarise(session, run, as_json=options.as_json)


def _follow(
    session: Session,
    run: RunDirectory,
    view: TrainingView,
    stop: signals.Stop,
    options: RunnerOptions,
) -> None:
    saved_at = time.monotonic()
    for event in session.trainer.fit():
        match event:
            case Step():
                view.step(event)
            case Evaluating():
                view.evaluating(event)
            case Evaluation():
                if event.improved:
                    run.save_best(session.model_file(event).to_checkpoint())
                drawn = draw_preview(session, event)
                run.append({**_record(event), "sample": drawn})
                view.evaluated(event)
                if options.show_samples and drawn is not None:
                    view.say(f"--- drawn after {event.step:,} steps:\n{drawn}\n")
            case RolledBack():
                _tell_of(event, run, view)
        due = isinstance(event, Checkpoint) or time.monotonic() - saved_at >= options.save_every
        if (due and not isinstance(event, Evaluating)) or stop:
            _save(session, run, view)
            saved_at = time.monotonic()
        stop.check()


def _save(session: Session, run: RunDirectory, view: TrainingView) -> None:
    """Save the run as it stands or, if it has diverged unnoticed, as it stands once gone back."""
    try:
        checkpoint = session.checkpoint()
    except DivergedError as problem:
        _tell_of(session.trainer.go_back(problem), run, view)
        checkpoint = session.checkpoint()
    run.save_last(checkpoint)


def _tell_of(event: RolledBack, run: RunDirectory, view: TrainingView) -> None:
    run.append({"event": "rollback", **asdict(event)})
    view.rolled_back(event)


def _record(event: Evaluation) -> dict[str, object]:
    return {
        "event": "evaluation",
        "step": event.step,
        "epoch": event.epoch,
        "train_seconds": event.train_seconds,
        "train_nats_per_char": event.train_nats_per_char,
        "valid_nats_per_char": event.valid_nats_per_char,
        "chars_per_second": event.chars_per_second,
    }


_NATIVELY = SampleConfig(temp=0.8, length=300)
_THROUGH_TORCH = SampleConfig(temp=0.8, length=100)
"""Less, since each evaluation waits for it."""

_RECORDS = 8
"""Records, where the text is made of such."""


def draw_preview(session: Session, evaluation: Evaluation) -> str | None:
    """Some text from the weights that were evaluated; the same opening and seed each time.

    None if they, or their predictions, are not finite: training sees to that.
    """
    try:
        return _draw(session, evaluation)
    except (CheckpointError, DivergedError):
        return None


def _draw(session: Session, evaluation: Evaluation) -> str:
    alphabet, prime = session.alphabet, opening(session.alphabet)
    native = native_network(session.model_file(evaluation), device="cpu", weights="fp32")
    settings = _NATIVELY if native is not None else _THROUGH_TORCH
    records = session.corpus.records
    if records is not None:
        prime = open_record(alphabet, prime[:0])
        settings = until_end(replace(settings, count=_RECORDS))
    if native is not None:
        pieces = sample_natively(native, alphabet, settings, prime, seed=0)
    else:
        pieces = sample(session.trainer.learner.average.model, alphabet, settings, prime, seed=0)
    drawn: dict[int, str] = defaultdict(str)
    for piece in pieces:
        drawn[piece.sample] += piece.symbols
    symbols = alphabet.symbols(separator(records or "")).join(drawn.values())
    return alphabet.to_bytes(symbols).decode("utf-8", "replace")
