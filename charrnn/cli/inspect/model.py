"""charrnn inspect summary: summarize a model file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from charrnn.cli import terminal
from charrnn.cli.help_pages import explained
from charrnn.cli.options import Debug, Json, ModelArgument
from charrnn.display import in_one_line

if TYPE_CHECKING:
    from charrnn.checkpoints.model_file import Scores
    from charrnn.models.ngram_expert import NgramExpert


@explained(
    """Summarize a model: shape, parameters, alphabet, corpus, scores, file, settings.

    charrnn inspect
    charrnn inspect runs/tales --json
    """
)
def summary(model: ModelArgument = None, as_json: Json = False, debug: Debug = False) -> None:
    """Run ``charrnn inspect summary``."""
    from charrnn.checkpoints.run_index import find_model
    from charrnn.models.parameter_shapes import count_parameters_by_part
    from charrnn.training.run_data import RunData
    from charrnn.training.verification import verify_checkpoint

    found = verify_checkpoint(find_model(model))
    path, alphabet, corpus = found.path, found.alphabet, found.corpus
    request = RunData(path, found.content).request
    parameters = count_parameters_by_part(found.model, len(alphabet))
    if as_json:
        terminal.print_json(
            {
                **found.to_dict(),
                "parameters_by_part": parameters,
                "settings": request.train.to_dict() if request else None,
            }
        )
        return
    shape = {name: value for name, value in found.model.to_dict().items() if value is not None}
    settings = request.train.to_dict() if request else {}
    terminal.print_facts(
        {
            "model": str(path),
            "file": f"format {found.format}, {found.kind}, by charrnn {found.version!s:.40}",
            "SHA-256": found.digest,
            "shape": _list_settings(shape),
            "parameters": f"{sum(parameters.values()):,}: "
            + ", ".join(f"{name} {count:,}" for name, count in parameters.items()),
            "expert": _describe_expert(found.content.expert),
            "alphabet": _describe_alphabet(alphabet.characters, alphabet.kind),
            "corpus": f"{corpus.name}, {corpus.characters:,} characters, the last "
            f"{corpus.valid:.0%} held out, SHA-256 {corpus.digest[:12]}"
            + ("" if corpus.records is None else f", records separated by {corpus.records!r}"),
            "scores": _describe_scores(found.scores, found.held_out_learnt),
            "trained with": _list_settings(settings)
            or "unknown: the file is not in the directory of its run",
        }
    )


def _list_settings(settings: dict[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if value is not None
    )


def _describe_expert(expert: NgramExpert | None) -> str:
    if expert is None:
        return "none"
    powers = ", ".join(
        f"{order}: {of_network:.2f} and {of_ngrams:.2f}"
        for order, (of_network, of_ngrams) in enumerate(
            zip(expert.of_network, expert.of_ngrams, strict=True)
        )
    )
    return (
        f"counts of {expert.strings:,} strings of the training text; powers of the network and of "
        f"the counts, by the characters that the counts know: {powers}"
    )


def _describe_alphabet(characters: str, kind: str) -> str:
    if kind == "bytes":
        return "256 bytes"
    shown = "".join(map(in_one_line, characters[:200]))
    return f"{len(characters):,} characters: {shown}{'...' if len(characters) > 200 else ''}"


def _describe_scores(scores: Scores | None, learnt: float) -> str:
    from charrnn.training.learnt import describe_learnt

    if scores is None:
        return "not in this file; charrnn eval computes them"
    held_out, train = scores.valid_nats_per_char, scores.train_nats_per_char
    mark = f" ({describe_learnt(learnt)})" if learnt else ""
    return (
        f"{'nothing held out' if held_out is None else f'held out {held_out:.4f}{mark}'}, "
        f"{'' if train is None else f'training {train:.4f} '}nats per character, after "
        f"{scores.step:,} steps, {scores.epoch:.2f} epochs, {scores.train_seconds:,.1f} s"
    )
