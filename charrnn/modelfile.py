"""A model as it is kept and shared: weights, shape, alphabet, origin and scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn import __version__
from charrnn.alphabet import Alphabet
from charrnn.checkpoint import MODEL, Arrays, Checkpoint, read_checkpoint
from charrnn.errors import CheckpointError, UsageError
from charrnn.modelconfig import ModelConfig
from charrnn.plain import Plain
from charrnn.shapes import shapes_of

_AVERAGE = "average."


@dataclass(frozen=True)
class CorpusFacts(Plain):
    """What a model remembers of the text it was trained on.

    Attributes:
        name: what the user called it.
        digest: SHA-256 of its bytes, in hexadecimal.
        characters: its length, the part held out included.
        valid: the share held out at its end.
    """

    name: str
    digest: str
    characters: int
    valid: float


@dataclass(frozen=True)
class Scores(Plain):
    """How far a model was trained and how good it was then, in nats per character."""

    step: int
    epoch: float
    train_seconds: float
    train_nats_per_char: float
    valid_nats_per_char: float | None


@dataclass(frozen=True)
class ModelFile:
    """Everything that using a model takes."""

    model: ModelConfig
    alphabet: Alphabet
    corpus: CorpusFacts
    scores: Scores | None
    weights: Arrays

    def to_checkpoint(self) -> Checkpoint:
        """The checkpoint to write."""
        header = {
            "charrnn": __version__,
            **describe(self.model, self.alphabet, self.corpus),
            "scores": self.scores.to_dict() if self.scores else None,
        }
        return Checkpoint(MODEL, header, self.weights)

    def rounding(self, wanted: bool | None) -> ModelFile:
        """The same model with its stacks' actions rounded or not; None leaves it as it is.

        Raises:
            UsageError: a model without stacks.
        """
        if wanted is None:
            return self
        return replace(self, model=replace(self.model, stack_round=wanted))

    def with_weights(self, weights: Arrays) -> ModelFile:
        """The same model with other weights of the same names and shapes."""
        return replace(self, weights=weights)


def describe(model: ModelConfig, alphabet: Alphabet, corpus: CorpusFacts) -> dict[str, Any]:
    """The part of a header that every kind of checkpoint shares."""
    return {"model": model.to_dict(), "alphabet": alphabet.to_dict(), "corpus": corpus.to_dict()}


def read_description(
    path: Path, header: dict[str, Any]
) -> tuple[ModelConfig, Alphabet, CorpusFacts]:
    """Parse what :func:`describe` wrote.

    Raises:
        CheckpointError: any part of it is missing or out of bounds.
    """
    try:
        return (
            ModelConfig.from_dict(header.get("model")),
            Alphabet.from_dict(header.get("alphabet")),
            CorpusFacts.from_dict(header.get("corpus")),
        )
    except (UsageError, ValueError) as problem:
        raise CheckpointError(f"{path}: its header is not sound: {problem}") from problem


def read_model(path: Path) -> ModelFile:
    """Read a model file, or the averaged weights out of a run's own checkpoint.

    Raises:
        CheckpointError: the file is not a sound model.
    """
    checkpoint = read_checkpoint(path)
    config, alphabet, corpus = read_description(path, checkpoint.header)
    weights, scores = checkpoint.arrays, None
    if checkpoint.kind == MODEL:
        try:
            found = checkpoint.header.get("scores")
            scores = Scores.from_dict(found) if found is not None else None
        except ValueError as problem:
            raise CheckpointError(f"{path}: its scores are not sound: {problem}") from problem
    else:
        weights = arrays_under(_AVERAGE, weights)
    check_weights(path, config, len(alphabet), weights)
    return ModelFile(config, alphabet, corpus, scores, weights)


def arrays_under(prefix: str, arrays: Arrays) -> Arrays:
    """The arrays whose names begin with a prefix, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def check_weights(path: Path, config: ModelConfig, alphabet_size: int, weights: Arrays) -> None:
    """Hold names and shapes against what the configuration calls for, before any network is made.

    Raises:
        CheckpointError: a tensor is missing, unknown or of another shape.
    """
    expected = shapes_of(config, alphabet_size)
    odd = sorted(set(expected) ^ set(weights))
    if odd:
        raise CheckpointError(f"{path}: has missing or unknown tensors: {', '.join(odd)[:200]}")
    for name, shape in expected.items():
        if shape != weights[name].shape or weights[name].dtype != "float32":
            raise CheckpointError(
                f"{path}: {name} is {weights[name].dtype} of shape {weights[name].shape}; "
                f"the model it describes has float32 of shape {shape}"
            )
