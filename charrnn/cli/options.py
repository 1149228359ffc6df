"""Options and arguments that several commands share, and their completion in a shell.

The name, help, bounds and choices of an option come from the configuration that it sets. A shell
completes file names by itself where nothing offered here fits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, fields
from inspect import Parameter
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from charrnn.cli.messages import option_name
from charrnn.config.cells import takers
from charrnn.config.inference import UNKNOWN_CHOICES
from charrnn.config.settings import Config
from charrnn.errors import UsageError

Completer = Callable[[str], list[str]]


def among(words: Iterable[str]) -> Completer:
    """Return a completer for some words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def complete_run(incomplete: str) -> list[str]:
    """Complete the name of a run below the current folder."""
    from charrnn.checkpoints.run_index import RUNS, list_runs

    # A name that looks like an option is given with its folder.
    runs = (str(RUNS / run) if run.startswith("-") else run for run in list_runs())
    return among(runs)(incomplete)


def complete_base(incomplete: str) -> list[str]:
    """Complete the name of a model to fine-tune."""
    from charrnn.checkpoints.base_models import find_base_models
    from charrnn.config.training import AUTO, NONE

    named = among([*find_base_models(), AUTO, NONE])(incomplete)
    return [*complete_run(incomplete), *named]


def complete_corpus(incomplete: str) -> list[str]:
    """Complete the name of a corpus."""
    from charrnn.data.catalogue import read_catalogue

    return among(read_catalogue())(incomplete)


def complete_source(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a corpus, or of a run after ``--resume``."""
    resumes = ctx.params.get("resume")
    return complete_run(incomplete) if resumes else complete_corpus(incomplete)


Callback = TypeVar("Callback", bound=Callable[..., None])

_MORE_NAMES = {"learning_rate": ("--lr",)}
_BY_RECIPE = "chosen for the text and the time"
_CELL_PANEL = "Settings of some cells"


class Debugging:
    """The state of ``--debug``: if wanted, an error is shown with its traceback."""

    wanted = False


def option(config: type[Config], name: str, *more_names: str, panel: str | None = None) -> Any:
    """Make the Typer option that sets a field of a configuration."""
    declared = next(field for field in fields(config) if field.name == name)
    choices = declared.metadata["choices"]
    return typer.Option(
        option_name(name),
        *more_names,
        help=declared.metadata["description"],
        metavar="|".join(choices) or None,
        autocompletion=among(choices) if choices else None,
        rich_help_panel=panel,
        show_default=_shown_default(declared),
    )


def _shown_default(declared: Field[Any]) -> str | bool:
    if declared.metadata["automatic"]:
        return _BY_RECIPE
    return declared.metadata["otherwise"] or declared.default is not None


def with_settings(panels: Mapping[type[Config], str]) -> Callable[[Callback], Callback]:
    """Give a command an option for every setting of some configurations.

    The options follow the command's positional parameters, each in the panel of its configuration;
    the command takes them as ``**settings``.
    """

    def decorate(command: Callback) -> Callback:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
        first = [p for p in own if p.kind is not Parameter.KEYWORD_ONLY]
        last = [p for p in own if p.kind is Parameter.KEYWORD_ONLY]
        settings = [p for config, panel in panels.items() for p in _parameters(config, panel)]
        vars(command)["__signature__"] = signature.replace(parameters=[*first, *settings, *last])
        return command

    return decorate


def _parameters(config: type[Config], panel: str) -> list[Parameter]:
    types = get_type_hints(config)

    def parameter(declared: Field[Any]) -> Parameter:
        default = None if declared.metadata["automatic"] else declared.default
        panel_of = _CELL_PANEL if takers(declared.name) else panel
        more_names = _MORE_NAMES.get(declared.name, ())
        kind = types[declared.name] | None if default is None else types[declared.name]
        return Parameter(
            declared.name,
            Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[kind, option(config, declared.name, *more_names, panel=panel_of)],
        )

    return [parameter(declared) for declared in fields(config)]


def _remember(wanted: bool) -> bool:
    Debugging.wanted = Debugging.wanted or wanted
    return wanted


def _check_unknown(choice: str) -> str:
    if choice not in UNKNOWN_CHOICES:
        raise typer.BadParameter(f"{choice!r} is not one of {', '.join(UNKNOWN_CHOICES)}")
    return choice


def is_given(ctx: typer.Context, name: str) -> bool:
    """Return whether a parameter stands on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def choose_encoding(ctx: typer.Context, encoding: str, *, as_bytes: bool) -> str | None:
    """Choose the encoding of a text; None makes every byte a symbol.

    Raises:
        UsageError: both ways to read it are given.
    """
    if as_bytes and is_given(ctx, "encoding"):
        raise UsageError("--bytes reads bytes and --encoding decodes them; give one of them")
    return None if as_bytes else encoding


Debug = Annotated[
    bool,
    typer.Option("--debug", help="Show the traceback of an error.", callback=_remember),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
ModelArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN|FILE",
        help="Run directory, name of a run, or model file. Left out: the latest run.",
        autocompletion=complete_run,
        show_default=False,
    ),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="Run directory, or name of a run. Left out: the latest run.",
        autocompletion=complete_run,
        show_default=False,
    ),
]
Unknown = Annotated[
    str,
    typer.Option(
        "--unknown",
        metavar="|".join(UNKNOWN_CHOICES),
        autocompletion=among(UNKNOWN_CHOICES),
        help="Treatment of characters that the model does not know.",
        callback=_check_unknown,
    ),
]
SubjectArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN|FILE|TEXT",
        autocompletion=complete_run,
        help="A run or model file (left out: the latest run), then the texts to read, as one "
        "(left out: the text that the run held out). - is standard input.",
        show_default=False,
    ),
]
StackRound = Annotated[
    bool | None,
    typer.Option(
        "--stack-round/--no-stack-round",
        help="Take only the likeliest action of each stack, or mix all by their probabilities. "
        "Left out: as set when the model was trained.",
        show_default=False,
    ),
]
TrainingText = Annotated[
    list[str] | None,
    typer.Option(
        "--corpus",
        metavar="TEXT",
        help="Present path of the training text, if it has moved; may be repeated. Left out: the "
        "path from which the run read it.",
        show_default=False,
    ),
]
Encoding = Annotated[str, typer.Option("--encoding", help="Encoding of the text.")]
