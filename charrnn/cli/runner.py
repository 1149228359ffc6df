"""A training run from its first save to its summary."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.cli import interrupts, terminal
from charrnn.cli.inputs import (
    corpus_name,
    gather,
    is_generated,
    naming_copies,
    read_again,
    remember,
)
from charrnn.cli.preview import draw_preview
from charrnn.cli.progress import TrainingView
from charrnn.cli.settling import settle
from charrnn.cli.summary import describe, summarise
from charrnn.config import SourceConfig
from charrnn.corpus import fit_corpus
from charrnn.errors import CheckpointError, DivergedError, UsageError
from charrnn.events import Checkpoint, Evaluating, Evaluation, RolledBack, Step
from charrnn.modelfile import ModelFile
from charrnn.request import read_run
from charrnn.run import RunDirectory
from charrnn.runs import RUNS, find_run, mark_latest
from charrnn.session import Session, begin, resume
from charrnn.storage import is_file, is_folder
from charrnn.transfer import transfer


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
        stop = stack.enter_context(interrupts.deferred())
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
    with interrupts.deferred() as stop, run.locked():
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
    except interrupts.Interrupted as signal:
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


def _train(
    session: Session, run: RunDirectory, stop: interrupts.Stop, options: RunnerOptions
) -> None:
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
    except interrupts.Interrupted as signal:
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
    stop: interrupts.Stop,
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
