"""Model files: the weights, settings, alphabet, text and scores of a trained model."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from charrnn import __version__
from charrnn.checkpoints.checkpoint import (
    MODEL,
    Arrays,
    Checkpoint,
    CheckpointFile,
    open_checkpoint,
)
from charrnn.checkpoints.packed_ngrams import (
    EXPERTS_SINCE,
    count_unpacked_bytes,
    pack_expert,
    split_expert,
    unpack_expert,
)
from charrnn.checkpoints.packed_weights import (
    PACKED_SINCE,
    describe_unpacked,
    pack_weights,
    unpack_weights,
)
from charrnn.checkpoints.safetensors_io import TensorSpec
from charrnn.config.limits import check_memory
from charrnn.config.model import ModelConfig
from charrnn.config.settings import Plain
from charrnn.config.training import LONGEST_RUN_STEPS
from charrnn.data.alphabet import RECORD_END, Alphabet
from charrnn.data.sketch import MOST_HASHES, Hashes
from charrnn.errors import CheckpointError, UsageError
from charrnn.models.ngram_expert import NgramExpert
from charrnn.models.parameter_shapes import list_parameter_shapes

T = TypeVar("T")

_AVERAGE = "average."
_SHA256 = re.compile("[0-9a-f]{64}")
_LONGEST_NAME = 1024
_MOST_CHARACTERS = 2**53


@dataclass(frozen=True)
class CorpusFacts(Plain):
    """Facts about the text that a model was trained on.

    Attributes:
        name: the name of the text.
        digest: SHA-256 of its bytes, in hexadecimal.
        characters: its length, the part held out included.
        valid: the share held out at its end.
        records: the separator of its records; None for a continuous text.

    Raises:
        ValueError: facts that no text has.
    """

    name: str
    digest: str
    characters: int
    valid: float
    records: str | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= _LONGEST_NAME:
            raise ValueError(f"a corpus has a name of up to {_LONGEST_NAME} characters")
        if not _SHA256.fullmatch(self.digest):
            raise ValueError(f"{self.digest!r:.80} is no SHA-256 in hexadecimal")
        if not (0 < self.characters <= _MOST_CHARACTERS and 0 <= self.valid < 1):
            raise ValueError("no text has so many characters, or so many held out")
        if self.records == "":
            raise ValueError("nothing parts its records")


@dataclass(frozen=True)
class Scores(Plain):
    """Steps and losses of a model when it was saved; losses are in nats per character.

    Raises:
        ValueError: figures that no training has.
    """

    step: int
    epoch: float
    train_seconds: float
    train_nats_per_char: float | None
    valid_nats_per_char: float | None

    def __post_init__(self) -> None:
        if not 0 <= self.step <= LONGEST_RUN_STEPS or min(self.epoch, self.train_seconds) < 0:
            raise ValueError("no training is that long")


@dataclass(frozen=True)
class Learnt(Plain):
    """The text that weights were trained on, in all runs that led to them.

    Attributes:
        spans: its sketch (``data/sketch.py``): unsigned integers of 64 bits, little-endian, in
            base64.
        held_out: the share of the text that this run holds out that its base model was trained on.

    Raises:
        ValueError: no sketch, or no share.
    """

    spans: str
    held_out: float

    def __post_init__(self) -> None:
        hashes = self.sketch
        if len(hashes) > MOST_HASHES or (hashes[1:] <= hashes[:-1]).any():
            raise ValueError("the hashes of a sketch are few and ascend")
        if not 0 <= self.held_out <= 1:
            raise ValueError("what was learnt of the held-out text is a share of it")

    @classmethod
    def of(cls, sketch: Hashes, held_out: float) -> Learnt:
        """Make it of a sketch."""
        return cls(base64.b64encode(sketch.astype("<u8").tobytes()).decode("ascii"), held_out)

    @property
    def sketch(self) -> Hashes:
        """The hashes."""
        data = base64.b64decode(self.spans.encode("ascii"), validate=True)
        return np.frombuffer(data, "<u8").astype(np.uint64)


@dataclass(frozen=True)
class ModelFile:
    """The content of a model file: all that using a model takes."""

    model: ModelConfig
    alphabet: Alphabet
    corpus: CorpusFacts
    scores: Scores | None
    weights: Arrays
    digest: str = ""
    """SHA-256 of the file that it was read from, in hexadecimal; empty if it was made here."""
    learnt: Learnt | None = None
    """The text that the weights were trained on; None in a file of an earlier version."""
    expert: NgramExpert | None = None
    """The expert that is joined with the network's predictions, if there is one."""

    @property
    def held_out_learnt(self) -> float:
        """The share of the held-out text that a base model was trained on; 0 if none is known."""
        return self.learnt.held_out if self.learnt else 0.0

    @property
    def parameters(self) -> int:
        """Count the numbers that training adjusts; running statistics are not among them."""
        return sum(weight.size for name, weight in self.weights.items() if "running" not in name)

    def to_checkpoint(self, *, packed: bool = False) -> Checkpoint:
        """Make the checkpoint to write; ``packed`` stores matrices in 8 bits a number."""
        header = {
            "charrnn": __version__,
            **describe_model(self.model, self.alphabet, self.corpus, self.learnt),
            "scores": self.scores.to_dict() if self.scores else None,
        }
        weights = pack_weights(self.weights) if packed else self.weights
        return Checkpoint(MODEL, header, {**weights, **pack_expert(self.expert)})

    def rounding(self, wanted: bool | None) -> ModelFile:
        """Return the model with the actions of its stacks rounded or not; None changes nothing.

        Raises:
            UsageError: a model without stacks.
        """
        if wanted is None:
            return self
        return replace(self, model=replace(self.model, stack_round=wanted))

    def with_weights(self, weights: Arrays) -> ModelFile:
        """Return the model with other weights of the same names and shapes."""
        return replace(self, weights=weights)


def describe_model(
    model: ModelConfig, alphabet: Alphabet, corpus: CorpusFacts, learnt: Learnt | None
) -> dict[str, Any]:
    """Make the part of a header that every kind of checkpoint has."""
    described = {
        "model": model.to_dict(),
        "alphabet": alphabet.to_dict(),
        "corpus": corpus.to_dict(),
    }
    return {**described, "learnt": learnt.to_dict()} if learnt else described


def parse_description(
    path: Path, header: dict[str, Any]
) -> tuple[ModelConfig, Alphabet, CorpusFacts]:
    """Parse the part of a header that :func:`describe_model` makes.

    Raises:
        CheckpointError: any part of it is missing or out of bounds.
    """
    try:
        model = ModelConfig.from_dict(header.get("model"))
        alphabet = Alphabet.from_dict(header.get("alphabet"))
        corpus = CorpusFacts.from_dict(header.get("corpus"))
        if corpus.records is not None and RECORD_END not in alphabet.characters:
            raise ValueError("its alphabet has no end of a record")
        return model, alphabet, corpus
    except UsageError as problem:
        raise CheckpointError(f"{path}: its header is not sound: {problem.headline}") from problem
    except ValueError as problem:
        raise CheckpointError(f"{path}: its header is not sound: {problem}") from problem


def parse_learnt(path: Path, header: Mapping[str, Any]) -> Learnt | None:
    """Parse what the weights have learnt; None in a file of a version that did not write it.

    Raises:
        CheckpointError: it is out of bounds.
    """
    try:
        found = header.get("learnt")
        return None if found is None else Learnt.from_dict(found)
    except ValueError as problem:
        raise CheckpointError(f"{path}: its header is not sound: {problem}") from problem


def read_model(path: Path) -> ModelFile:
    """Read a model file, or the averaged weights of a training checkpoint.

    Raises:
        CheckpointError: the file is not a sound model.
    """
    with open_checkpoint(path) as file:
        return load_model(file)


def load_model(file: CheckpointFile) -> ModelFile:
    """Read the model of an open checkpoint, after its header has been checked.

    Raises:
        CheckpointError: it does not hold a sound model.
    """
    config, alphabet, corpus = parse_description(file.path, file.header)
    part = "" if file.kind == MODEL else _AVERAGE
    may_be_packed = file.kind == MODEL and file.format >= PACKED_SINCE
    may_have_expert = file.kind == MODEL and file.format >= EXPERTS_SINCE
    specs, of_expert = split_expert(file.specs) if may_have_expert else (dict(file.specs), {})
    specs = describe_unpacked(specs) if may_be_packed else specs
    check_weights(file.path, config, len(alphabet), select_arrays(part, specs))
    found = file.header.get("scores")
    try:
        scores = Scores.from_dict(found) if file.kind == MODEL and found is not None else None
    except ValueError as problem:
        raise CheckpointError(f"{file.path}: its scores are not sound: {problem}") from problem
    learnt = parse_learnt(file.path, file.header)
    weights, expert = select_arrays(part, file.read()), None
    if may_be_packed:
        size = sum(spec.nbytes for spec in specs.values()) + count_unpacked_bytes(of_expert)
        check_memory(size, f"unpacking {file.path}")
        try:
            weights, tables = split_expert(weights)
            weights = unpack_weights(weights)
            expert = unpack_expert(tables, len(alphabet))
        except ValueError as problem:
            raise CheckpointError(f"{file.path}: its weights are not sound: {problem}") from problem
    return ModelFile(config, alphabet, corpus, scores, weights, str(file.digest), learnt, expert)


def select_arrays(prefix: str, arrays: Mapping[str, T]) -> dict[str, T]:
    """Select the arrays whose names begin with a prefix, and strip it."""
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def check_weights(
    path: Path,
    config: ModelConfig,
    alphabet_size: int,
    weights: Mapping[str, TensorSpec] | Mapping[str, NDArray[Any]],
) -> None:
    """Check names, types and shapes of the weights against the configuration of the model.

    Args:
        path: of the file, for errors.
        config: of the model.
        alphabet_size: characters in its alphabet.
        weights: the tensors, or their types and shapes.

    Raises:
        CheckpointError: a tensor is missing, unknown or of another shape.
    """
    expected = list_parameter_shapes(config, alphabet_size)
    odd = sorted(set(expected) ^ set(weights))
    if odd:
        raise CheckpointError(f"{path}: has missing or unknown tensors: {', '.join(odd)[:200]}")
    for name, shape in expected.items():
        found = weights[name]
        if found.shape != shape or found.dtype != "float32":
            raise CheckpointError(
                f"{path}: {name} is {found.dtype} of shape {found.shape}; "
                f"the model it describes has float32 of shape {shape}"
            )
