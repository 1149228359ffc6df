"""What a run is, told before it, and what came of it, after it."""

from __future__ import annotations

import math
import shlex

from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.cli import terminal
from charrnn.models.char_model import count_parameters
from charrnn.training.session import Session


def describe(session: Session) -> str:
    """One line on what is about to be trained."""
    request, trainer = session.request, session.trainer
    model, compute = request.model, request.compute
    parameters = count_parameters(trainer.learner.model)
    total = trainer.progress.total
    length = f"{total:,} steps" if total else f"{request.train.minutes:g} minutes"
    return (
        f"{session.corpus.name}: {session.corpus.characters:,} characters, "
        f"{len(session.alphabet):,} different; {model.cell} {model.layers} x {model.hidden}, "
        f"{parameters:,} parameters; {length} on {compute.device} "
        f"({compute.precision}, {compute.threads} threads)"
    )


def summarise(session: Session, run: RunDirectory, *, as_json: bool) -> None:
    """Print what came of a run on stdout."""
    trainer, model = session.trainer, session.request.model
    progress = trainer.progress
    best = progress.best_nats_per_char
    result = {
        "run": str(run.path),
        "best": str(run.best),
        "cell": model.cell,
        "layers": model.layers,
        "hidden": model.hidden,
        "parameters": count_parameters(trainer.learner.model),
        "steps": progress.step,
        "epochs": trainer.epochs_done,
        "train_seconds": progress.seconds,
        "chars_per_second": trainer.chars_per_second,
        "best_step": progress.best_step,
        "valid_nats_per_char": best,
        "valid_bits_per_char": None if best is None else best / math.log(2),
    }
    if as_json:
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
