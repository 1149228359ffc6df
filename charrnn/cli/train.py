"""charrnn train: start or resume the training of a model."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import signals, terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.messages import command, option_name, quote
from charrnn.cli.options import (
    Debug,
    Encoding,
    Json,
    choose_encoding,
    complete_base,
    complete_source,
    is_given,
    with_settings,
)
from charrnn.config.model import ModelConfig
from charrnn.config.training import AUTO, NONE, SAVE_EVERY, ComputeConfig, TrainConfig
from charrnn.display import decode_typed
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn import api
    from charrnn.training.run import RunResult

_RUN = "Run"
_FREE_ON_RESUME = frozenset(
    {"sources", "run", "resume", "save_every", "show_samples", "device", "threads"}
    | {"as_json", "debug"}
)


@with_settings({ModelConfig: "Model", TrainConfig: "Training", ComputeConfig: "Run"})
@explained(
    """Train a model on your own text.

    charrnn train novel.txt
    charrnn train poems/ --minutes 3 --hidden 256 --dropout 0.2
    charrnn train letters.txt --from novel
    charrnn train names.txt --records line
    charrnn train --resume
    """
)
def train(
    ctx: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            autocompletion=complete_source,
            help="Text files, folders, - for standard input, or a corpus by name: tales, or a "
            "formal language such as anbn. With --resume: the run to resume (left out: the "
            "latest), then its texts if they have moved.",
            show_default=False,
        ),
    ] = None,
    *,
    encoding: Encoding = "utf-8",
    as_bytes: Annotated[
        bool, typer.Option("--bytes", help="Read every byte as one symbol; any file will do.")
    ] = False,
    records: Annotated[
        str | None,
        typer.Option(
            metavar="line|paragraph|STRING",
            help="Read the text as independent records, such as names or verses: lines, "
            "paragraphs between blank lines, or parts between a separator.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            help="Run directory. Left out: runs/NAME, after the corpus.", rich_help_panel=_RUN
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume a run.", rich_help_panel=_RUN)
    ] = False,
    base: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="RUN|FILE|auto|none",
            autocompletion=complete_base,
            help="Fine-tune a model on another text: its weights are kept, and new characters are "
            "added to its alphabet. auto: the bundled base model, where it is near to the text; "
            "none: train from scratch.",
            rich_help_panel=_RUN,
        ),
    ] = AUTO,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing run.", rich_help_panel=_RUN)
    ] = False,
    save_every: Annotated[
        float,
        typer.Option(
            help="Seconds between saves, besides those at evaluations.", min=0, rich_help_panel=_RUN
        ),
    ] = SAVE_EVERY,
    show_samples: Annotated[
        bool,
        typer.Option(
            "--show-samples", help="Show drawn text at each evaluation.", rich_help_panel=_RUN
        ),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
    **settings: Any,
) -> None:
    """Run ``charrnn train``."""
    if run == "":
        raise UsageError("--run is empty; name a folder, or leave it out")
    run_path = Path(run) if run else None
    decoded_by = choose_encoding(ctx, encoding, as_bytes=as_bytes)
    from charrnn.cli.arguments import refuse_models, split_arguments

    if resume:
        _refuse_new_settings(ctx, overwrite)
        named = list(sources or [])
        if run_path:
            refuse_models(named)
        else:
            split_arguments(named)

        def resume_run(**follow: Any) -> api.Run:
            from charrnn import api

            return api.resume(
                run_path or (named.pop(0) if named else None),
                texts=named,
                device=settings["device"] if is_given(ctx, "device") else None,
                threads=settings["threads"],
                save_every=save_every,
                **follow,
            )

        _follow(resume_run, show_samples=show_samples, as_json=as_json)
        return
    if not sources:
        raise UsageError(
            "name a text to train on: charrnn train FILE (or try: charrnn train tales)"
        )

    refuse_models(sources)

    def start_run(**follow: Any) -> api.Run:
        from charrnn import api

        return api.train(
            sources,
            run=run_path,
            encoding=decoded_by,
            records=None if records is None else decode_typed(records),
            base=None if base == NONE else base,
            overwrite=overwrite,
            save_every=save_every,
            **{name: value for name, value in settings.items() if is_given(ctx, name)},
            **follow,
        )

    _follow(start_run, show_samples=show_samples, as_json=as_json)


def _follow(start: Callable[..., api.Run], *, show_samples: bool, as_json: bool) -> None:
    """Train, show the progress and print the result; a signal saves the run and ends it."""
    from charrnn.cli.progress import TrainingView

    with signals.deferrable() as stop:
        with TrainingView(show_samples=show_samples, on_ready=stop.defer) as view:
            try:
                run = start(on_event=view.show, should_stop=stop.__bool__)
            except signals.Interrupted:
                terminal.note("stopped before training began: nothing was changed")
                raise
        result = run.result
        if result.stopped:
            terminal.note(
                f"stopped at step {result.steps:,} and saved; resume with: "
                f"{command('resume', str(run.path))}"
            )
        else:
            _summarize(result, as_json=as_json)
    if result.stopped:
        stop.deliver()


def _summarize(result: RunResult, *, as_json: bool) -> None:
    """Print the result of a run on stdout."""
    from charrnn.training.learnt import describe_learnt

    best, model = result.valid_nats_per_char, result.model
    if as_json:
        terminal.print_json(
            {
                "run": str(result.path),
                "model": str(result.best),
                "network": model.to_dict(),
                "parameters": result.parameters,
                "steps": result.steps,
                "epochs": result.epochs,
                "train_seconds": result.train_seconds,
                "chars_per_second": result.chars_per_second,
                "best_step": result.best_step,
                "valid_nats_per_char": best,
                "valid_bits_per_char": None if best is None else best / math.log(2),
                "held_out_learnt": result.held_out_learnt,
            }
        )
        return
    loss = "nothing was held out"
    if best is not None:
        loss = (
            f"{best:.4f} nats, {best / math.log(2):.4f} bits per character "
            f"(best, step {result.best_step:,})"
        )
        if result.held_out_learnt:
            loss += f"; {describe_learnt(result.held_out_learnt)}"
    terminal.print_facts(
        {
            "trained": f"{model.cell} {model.layers} x {model.hidden} on {result.corpus}, "
            f"{result.steps:,} steps, {result.epochs:.2f} epochs",
            "took": f"{result.train_seconds:,.1f} s, {result.chars_per_second:,.0f} characters/s",
            "held out": loss,
            "saved": str(result.best),
            "next": f"charrnn sample {quote(str(result.path))} --temp 0.8",
        }
    )


def _refuse_new_settings(ctx: typer.Context, overwrite: bool) -> None:
    """Raise UsageError if settings were given: a resumed run keeps its own."""
    if overwrite:
        raise UsageError("--resume continues a run and --overwrite replaces it; give one of them")
    given = [name for name in ctx.params if name not in _FREE_ON_RESUME and is_given(ctx, name)]
    if given:
        options = ", ".join(map(option_name, given))
        raise UsageError(
            f"a resumed run keeps its settings, so {options} cannot be given with --resume.\n"
            "For other settings start a new run: leave --resume out and name a --run."
        )
