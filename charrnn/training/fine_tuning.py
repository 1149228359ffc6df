"""A model that goes on with another text: what it knows is kept, new characters get new rows.

A new character n gets the mean of the rows of the V known ones, in the embedding and in the head,
and in the head the bias

    b_n = mean of b + log(V * f_n)        f_n: the share of the new text that it makes up

The mean of some logits is at most the logarithm of the mean of their exponentials (Jensen), so all
new characters together begin with a probability of at most f / (1 + f), where f is the sum of their
shares, whatever was read: what a known character costs rises by log(1 + f) nats at most.
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
from charrnn.data.alphabet import Alphabet, count_ids
from charrnn.data.corpus import Corpus
from charrnn.display import in_one_line
from charrnn.errors import Remedy, UsageError
from charrnn.models.parameter_shapes import EMBEDDING

_ROWS = (EMBEDDING, "head.weight")
_BIAS = "head.bias"
_SHOWN = 40


@dataclass(frozen=True)
class Origin(Plain):
    """What a run remembers of the model that it went on from.

    Attributes:
        model: its file.
        corpus: what the text was called that it was trained on.
        digest: SHA-256 of that text, in hexadecimal.
    """

    model: str
    corpus: str
    digest: str

    @classmethod
    def in_header(cls, header: Mapping[str, Any]) -> Origin | None:
        """That of the run with such a checkpoint; None if its weights were drawn.

        Raises:
            ValueError: it is not sound.
        """
        found = header.get("from")
        return None if found is None else cls.from_dict(found)


@dataclass(frozen=True)
class Transfer:
    """What a run begins with that goes on from a model.

    Attributes:
        origin: the model.
        corpus: the new text, in the alphabet of both.
        model: the model's settings.
        weights: the model's, grown to that alphabet.
        kept: characters that the model and the text share.
        added: those of the text that the model did not know.
        unused: those of the model that the text lacks; they stay.
    """

    origin: Origin
    corpus: Corpus
    model: ModelConfig
    weights: Arrays
    kept: str
    added: str
    unused: str

    def describe(self) -> str:
        """One line for the user."""
        return (
            f"goes on from {self.origin.model}, trained on {self.origin.corpus}: "
            f"{len(self.kept):,} characters kept, {_count(self.added)} added, "
            f"{_count(self.unused)} unused in this text"
        )


def transfer(path: Path, file: ModelFile, corpus: Corpus) -> Transfer:
    """Grow a model to the alphabet that it and a text have together.

    Args:
        path: where the model was read.
        file: the model.
        corpus: the text, in an alphabet of its own.

    Raises:
        UsageError: one is of bytes and the other of characters, or they share no character.
    """
    old, new = file.alphabet, corpus.alphabet
    if old.kind != new.kind:
        raise UsageError(
            f"the model reads {old.kind} and the text is read as {new.kind}",
            Remedy("take every byte as a symbol", "bytes")
            if old.kind == "bytes"
            else Remedy("read the text as characters, not bytes"),
        )
    kept = "".join(c for c in new.characters if c in old.characters)
    added = "".join(c for c in new.characters if c not in old.characters)
    unused = "".join(c for c in old.characters if c not in new.characters)
    if not kept:
        raise UsageError(
            "the model knows none of the text's characters, so it has nothing to go on from",
            Remedy("begin with fresh weights"),
        )
    both = old if old.kind == "bytes" else Alphabet.of(old.characters + added)
    grown = corpus.reencode(both)
    counts = count_ids(grown.ids, len(both))
    weights = _grow(file.weights, old, both, counts / len(grown))
    origin = Origin(str(path), file.corpus.name, file.corpus.digest)
    return Transfer(origin, grown, file.model, weights, kept, added, unused)


def _grow(weights: Arrays, old: Alphabet, both: Alphabet, shares: NDArray[Any]) -> Arrays:
    """The weights with a row for each character of ``both``; shares (V of both,) of the text."""
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
    """How many they are, and which."""
    shown = in_one_line(" ".join(characters[:_SHOWN])) + (
        " ..." if len(characters) > _SHOWN else ""
    )
    return f"{len(characters):,} ({shown})" if characters else "none"
