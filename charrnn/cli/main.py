"""The program: its commands, and the conversion of errors into messages and exit codes."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from charrnn.cli import (
    compare,
    completion,
    corpus,
    doctor,
    evaluate,
    guide,
    help_pages,
    inspect,
    report,
    sample,
    score,
    signals,
    terminal,
    train,
    verify,
)
from charrnn.cli.loading import describe_limit, explain_loading
from charrnn.cli.messages import InHand, explain
from charrnn.cli.options import Debugging
from charrnn.cli.play import command
from charrnn.display import did_you_mean
from charrnn.errors import CharrnnError, StorageError, UsageError
from charrnn.folders import remove_temporary_folders

_NAME = "charrnn"
_OUT_OF_MEMORY = re.compile("allocate memory|out of memory")


WITHOUT_TORCH = (
    "this takes torch, which is not installed here.\n"
    "Install it: pip install torch (a build for the CPU is enough)"
)


class Boundary(help_pages.Group):
    """Runs a command and turns its errors into messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the context names."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except CharrnnError as problem:
            _report(explain(problem))
            raise typer.Exit(problem.exit_code) from None
        except BrokenPipeError:
            terminal.silence(sys.stdout)
            raise typer.Exit(0) from None
        except ModuleNotFoundError as problem:
            if problem.name != "torch":
                raise
            _report(WITHOUT_TORCH)
            raise typer.Exit(CharrnnError.exit_code) from None
        except ImportError as problem:
            if (message := explain_loading(problem)) is None:
                raise
            _report(message)
            raise typer.Exit(CharrnnError.exit_code) from None
        except OSError as problem:
            if message := explain_loading(problem):
                _report(message)
                raise typer.Exit(CharrnnError.exit_code) from None
            refusal = terminal.describe_system_error(problem)
            _report(explain(refusal))
            raise typer.Exit(refusal.exit_code) from None
        except (RuntimeError, MemoryError) as problem:
            if isinstance(problem, typer.Exit | typer.Abort):
                raise
            if isinstance(problem, MemoryError) or _OUT_OF_MEMORY.search(str(problem)):
                _report(f"not enough memory for a model or a batch of this size{describe_limit()}")
                raise typer.Exit(CharrnnError.exit_code) from None
            raise
        finally:
            InHand.options = None


def _report(message: str) -> None:
    if Debugging.wanted:
        terminal.show_traceback(*sys.exc_info())
    terminal.error(message)


app = typer.Typer(
    cls=Boundary,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "color": False},
)
app.command("train")(train.train)
app.command("sample")(sample.sample)
app.command("play")(command.play)
app.command("eval")(evaluate.evaluate)
app.command("score")(score.score)
app.add_typer(inspect.app, name="inspect")
app.add_typer(corpus.app, name="corpus")
app.command("verify")(verify.verify)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("doctor")(doctor.doctor)
app.command("guide")(guide.guide)


def _show_version() -> None:
    from charrnn.cli import version

    terminal.say(version.describe())


def _on(act: Callable[[], None]) -> Callable[[typer.Context, bool], None]:
    """Return the callback of a flag that makes the program do one thing and end."""

    def respond(ctx: typer.Context, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            act()
            raise typer.Exit()

    return respond


@app.callback()
@help_pages.explained(
    """Train a character-level recurrent language model on your own text, and use it.

    charrnn train novel.txt
    charrnn sample --temp 0.8
    charrnn play
    charrnn eval
    """
)
def program(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the versions of charrnn, torch, Python and the native library.",
            callback=_on(_show_version),
            is_eager=True,
        ),
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            help="Install completion for the current shell.",
            callback=_on(completion.install),
            is_eager=True,
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            help="Show completion for the current shell, to copy it or customize the installation.",
            callback=_on(completion.show),
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Hold the options of the program itself."""


help_pages.use_help_pages(app)


def _describe_refusal(problem: Any) -> str:
    """Describe a command that Typer cannot parse, and suggest the nearest option."""
    message: str = problem.format_message()
    if errors := getattr(problem.__cause__, "errors", None):
        message = _describe_value(problem.param.opts[0], errors()[0])
    if unknown := getattr(problem, "option_name", None):
        # Typer lists all similar options in alphabetical order.
        known = getattr(problem, "possibilities", None) or ()
        message = f"{problem.message}{did_you_mean(unknown, known)}"
    context = getattr(problem, "ctx", None)
    where = context.command_path if context else _NAME
    return message and f"{message} ({where} --help)"


_KINDS = {"float_parsing": "a number", "int_parsing": "a whole number"}
"""Kinds of values by the errors of the library that Typer parses them with."""


def _describe_value(option: str, error: Mapping[str, Any]) -> str:
    """Describe a value that is not one that an option takes, and suggest the one that was meant."""
    value, allowed = str(error["input"]), error["msg"].removeprefix("Input should be ")
    message = f"{option} is {value!r:.60}; it must be {_KINDS.get(error['type'], allowed)}"
    decimal = error["type"] == "float_parsing"
    form = r"[-+]?\d+,\d+" if decimal else r"[-+]?\d{1,3}(,\d{3})+"
    if not re.fullmatch(form, value):
        return message
    return f"{message}; did you mean {value.replace(',', '.' if decimal else '')}?"


def run() -> int:
    """Run the program on the arguments of the command line, and return its exit code."""
    signals.clear_by(remove_temporary_folders)
    terminal.reopen_closed_streams()
    sys.excepthook = terminal.show_traceback
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code = _run()
    try:
        with terminal.guard_stdout():
            pass
    except BrokenPipeError:
        terminal.silence(sys.stdout)
    except StorageError as refusal:
        _report(explain(refusal))
        code = code or refusal.exit_code
    return code


def _run() -> int:
    try:
        if completion.is_asked():
            completion.answer(typer.main.get_command(app))
            return 0
        code = app(prog_name=_NAME, standalone_mode=False)
    except SystemExit:
        # Rich and Typer exit with 1 when the reader of the help closes the pipe.
        return 0
    except BrokenPipeError:
        terminal.silence(sys.stdout)
        return 0
    except (CharrnnError, OSError) as problem:
        # An eager option such as --version runs before Boundary does.
        refusal = (
            terminal.describe_system_error(problem) if isinstance(problem, OSError) else problem
        )
        _report(explain(refusal))
        return refusal.exit_code
    except Exception as problem:
        # Typer's parse errors have no public base class.
        if not hasattr(problem, "format_message"):
            raise
        if message := _describe_refusal(problem):
            terminal.error(message)
        code = getattr(problem, "exit_code", UsageError.exit_code)
    return code if isinstance(code, int) else 0
