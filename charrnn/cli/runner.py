"""A training run from its first save to its summary."""

from __future__ import annotations

import math
import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.cli import interrupts, terminal
from charrnn.cli.inputs import STDIN, gather, is_generated, naming_copies, read_again, remember
from charrnn.cli.preview import draw_preview
from charrnn.cli.progress import TrainingView
from charrnn.cli.settling import settle
from charrnn.config import SourceConfig
from charrnn.corpus import fit_corpus
from charrnn.errors import CheckpointError, DivergedError
from charrnn.events import Checkpoint, Evaluating, Evaluation, Step
from charrnn.model import count_parameters
from charrnn.request import read_request
from charrnn.run import RUNS, RunDirectory, find_run, mark_latest
from charrnn.session import Session, begin, resume
from charrnn.sources import exists
from charrnn.storage import copy_atomically, is_file, is_folder


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
    overwrite: bool,
) -> None:
    """Read the corpus, claim a run directory and train in it."""
    name = corpus_name(sources[0])
    run = RunDirectory(run_path or RUNS / name)
    if not overwrite:
        run.refuse_if_begun()
    with ExitStack() as stack:
        stack.enter_context(_saying_that_nothing_began())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(naming_copies(str(folder), sources))
        paths = gather(sources, folder)
        corpus = fit_corpus(paths, encoding)
        for message in corpus.notes:
            terminal.note(message)
        copies = {
            path: run.path / f"corpus-{corpus.digest[:12]}-{path.name}.txt"
            for path in paths
            if path.parent == folder
        }
        remembered = tuple(
            copies[path].name if path in copies else remember(source)
            for source, path in zip(sources, paths, strict=True)
        )
        source = SourceConfig(paths=remembered, encoding=encoding)
        generated = all(map(is_generated, sources))
        request, reason = settle(settings, source, corpus, generated=generated)
        session = begin(request, corpus, name)
        stop = stack.enter_context(interrupts.deferred())
        stack.enter_context(run.locked())
        if not overwrite:
            run.refuse_if_begun()
        for path, copy in copies.items():
            copy_atomically(path, copy)
        run.save_last(session.checkpoint())
        run.forget_others(kept=copies.values())
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
        request, _ = read_request(run.last)
        compute = request.compute
        if device is not None and device != compute.device:
            compute = replace(compute, device=device, precision="auto")
        if threads is not None:
            compute = replace(compute, threads=threads)
        source = request.source
        if sources:
            source = replace(source, paths=tuple(map(remember, sources)))
        corpus = read_again(run, source)
        stop.check()
        session = resume(run.last, corpus, replace(request, source=source, compute=compute))
        run.forget_after(session.trainer.progress.evaluated_step)
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


def corpus_name(source: str) -> str:
    """What a corpus, and its run, are called: the first source's name without its extension."""
    if source == STDIN:
        return "stdin"
    path = Path(source).resolve() if exists(Path(source)) else Path(source)
    name = path.stem if is_file(path) else path.name
    return "".join(c if c.isprintable() else "_" for c in name) or "corpus"


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
    terminal.note(_describe(session))
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
    _summarise(session, run, options)


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
        due = isinstance(event, Checkpoint) or time.monotonic() - saved_at >= options.save_every
        if (due and not isinstance(event, Evaluating)) or stop:
            run.save_last(session.checkpoint())
            saved_at = time.monotonic()
        stop.check()


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


def _describe(session: Session) -> str:
    request, trainer = session.request, session.trainer
    model, compute = request.model, request.compute
    parameters = count_parameters(trainer.model)
    total = trainer.progress.total
    length = f"{total:,} steps" if total else f"{request.train.minutes:g} minutes"
    return (
        f"{session.corpus.name}: {session.corpus.characters:,} characters, "
        f"{len(session.alphabet):,} different; {model.cell} {model.layers} x {model.hidden}, "
        f"{parameters:,} parameters; {length} on {compute.device} "
        f"({compute.precision}, {compute.threads} threads)"
    )


def _summarise(session: Session, run: RunDirectory, options: RunnerOptions) -> None:
    trainer, model = session.trainer, session.request.model
    progress = trainer.progress
    best = progress.best_nats_per_char
    result = {
        "run": str(run.path),
        "best": str(run.best),
        "cell": model.cell,
        "layers": model.layers,
        "hidden": model.hidden,
        "parameters": count_parameters(trainer.model),
        "steps": progress.step,
        "epochs": trainer.epochs_done,
        "train_seconds": progress.seconds,
        "chars_per_second": trainer.chars_per_second,
        "best_step": progress.best_step,
        "valid_nats_per_char": best,
        "valid_bits_per_char": None if best is None else best / math.log(2),
    }
    if options.as_json:
        terminal.print_json(result)
        return
    loss = "nothing was held out"
    if best is not None:
        loss = f"{best:.4f} nats, {best / math.log(2):.4f} bits per character"
    terminal.print_facts(
        {
            "trained": f"{model.cell} {model.layers} x {model.hidden} on {session.corpus.name}, "
            f"{progress.step:,} steps, {trainer.epochs_done:.2f} epochs",
            "took": f"{progress.seconds:,.1f} s, {trainer.chars_per_second:,.0f} characters/s",
            "held out": loss + ("" if best is None else f" (best, step {progress.best_step:,})"),
            "saved": str(run.best),
            "next": f"charrnn sample {shlex.quote(str(run.path))} --temp 0.8",
        }
    )
