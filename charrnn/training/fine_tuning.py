"""Fine-tuning: transfer a trained model to another text and extend its alphabet.

The weights are kept. Each new character n gets a row in the embedding and in the head, the mean of
the rows of the V known characters, and in the head the bias

    b_n = mean of b + log(V * f_n)        f_n: its relative frequency in the new text

The mean of logits is at most the logarithm of the mean of their exponentials (Jensen). In every
context the new characters together therefore start with a probability of at most f / (1 + f), where
f is the sum of their frequencies, and the loss of a known character rises by at most log(1 + f)
nats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Arrays
from charrnn.checkpoints.model_file import ModelFile
from charrnn.config.model import ModelConfig
from charrnn.config.settings import Plain
from charrnn.data.alphabet import TAKE_BYTES, Alphabet, count_ids
from charrnn.data.corpus import Corpus
from charrnn.display import in_one_line
from charrnn.errors import Remedy, UsageError
from charrnn.models.parameter_shapes import EMBEDDING

_ROWS = (EMBEDDING, "head.weight")
_BIAS = "head.bias"
_SHOWN = 40


@dataclass(frozen=True)
class Origin(Plain):
    """The base model of a fine-tuning run, as its checkpoint stores it.

    Attributes:
        model: path of the model's file.
        corpus: name of the text that the model was trained on.
        digest: SHA-256 of that text, in hexadecimal.
    """

    model: str
    corpus: str
    digest: str

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Origin | None:
        """Read the base model from a checkpoint's header; None if training started from scratch.

        Raises:
            ValueError: the entry is not valid.
        """
        found = header.get("from")
        return None if found is None else cls.from_dict(found)


@dataclass(frozen=True)
class Transfer:
    """The start of a fine-tuning run.

    Attributes:
        origin: the base model.
        corpus: the new text, in the extended alphabet.
        model: the base model's settings.
        weights: the base model's weights, extended to that alphabet.
        kept: characters that the model and the text share.
        added: characters of the text that the model did not know.
        unused: characters of the model that the text lacks; they stay in the alphabet.
    """

    origin: Origin
    corpus: Corpus
    model: ModelConfig
    weights: Arrays
    kept: str
    added: str
    unused: str

    def describe(self) -> str:
        """Describe the transfer in one line for the user."""
        return (
            f"fine-tunes {self.origin.model}, trained on {self.origin.corpus}: "
            f"{len(self.kept):,} characters kept, {_count(self.added)} added, "
            f"{_count(self.unused)} unused in this text"
        )


def transfer_model(path: Path, file: ModelFile, corpus: Corpus) -> Transfer:
    """Extend a model to the union of its alphabet and a text's.

    Args:
        path: the model's file.
        file: its contents.
        corpus: the text, in its own alphabet.

    Raises:
        UsageError: one alphabet is of bytes and the other of characters, or they share no
            character.
    """
    old, new = file.alphabet, corpus.alphabet
    if old.kind != new.kind:
        raise UsageError(
            f"the model's alphabet is of {old.kind}, but the text is read as {new.kind}",
            TAKE_BYTES if old.kind == "bytes" else Remedy("read the text as characters, not bytes"),
        )
    kept = "".join(c for c in new.characters if c in old.characters)
    added = "".join(c for c in new.characters if c not in old.characters)
    unused = "".join(c for c in old.characters if c not in new.characters)
    if not kept:
        raise UsageError(
            "the model knows none of the text's characters, so it cannot be fine-tuned on it",
            Remedy("train from scratch"),
        )
    both = old if old.kind == "bytes" else Alphabet.of(old.characters + added)
    grown = corpus.reencode(both)
    counts = count_ids(grown.ids, len(both))
    weights = _grow(file.weights, old, both, counts / len(grown))
    origin = Origin(str(path), file.corpus.name, file.corpus.digest)
    return Transfer(origin, grown, file.model, weights, kept, added, unused)


def _grow(weights: Arrays, old: Alphabet, both: Alphabet, shares: NDArray[Any]) -> Arrays:
    """Add rows to the weights for the characters of ``both``; shares (V,) are their frequencies."""
    rows = both.encode(old.characters)
    fresh = np.ones(len(both), bool)
    fresh[rows] = False
    grown = dict(weights)
    for name in (*_ROWS, _BIAS):
        known = weights[name]
        wider = np.empty((len(both), *known.shape[1:]), known.dtype)
        wider[rows], wider[fresh] = known, known.mean(0)
        grown[name] = wider
    grown[_BIAS][fresh] += np.log(len(old) * shares[fresh]).astype(np.float32)
    return grown


def _count(characters: str) -> str:
    """Format the number of characters, and the first of them."""
    shown = in_one_line(" ".join(characters[:_SHOWN])) + (
        " ..." if len(characters) > _SHOWN else ""
    )
    return f"{len(characters):,} ({shown})" if characters else "none"
