"""charrnn verify: check the integrity of checkpoints, and show their content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from charrnn.cli import terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.messages import explain
from charrnn.cli.options import Debug, Json, complete_run
from charrnn.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from charrnn.training.verification import VerifiedFile


@explained(
    """Check that model files are intact and valid, and show their content.

    charrnn verify
    charrnn verify downloaded.safetensors
    charrnn verify runs/tales other.safetensors --json

    The optimizer and hidden states of a run are checked against the text when training resumes.
    """
)
def verify(
    named: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|FILE",
            help="Run directories, names of runs, or model files. Both files of a run are checked. "
            "Left out: the latest run.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run ``charrnn verify``."""
    names: Sequence[str | None] = named or [None]
    problems = []
    for found in chain.from_iterable(map(_verify_all, names)):
        if isinstance(found, _Unsound):
            problems.append(found.problem)
        elif not as_json:
            terminal.print_facts(_describe(found))
        if as_json:
            terminal.print_json(_to_json(found))
    if problems:
        raise CheckpointError("\n".join(problems))


def _verify_all(named: str | None) -> Iterator[VerifiedFile | _Unsound]:
    """Verify each file of an argument."""
    from charrnn.training.verification import find_checkpoints, verify_checkpoint

    try:
        paths = find_checkpoints(named)
    except CheckpointError as problem:
        yield _Unsound(named, explain(problem, options=()))
        return
    for path in paths:
        try:
            yield verify_checkpoint(path)
        except (CheckpointError, UsageError) as problem:
            yield _Unsound(str(path), explain(problem, options=()))


class _Unsound(NamedTuple):
    """An argument or a file that is not sound, and its problem."""

    file: str | None
    problem: str


def _to_json(found: VerifiedFile | _Unsound) -> dict[str, Any]:
    if isinstance(found, _Unsound):
        return {"model": found.file, "sound": False, "problem": found.problem}
    return {"sound": True, **found.to_dict()}


def _describe(found: VerifiedFile) -> dict[str, str]:
    """Describe a file for people."""
    from charrnn.training.learnt import describe_learnt

    model, corpus, scores = found.model, found.corpus, found.scores
    trained = "not known" if found.step is None else f"{found.step:,} steps"
    if scores and scores.valid_nats_per_char is not None:
        trained += f", {scores.valid_nats_per_char:.4f} nats per held-out character"
        if found.held_out_learnt:
            trained += f" ({describe_learnt(found.held_out_learnt)})"
    return {
        "file": str(found.path),
        "format": f"{found.format}, {found.kind}, charrnn {found.version!s:.40}",
        "network": f"{model.cell} {model.layers} x {model.hidden}",
        "parameters": f"{found.parameters:,}, in a file of {found.tensors:,} tensors",
        "alphabet": f"{len(found.alphabet):,} characters, of {found.alphabet.kind}",
        "corpus": f"{corpus.name}, {corpus.characters:,} characters, SHA-256 {corpus.digest[:12]}",
        "trained": trained,
        "digest": found.digest,
        "verdict": "sound: digest, settings and tensors hold",
    }
