"""charrnn inspect: look inside a model, by itself or while it reads a text."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from charrnn.cli import helping
from charrnn.cli.inspect import gates, gradients, neurons, summary, surprisal

_ALONE = "summary"


class _Views(helping.Group):
    """The views of a model; the one that sums it up needs no name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, which name a view or the model to sum up."""
        if not args or not (args[0] in {*self.commands, *ctx.help_option_names} or _misspelt(args)):
            args = [_ALONE, *args]
        return super().parse_args(ctx, args)


def _misspelt(args: list[str]) -> bool:
    """Whether the first word is no model but close to the name of a view."""
    first = args[0]
    if first.startswith("-") or not difflib.get_close_matches(first, VIEWS, n=1):
        return False
    from charrnn.runs import is_run

    return not (Path(first).exists() or is_run(first))


app = typer.Typer(cls=_Views, help="Look inside a model, by itself or while it reads a text.")

VIEWS: dict[str, Callable[..., None]] = {
    _ALONE: summary.summary,
    "surprisal": surprisal.surprisal,
    "neurons": neurons.neurons,
    "gradients": gradients.gradients,
    "gates": gates.gates,
}

for _name, _view in VIEWS.items():
    app.command(_name)(_view)
