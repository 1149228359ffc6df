"""charrnn train: parse the command, settle what is to be done, and hand over to the training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.cli.options import Debug, Encoding, Json, complete_run, complete_source, with_settings
from charrnn.config.model import ModelConfig
from charrnn.config.settings import option_name
from charrnn.config.training import ComputeConfig, TrainConfig
from charrnn.errors import UsageError
from charrnn.training.auto_config import with_layers

_RUN = "Run"
_OF_TRAINING = ("dropout", "weight_drop")
"""Settings of the model that concern its training alone."""

_FREE_ON_RESUME = frozenset(
    {"sources", "run", "resume", "save_every", "show_samples", "device", "threads"}
    | {"as_json", "debug"}
)


@with_settings({ModelConfig: "Model", TrainConfig: "Training", ComputeConfig: "Run"})
def train(
    ctx: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            autocompletion=complete_source,
            help="Text files, folders, - for standard input, or a corpus by name: tales, or a "
            "formal language such as anbn. With --resume: the run to go on with (left out: the "
            "latest), then its texts if they are elsewhere now.",
            show_default=False,
        ),
    ] = None,
    *,
    encoding: Encoding = "utf-8",
    as_bytes: Annotated[
        bool, typer.Option("--bytes", help="Take every byte as a symbol; any file will do.")
    ] = False,
    records: Annotated[
        str | None,
        typer.Option(
            metavar="line|paragraph|STRING",
            help="Read the text as independent records, such as names or verses: lines, "
            "paragraphs between blank lines, or what a string parts.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            help="Run directory. Left out: runs/NAME of the corpus.", rich_help_panel=_RUN
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run.", rich_help_panel=_RUN)
    ] = False,
    base: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN|FILE",
            autocompletion=complete_run,
            help="Go on from a model with another text: its weights are kept, characters that it "
            "does not know are added.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run there.", rich_help_panel=_RUN)
    ] = False,
    save_every: Annotated[
        float,
        typer.Option(help="Seconds between saves, evaluations apart.", min=0, rich_help_panel=_RUN),
    ] = 30.0,
    show_samples: Annotated[
        bool,
        typer.Option(
            "--show-samples", help="Show some drawn text at each evaluation.", rich_help_panel=_RUN
        ),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
    **settings: Any,
) -> None:
    """Train a model on your own text.

    charrnn train novel.txt
    charrnn train poems/ --minutes 3 --hidden 256 --dropout 0.2
    charrnn train letters.txt --from novel
    charrnn train names.txt --records line
    charrnn train --resume
    """
    if records == "":
        raise UsageError("--records is empty; give line, paragraph, or what parts the records")
    if run == "":
        raise UsageError("--run is empty; name a folder, or leave it out")
    run_path = Path(run) if run else None
    if as_bytes and _is_given(ctx, "encoding"):
        raise UsageError("--bytes takes bytes as they are and --encoding reads them; give one")
    if resume:
        _refuse_new_settings(ctx, overwrite)
        from charrnn.training.run import RunnerOptions, resume_training

        chosen_device = settings["device"] if _is_given(ctx, "device") else None
        options = RunnerOptions(save_every, show_samples, as_json)
        resume_training(sources or [], run_path, chosen_device, settings["threads"], options)
        return
    if not sources:
        raise UsageError(
            "name a text to train on: charrnn train FILE (or try: charrnn train tales)"
        )
    origin = None
    if base is not None:
        from charrnn.cli.arguments import load

        origin = load(base, None)
        settings = _as_in(origin[1].model, settings, ctx)
    # Settings that make no sense are refused before torch is imported.
    for config in (ModelConfig, TrainConfig, ComputeConfig):
        config.pick(with_layers(settings))
    from charrnn.training.run import RunnerOptions, begin_training

    begin_training(
        sources,
        run_path,
        settings,
        RunnerOptions(save_every, show_samples, as_json),
        encoding=None if as_bytes else encoding,
        records=records,
        overwrite=overwrite,
        origin=origin,
    )


def _as_in(model: ModelConfig, settings: Mapping[str, Any], ctx: typer.Context) -> dict[str, Any]:
    """The settings with the network of a model that is gone on from.

    Raises:
        UsageError: another network was asked for.
    """
    fixed = {name: value for name, value in model.to_dict().items() if name not in _OF_TRAINING}
    for name, value in fixed.items():
        if _is_given(ctx, name) and settings[name] != value:
            raise UsageError(
                f"{option_name(name)} is {settings[name]} and the model to go on from has {value}: "
                "its network stays as it is.\nLeave the option out, or --from."
            )
    return {**settings, **fixed}


def _is_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _refuse_new_settings(ctx: typer.Context, overwrite: bool) -> None:
    """A resumed run keeps its settings: raise UsageError if others were given."""
    if overwrite:
        raise UsageError(
            "--resume goes on with a run and --overwrite replaces it; give one of them"
        )
    given = [name for name in ctx.params if name not in _FREE_ON_RESUME and _is_given(ctx, name)]
    if given:
        options = ", ".join("--" + name.removeprefix("as_").replace("_", "-") for name in given)
        raise UsageError(
            f"a resumed run keeps its settings, so {options} cannot be given with --resume.\n"
            "Begin a new run for other settings: leave --resume out and name a --run."
        )
