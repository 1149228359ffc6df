"""Options made from the settings they set: name, help, bounds and choices come from the config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, TypeVar

import typer

from charrnn.config import UNKNOWN_CHOICES, Config, option_name

ConfigType = TypeVar("ConfigType", bound=Config)


class Debugging:
    """Whether errors come with their traceback."""

    wanted = False


def option(config: type[Config], name: str, *more_names: str, panel: str | None = None) -> Any:
    """The Typer option that sets a field of a configuration."""
    declared = next(field for field in fields(config) if field.name == name)
    choices = declared.metadata["choices"]
    return typer.Option(
        option_name(name),
        *more_names,
        help=declared.metadata["description"],
        metavar="|".join(choices) or None,
        rich_help_panel=panel,
    )


def pick(config: type[ConfigType], values: Mapping[str, Any], **more: Any) -> ConfigType:
    """The configuration with the fields that ``values`` (a command's parameters) names."""
    names = {field.name for field in fields(config)}
    chosen = {name: value for name, value in values.items() if name in names}
    return config(**chosen, **more)


def _remember(wanted: bool) -> bool:
    Debugging.wanted = Debugging.wanted or wanted
    return wanted


def _check_unknown(choice: str) -> str:
    if choice not in UNKNOWN_CHOICES:
        raise typer.BadParameter(f"{choice!r} is not one of {', '.join(UNKNOWN_CHOICES)}")
    return choice


Debug = Annotated[
    bool,
    typer.Option("--debug", help="Show the traceback of an error.", callback=_remember),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Model = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN|FILE]",
        help="Run directory, name of a run, or model file. Left out: the latest run.",
        show_default=False,
    ),
]
Unknown = Annotated[
    str,
    typer.Option(
        "--unknown",
        metavar="|".join(UNKNOWN_CHOICES),
        help="What to do with a character the model does not know.",
        callback=_check_unknown,
    ),
]
Encoding = Annotated[str, typer.Option("--encoding", help="How the text's bytes spell characters.")]
