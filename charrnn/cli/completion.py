"""What a shell may complete, beside the names of files, which it knows itself.

Where nothing offered here fits, the shell goes on with files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import typer

Completer = Callable[[str], list[str]]


def among(words: Iterable[str]) -> Completer:
    """Completes one of some words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def complete_run(incomplete: str) -> list[str]:
    """Names of runs below the current folder."""
    from charrnn.runs import known_runs

    return among(known_runs())(incomplete)


def complete_corpus(incomplete: str) -> list[str]:
    """Names of corpora."""
    from charrnn.catalogue import entries

    return among(entries())(incomplete)


def complete_source(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of corpora; those of runs after ``--resume``."""
    resumes = ctx.params.get("resume")
    return complete_run(incomplete) if resumes else complete_corpus(incomplete)
