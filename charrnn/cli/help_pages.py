"""What ``--help`` says: examples first, then what the command does, then its options by their kind.

A command's docstring begins with what it does in a paragraph and goes on with examples, one for
each line; more paragraphs may follow. A group without examples of its own shows the first of each
of its commands.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from charrnn.errors import UsageError

_PANELS = {"argument": "Arguments", "option": "Options"}
_MOST_NAME = 26


class About(NamedTuple):
    """A command's docstring, taken apart."""

    summary: str
    examples: tuple[str, ...]
    more: str

    @classmethod
    def of(cls, command: Any) -> About:
        """What a command says of itself; a group without examples takes those of its commands."""
        summary, _, rest = (command.help or "").partition("\n\n")
        examples, _, more = rest.partition("\n\n")
        shown = tuple(examples.splitlines())
        if not shown:
            inner = [About.of(one) for one in _commands_of(command).values()]
            shown = tuple(one.examples[0] for one in inner if one.examples)
        return cls(" ".join(summary.split()), shown, more.strip())


def _commands_of(command: Any) -> Mapping[str, Any]:
    """The commands of a group that are not hidden, by name; none of a plain command."""
    found = getattr(command, "commands", {})
    return {name: one for name, one in found.items() if not one.hidden}


class Command(TyperCommand):
    """A command whose help opens with examples."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        _write_help(self, ctx, formatter)


class Group(TyperGroup):
    """A group whose help opens with examples."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        _write_help(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; without any, show the help where a mistake is told."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(UsageError.exit_code)
        return super().parse_args(ctx, args)


def adopt(app: typer.Typer) -> None:
    """Let all commands and groups of a program tell of themselves as this room does."""
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        inner = group.typer_instance
        if inner is None:
            continue
        # A group that a program has made for itself knows more than ours.
        if not (isinstance(inner.info.cls, type) and issubclass(inner.info.cls, Group)):
            group.cls = Group
        adopt(inner)


def _write_help(command: Any, ctx: Any, formatter: Any) -> None:
    about = About.of(command)
    if about.examples:
        formatter.write("Examples:\n")
        for example in about.examples:
            formatter.write(f"  {example}\n")
        formatter.write("\n")
    for paragraph in (about.summary, *about.more.split("\n\n")):
        if paragraph:
            formatter.write(_filled(paragraph, formatter.width) + "\n\n")
    command.format_usage(ctx, formatter)
    if commands := _commands_of(command):
        rows = [(name, About.of(one).summary) for name, one in commands.items()]
        _write_rows("Commands", rows, formatter)
    for panel, rows in _rows_by_panel(command, ctx).items():
        _write_rows(panel, rows, formatter)


def _write_rows(title: str, rows: Sequence[tuple[str, str]], formatter: Any) -> None:
    """Write names and what is said of them, in two columns."""
    formatter.write(f"\n{title}:\n")
    width = min(max(len(name) for name, _ in rows), _MOST_NAME)
    for name, says in rows:
        told = _filled(says, formatter.width, indent=width + 4)
        if len(name) <= width:
            formatter.write(f"  {name:<{width}}  {told.lstrip()}\n")
        else:
            formatter.write(f"  {name}\n{told}\n")


def _filled(text: str, width: int, indent: int = 0) -> str:
    """A paragraph in lines of at most a width; no option is broken at its hyphens."""
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


def _rows_by_panel(command: Any, ctx: Any) -> Mapping[str, list[tuple[str, str]]]:
    panels: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for param in command.get_params(ctx):
        if record := param.get_help_record(ctx):
            panel = getattr(param, "rich_help_panel", None) or _PANELS[param.param_type_name]
            panels[panel].append(record)
    return panels
