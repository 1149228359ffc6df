"""The program: its commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import io
import re
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from charrnn import __version__
from charrnn.cli import (
    compare,
    doctor,
    evaluate,
    inspect,
    interrupts,
    report,
    sample,
    terminal,
    train,
)
from charrnn.cli.options import Debugging
from charrnn.errors import CharrnnError, UsageError

_OUT_OF_MEMORY = re.compile("allocate memory|out of memory")


class Boundary(TyperGroup):
    """Runs a command; what it raises ends here."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the context names."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except CharrnnError as problem:
            _report(str(problem))
            raise typer.Exit(problem.exit_code) from None
        except interrupts.Interrupted as signal:
            raise typer.Exit(signal.exit_code) from None
        except BrokenPipeError:
            terminal.silence(sys.stdout)
            raise typer.Exit(0) from None
        except (RuntimeError, MemoryError) as problem:
            if isinstance(problem, typer.Exit | typer.Abort):
                raise
            if isinstance(problem, MemoryError) or _OUT_OF_MEMORY.search(str(problem)):
                _report("there is not enough memory for a model or a batch of this size")
                raise typer.Exit(CharrnnError.exit_code) from None
            raise


def _report(message: str) -> None:
    if Debugging.wanted:
        traceback.print_exc()
    terminal.error(message)


app = typer.Typer(
    cls=Boundary,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train a character-level recurrent language model on your own text, and use it.",
    epilog="charrnn train corpus.txt, then charrnn sample --temp 0.8, then charrnn eval",
)
app.command("train")(train.train)
app.command("sample")(sample.sample)
app.command("eval")(evaluate.evaluate)
app.add_typer(inspect.app, name="inspect")
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("doctor")(doctor.doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"charrnn {__version__}\n")
        raise typer.Exit()


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Train a character-level recurrent language model on your own text, and use it."""


def main() -> None:
    """Run the program on the command line's arguments."""
    interrupts.install()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
    except Exception as problem:
        # Typer's own errors, of a command that cannot be parsed, have no public class in common.
        if not hasattr(problem, "format_message"):
            raise
        message = problem.format_message()
        if message:
            terminal.error(f"{message} (charrnn --help, charrnn COMMAND --help)")
        code = getattr(problem, "exit_code", UsageError.exit_code)
    sys.exit(code if isinstance(code, int) else 0)
