"""Help pages: examples first, then the description, then the options in their panels.

They are made from the explanations of commands: the first paragraph is the summary, the second
holds examples, one per line, and more paragraphs may follow. A group without examples shows the
first example of each of its commands.
"""

from __future__ import annotations

import inspect
import textwrap
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from charrnn.cli import terminal
from charrnn.cli.messages import InHand
from charrnn.errors import UsageError

_PANELS = {"argument": "Arguments", "option": "Options"}
_MOST_NAME = 26


AnyCommand = TypeVar("AnyCommand", bound=Callable[..., Any])


def explained(text: str) -> Callable[[AnyCommand], AnyCommand]:
    """Give a command the text that its help page is made from.

    A docstring will not do: Python leaves docstrings out where PYTHONOPTIMIZE is 2.
    """

    def decorate(command: AnyCommand) -> AnyCommand:
        command.__doc__ = inspect.cleandoc(text)
        return command

    return decorate


class Description(NamedTuple):
    """The parts of a command's explanation."""

    summary: str
    examples: tuple[str, ...]
    more: str

    @classmethod
    def parse(cls, command: Any) -> Description:
        """Split the explanation of a command; a group may take the examples of its commands."""
        summary, _, rest = (command.help or "").partition("\n\n")
        examples, _, more = rest.partition("\n\n")
        shown = tuple(examples.splitlines())
        if not shown:
            inner = [Description.parse(one) for one in _list_commands(command).values()]
            shown = tuple(one.examples[0] for one in inner if one.examples)
        return cls(" ".join(summary.split()), shown, more.strip())


def _list_commands(command: Any) -> Mapping[str, Any]:
    """List the visible commands of a group by name; a command has none."""
    found = getattr(command, "commands", {})
    return {name: one for name, one in found.items() if not one.hidden}


def list_options(command: Any, ctx: Any) -> set[str]:
    """List the names of the options of a command."""
    params = command.get_params(ctx)
    return {name for param in params for name in (*param.opts, *param.secondary_opts)}


class Command(TyperCommand):
    """A command whose help opens with examples."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and note its options as those of the command in hand."""
        InHand.options = list_options(self, ctx)
        return super().invoke(ctx)

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option that shows the help page."""
        return _guard(super().get_help_option(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        _write_help(self, ctx, formatter)


class Group(TyperGroup):
    """A group whose help opens with examples."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option that shows the help page."""
        return _guard(super().get_help_option(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        _write_help(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; without any, write the help page to stderr and exit."""
        if not args and not ctx.resilient_parsing:
            with terminal.ignore_stderr_errors():
                typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(UsageError.exit_code)
        return super().parse_args(ctx, args)


def use_help_pages(app: typer.Typer) -> None:
    """Give all commands and groups of a program these help pages."""
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        inner = group.typer_instance
        if inner is None:
            continue
        # The class of a group may already be one derived from Group.
        if not (isinstance(inner.info.cls, type) and issubclass(inner.info.cls, Group)):
            group.cls = Group
        use_help_pages(inner)


def _guard(option: Any) -> Any:
    """Make the option ``--help`` write as all results are written, so that a full disk is told."""

    def show(ctx: Any, param: Any, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            terminal.say(ctx.get_help())
            ctx.exit()

    if option is not None:
        option.callback = show
    return option


def _write_help(command: Any, ctx: Any, formatter: Any) -> None:
    described = Description.parse(command)
    if described.examples:
        formatter.write("Examples:\n")
        for example in described.examples:
            formatter.write(f"  {example}\n")
        formatter.write("\n")
    for paragraph in (described.summary, *described.more.split("\n\n")):
        if paragraph:
            formatter.write(_fill(paragraph, formatter.width) + "\n\n")
    command.format_usage(ctx, formatter)
    if commands := _list_commands(command):
        rows = [(name, Description.parse(one).summary) for name, one in commands.items()]
        _write_rows("Commands", rows, formatter)
    for panel, rows in _list_rows_by_panel(command, ctx).items():
        _write_rows(panel, rows, formatter)


def _write_rows(title: str, rows: Sequence[tuple[str, str]], formatter: Any) -> None:
    """Write names and their descriptions in two columns."""
    formatter.write(f"\n{title}:\n")
    width = min(max(len(name) for name, _ in rows), _MOST_NAME)
    for name, text in rows:
        filled = _fill(text, formatter.width, indent=width + 4)
        if len(name) <= width:
            formatter.write(f"  {name:<{width}}  {filled.lstrip()}\n")
        else:
            formatter.write(f"  {name}\n{filled}\n")


def _fill(text: str, width: int, indent: int = 0) -> str:
    """Wrap a paragraph at a width; an option is never broken at its hyphens."""
    margin = " " * indent
    words = " ".join(text.split())
    return textwrap.fill(
        words,
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _list_rows_by_panel(command: Any, ctx: Any) -> Mapping[str, list[tuple[str, str]]]:
    panels: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for param in command.get_params(ctx):
        if record := param.get_help_record(ctx):
            panel = getattr(param, "rich_help_panel", None) or _PANELS[param.param_type_name]
            panels[panel].append(record)
    return panels
