"""Verification of checkpoints: the integrity of a file, and its content.

The optimizer and the hidden states of a run are checked when it is resumed, against its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import TRAINING, open_checkpoint
from charrnn.checkpoints.model_file import CorpusFacts, ModelFile, Scores, load_model
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.checkpoints.run_index import find_model
from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet
from charrnn.files import is_file
from charrnn.training.run_config import check_run


@dataclass(frozen=True)
class VerifiedFile:
    """The content of a checkpoint whose digest, settings and tensors hold.

    Attributes:
        path: the file.
        format: version of the header in the file.
        kind: MODEL or TRAINING.
        version: the version of charrnn that wrote it, as the header states it.
        model: the configuration of the network.
        parameters: the number of its weights.
        tensors: the number of tensors in the file.
        alphabet: the model's.
        corpus: facts of the text that it was trained on.
        step: the number of steps that it was trained for; None if that is not known.
        scores: the results of its training; None if they are not known.
        digest: SHA-256 of the content, in hexadecimal.
        content: the model itself.
    """

    path: Path
    format: int
    kind: str
    version: object
    model: ModelConfig
    parameters: int
    tensors: int
    alphabet: Alphabet
    corpus: CorpusFacts
    step: int | None
    scores: Scores | None
    digest: str
    content: ModelFile

    @property
    def held_out_learnt(self) -> float:
        """The share of the held-out text that the base model was trained on."""
        return self.content.held_out_learnt

    def to_dict(self) -> dict[str, Any]:
        """List the facts by their names in JSON; what is not known is None."""
        scores = self.scores
        return {
            "model": str(self.path),
            "format": self.format,
            "kind": self.kind,
            "written_by": self.version,
            "model_sha256": self.digest,
            "network": self.model.to_dict(),
            "parameters": self.parameters,
            "expert": self.content.expert and self.content.expert.to_dict(),
            "tensors": self.tensors,
            "alphabet": describe_alphabet(self.alphabet),
            "corpus": {
                "name": self.corpus.name,
                "characters": self.corpus.characters,
                "text_sha256": self.corpus.digest,
                "valid": self.corpus.valid,
                "separator": self.corpus.records,
            },
            "steps": self.step,
            "epochs": scores and scores.epoch,
            "train_seconds": scores and scores.train_seconds,
            "train_nats_per_char": scores and scores.train_nats_per_char,
            "valid_nats_per_char": scores and scores.valid_nats_per_char,
            "held_out_learnt": self.held_out_learnt,
        }


def describe_alphabet(alphabet: Alphabet) -> dict[str, Any]:
    """List the facts of an alphabet by their names in JSON."""
    return {"kind": alphabet.kind, "size": len(alphabet), "symbols": alphabet.characters}


def verify_checkpoint(path: Path) -> VerifiedFile:
    """Verify a checkpoint and return its content.

    Raises:
        CheckpointError: the file is not a valid checkpoint.
    """
    with open_checkpoint(path) as file:
        model = load_model(file)
        progress = check_run(file) if file.kind == TRAINING else None
    return VerifiedFile(
        path=path,
        format=file.format,
        kind=file.kind,
        version=file.header.get("charrnn"),
        model=model.model,
        parameters=model.parameters,
        tensors=len(file.specs),
        alphabet=model.alphabet,
        corpus=model.corpus,
        step=progress.step if progress else model.scores.step if model.scores else None,
        scores=model.scores,
        digest=str(file.digest),
        content=model,
    )


def find_checkpoints(named: str | None) -> list[Path]:
    """Find a checkpoint by its path, or those of a run by the run's path or name.

    Args:
        named: the path or name; None is the latest run.

    Raises:
        CheckpointError: there is none.
    """
    found = find_model(named)
    if named is not None and found == Path(named):
        return [found]
    run = RunDirectory(found.parent)
    return [path for path in (run.best, run.last) if is_file(path)]
