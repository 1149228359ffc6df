"""charrnn guide: show a guide, rendered on a terminal and as plain Markdown elsewhere."""

from __future__ import annotations

import re
import sys
from importlib import resources
from typing import Annotated

import typer

from charrnn.cli import terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.options import Debug, among
from charrnn.display import did_you_mean
from charrnn.errors import UsageError

TOPICS = (
    *("training", "sampling", "scoring", "records", "corpora", "inspecting", "examples"),
    *("networks", "hardware", "formats", "scripting", "json", "python"),
    *("promises", "benchmarks", "changelog"),
)
"""The guides in the order in which they are listed; each is a file of ``charrnn/guides``."""

_MOST_COLUMNS = 100
_LINK_TO_GUIDE = re.compile(r"\[([^]]*)\]\((\w+)\.md(?:#[\w-]*)?\)")


@explained(
    """Show a guide, or list all guides.

    charrnn guide
    charrnn guide records
    charrnn guide formats > formats.md

    A guide is rendered on a terminal; a file or a pipe receives plain Markdown.
    """
)
def guide(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC",
            help="Name of a guide. Left out: a list of all guides.",
            show_default=False,
            autocompletion=among(TOPICS),
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Run ``charrnn guide``."""
    if topic is None:
        terminal.print_facts({name: _find_summary(_read(name)) for name in TOPICS})
        return
    if topic not in TOPICS:
        hint = did_you_mean(topic, TOPICS) or f"; there are: {', '.join(TOPICS)}"
        raise UsageError(f"there is no guide {topic!r:.60}{hint}")
    text = _read(topic)
    if terminal.supports_escapes(sys.stdout):
        text = _render(text)
    with terminal.guard_stdout():
        sys.stdout.write(text)


def _read(topic: str) -> str:
    """Read the Markdown of a guide."""
    return resources.files("charrnn").joinpath("guides", f"{topic}.md").read_text(encoding="utf-8")


def _find_summary(text: str) -> str:
    """Find the sentence below the title of a guide."""
    return text.split("\n\n")[1]


def _render(text: str) -> str:
    """Lay Markdown out for the terminal, with links to other guides as commands."""
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.theme import Theme

    # Rich's default is code on black, which looks bad on a light terminal.
    console = Console(theme=Theme({"markdown.code": "bold cyan"}))
    console.width = min(console.width, _MOST_COLUMNS)
    text = _LINK_TO_GUIDE.sub(r"\1 (`charrnn guide \2`)", text)
    with console.capture() as captured:
        console.print(Markdown(text, code_theme="ansi_dark", hyperlinks=False))
    return captured.get()
