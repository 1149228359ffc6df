"""charrnn eval --formal: how much of a formal language a model has found."""

from __future__ import annotations

from pathlib import Path

from charrnn.cli import terminal
from charrnn.data.formal_languages import Language
from charrnn.evaluation.formal_languages import FormalScore


def report(path: Path, language: Language, score: FormalScore, *, as_json: bool) -> None:
    """Print what became of a language's sequences under the model at a path."""
    sizes = sorted(score.solved + score.unsolved)
    if as_json:
        terminal.print_json(
            {
                "formal": language.name,
                "per_cent_solved": score.per_cent_solved,
                "first_unsolved": score.first_unsolved,
                "least_size": sizes[0],
                "most_size": sizes[-1],
                "solved": score.solved,
                "unsolved": score.unsolved,
                "nats_per_predictable_char": score.nats_per_predictable_char,
                "nats_per_char": score.nats_per_char,
                "predictable_characters": score.predictable_characters,
                "characters": score.characters,
                "sequences": score.sequences,
                "model": str(path),
            }
        )
        return
    first = score.first_unsolved
    terminal.print_facts(
        {
            "model": str(path),
            "language": f"{language.name}: {language.description}",
            "tried": f"{score.sequences:,} sequences, {score.characters:,} characters, "
            f"{score.predictable_characters:,} predictable",
            "solved": f"{score.per_cent_solved:.1f}% of n from {sizes[0]} to {sizes[-1]}",
            "first n not solved": "none" if first is None else str(first),
            "nats per predictable character": f"{score.nats_per_predictable_char:.4f}",
            "nats per character": f"{score.nats_per_char:.4f}",
        }
    )
