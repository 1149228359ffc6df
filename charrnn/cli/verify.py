"""charrnn verify: check the integrity of checkpoints, and show their content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.cli import terminal
from charrnn.cli.options import Debug, Json, complete_run
from charrnn.errors import CheckpointError


def verify(
    named: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|FILE]...",
            help="Run directories, names of runs, or model files. Both files of a run are checked. "
            "Left out: the latest run.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check that model files are intact and valid, and show their content.

    charrnn verify
    charrnn verify downloaded.safetensors
    charrnn verify runs/tales other.safetensors --json

    The optimizer and hidden states of a run are checked against the text when training resumes.
    """
    names: Sequence[str | None] = named or [None]
    problems = []
    for findings in chain.from_iterable(map(_examine_all, names)):
        if as_json:
            terminal.print_json(findings)
        elif findings["sound"]:
            terminal.print_facts(_describe(findings))
        if not findings["sound"]:
            problems.append(findings["problem"])
    if problems:
        raise CheckpointError("\n".join(problems))


def _examine_all(name: str | None) -> Iterator[dict[str, Any]]:
    """Examine each file of an argument; a file that is not sound yields its problem."""
    try:
        paths = _find_files(name)
    except CheckpointError as problem:
        yield {"file": name, "sound": False, "problem": str(problem)}
        return
    for path in paths:
        try:
            yield _examine(path)
        except CheckpointError as problem:
            yield {"file": str(path), "sound": False, "problem": str(problem)}


def _find_files(name: str | None) -> list[Path]:
    """Find the checkpoints of an argument: a file, or the files of a run."""
    from charrnn.checkpoints.run_directory import RunDirectory
    from charrnn.checkpoints.run_index import find_model
    from charrnn.files import is_file

    found = find_model(name)
    if name is not None and found == Path(name):
        return [found]
    run = RunDirectory(found.parent)
    return [path for path in (run.best, run.last) if is_file(path)]


def _examine(path: Path) -> dict[str, Any]:
    """Check a checkpoint and return its content.

    Raises:
        CheckpointError: the file is not a sound checkpoint.
    """
    from charrnn.checkpoints.checkpoint import TRAINING, open_checkpoint
    from charrnn.checkpoints.model_file import load_model
    from charrnn.training.run_config import check_run

    with open_checkpoint(path) as file:
        model = load_model(file)
        progress = check_run(file) if file.kind == TRAINING else None
    step = progress.step if progress else model.scores.step if model.scores else None
    return {
        "file": str(path),
        "sound": True,
        "format": file.format,
        "kind": file.kind,
        "charrnn": file.header.get("charrnn"),
        "model": model.model.to_dict(),
        "parameters": model.parameters,
        "tensors": len(file.specs),
        "alphabet": {"kind": model.alphabet.kind, "size": len(model.alphabet)},
        "corpus": model.corpus.to_dict(),
        "step": step,
        "scores": model.scores.to_dict() if model.scores else None,
        "sha256": file.digest,
    }


def _describe(findings: dict[str, Any]) -> dict[str, str]:
    """Describe the findings for people."""
    model, alphabet, corpus = (findings[name] for name in ("model", "alphabet", "corpus"))
    scores = findings["scores"] or {}
    trained = "not known" if findings["step"] is None else f"{findings['step']:,} steps"
    if scores.get("valid_nats_per_char") is not None:
        trained += f", {scores['valid_nats_per_char']:.4f} nats per held-out character"
    return {
        "file": findings["file"],
        "format": f"{findings['format']}, {findings['kind']}, charrnn {findings['charrnn']!s:.40}",
        "network": f"{model['cell']} {model['layers']} x {model['hidden']}",
        "parameters": f"{findings['parameters']:,}, in a file of {findings['tensors']:,} tensors",
        "alphabet": f"{alphabet['size']:,} characters, of {alphabet['kind']}",
        "corpus": f"{corpus['name']}, {corpus['characters']:,} characters, "
        f"SHA-256 {corpus['digest'][:12]}",
        "trained": trained,
        "digest": findings["sha256"],
        "verdict": "sound: digest, settings and tensors hold",
    }
