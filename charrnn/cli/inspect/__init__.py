"""charrnn inspect: look inside a model, by itself or while it reads a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from charrnn.cli import help_pages
from charrnn.cli.inspect import calibration, gates, gradients, model, neurons, surprisal
from charrnn.display import nearest

_ALONE = "summary"


class _Views(help_pages.Group):
    """The views of a model; the name of the summary may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, which name a view, or a model to summarize."""
        # During completion of the first word there are no arguments yet.
        completes = ctx.resilient_parsing and not args
        if not completes and not self._names_view(ctx, args):
            args = [_ALONE, *args]
        return super().parse_args(ctx, args)

    def _names_view(self, ctx: Any, args: list[str]) -> bool:
        known = {*self.commands, *ctx.help_option_names}
        return bool(args) and (args[0] in known or _is_misspelled_view(args[0]))


def _is_misspelled_view(first: str) -> bool:
    """Return True if the first word is close to the name of a view and names no model."""
    if first.startswith("-") or nearest(first, VIEWS) is None:
        return False
    from charrnn.checkpoints.run_index import is_run

    return not (Path(first).exists() or is_run(first))


app = typer.Typer(cls=_Views, help="Look inside a model, by itself or while it reads a text.")

VIEWS: dict[str, Callable[..., None]] = {
    _ALONE: model.summary,
    "surprisal": surprisal.surprisal,
    "neurons": neurons.neurons,
    "gradients": gradients.gradients,
    "gates": gates.gates,
    "calibration": calibration.calibration,
}

for _name, _view in VIEWS.items():
    app.command(_name)(_view)
