"""Fine-tuning: transfer a trained model to another text and extend its alphabet.

The weights are kept. Each new character n gets a row in the embedding and in the head, the mean of
the rows of the V known characters, and in the head the bias

    b_n = mean of b + log(V * f_n)        f_n: its relative frequency in the new text

The mean of logits is at most the logarithm of the mean of their exponentials (Jensen). In every
context the new characters together therefore start with a probability of at most f / (1 + f), where
f is the sum of their frequencies, and the loss of a known character rises by at most log(1 + f)
nats.

A character that no text of the new kind can hold is forgotten, since a model would go on drawing
it: the end of a record where there are no records, and the separator of records within one. An
alphabet of bytes keeps its row, which begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.base_models import name_model
from charrnn.checkpoints.checkpoint import Arrays
from charrnn.checkpoints.model_file import CorpusFacts, Learnt, ModelFile
from charrnn.config.model import ModelConfig
from charrnn.config.settings import Plain
from charrnn.data.alphabet import RECORD_END, TAKE_BYTES, Alphabet, Ids, count_ids
from charrnn.data.corpus import Corpus
from charrnn.data.records import find_separator
from charrnn.display import in_one_line
from charrnn.errors import Remedy, UsageError
from charrnn.models.parameter_shapes import EMBEDDING

_ROWS = (EMBEDDING, "head.weight")
_BIAS = "head.bias"
_SHOWN = 40
_LEAST_SHARE = 1e-9
"""Stands for the frequency of a byte that the text lacks, whose logarithm is not finite."""


@dataclass(frozen=True)
class Origin(Plain):
    """The base model of a fine-tuning run, as its checkpoint stores it.

    Attributes:
        model: path of the model's file, or the name of a base model.
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
        forgotten: characters of the model that no such text can hold.
        base: facts of the text that the model was trained on.
        learnt: what its weights were trained on; None if its file is of a version that did not
            write it.
    """

    origin: Origin
    corpus: Corpus
    model: ModelConfig
    weights: Arrays
    kept: str
    added: str
    unused: str
    forgotten: str
    base: CorpusFacts
    learnt: Learnt | None

    def to_model_file(self) -> ModelFile:
        """Make the model from which the run starts."""
        return ModelFile(self.model, self.corpus.alphabet, self.base, None, self.weights)

    def describe(self) -> str:
        """Describe the transfer in one line for the user."""
        described = (
            f"fine-tunes {self.origin.model}, trained on {self.origin.corpus}: "
            f"{len(self.kept):,} characters kept, {_count(self.added)} added, "
            f"{_count(self.unused)} unused in this text"
        )
        if self.forgotten:
            described += f", {_count(self.forgotten)} forgotten, which no such text holds"
        return described


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
    impossible = _find_impossible(corpus)
    kept = "".join(c for c in new.characters if c in old.characters)
    added = "".join(c for c in new.characters if c not in old.characters)
    unused = "".join(c for c in old.characters if c not in new.characters + impossible)
    forgotten = "".join(c for c in old.characters if c in impossible)
    if not kept:
        raise UsageError(
            "the model knows none of the text's characters, so it cannot be fine-tuned on it",
            Remedy("train from scratch"),
        )
    known = "".join(c for c in old.characters if c not in forgotten)
    both = old if old.kind == "bytes" else Alphabet.of(known + added)
    grown = corpus.reencode(both)
    shares = count_ids(grown.ids, len(both)) / len(grown)
    weights = _grow(file.weights, old.encode(known), both.encode(known), shares)
    origin = Origin(name_model(path), file.corpus.name, file.corpus.digest)
    return Transfer(
        origin=origin,
        corpus=grown,
        model=file.model,
        weights=weights,
        kept=kept,
        added=added,
        unused=unused,
        forgotten=forgotten,
        base=file.corpus,
        learnt=file.learnt,
    )


def _find_impossible(corpus: Corpus) -> str:
    """Find the characters with a meaning of their own that no text of this kind holds."""
    if corpus.records is None:
        marks = RECORD_END
    else:
        separator = corpus.alphabet.symbols(find_separator(corpus.records))
        marks = separator if len(separator) == 1 else ""
    used = corpus.alphabet.encode(marks, "skip")
    counts = count_ids(corpus.ids, len(corpus.alphabet))
    return "".join(c for c in marks if c not in corpus.alphabet.decode(used[counts[used] > 0]))


def _grow(weights: Arrays, known: Ids, rows: Ids, shares: NDArray[Any]) -> Arrays:
    """Make the rows of another alphabet: those of known characters, and new ones.

    Args:
        weights: the base model's.
        known: rows of the base model to keep, shape (V,).
        rows: their places in the new alphabet, shape (V,).
        shares: the frequency of each character of the new alphabet in the text.
    """
    fresh = np.ones(len(shares), bool)
    fresh[rows] = False
    grown = dict(weights)
    for name in (*_ROWS, _BIAS):
        old = weights[name][known]
        wider = np.empty((len(shares), *old.shape[1:]), old.dtype)
        wider[rows], wider[fresh] = old, old.mean(0)
        grown[name] = wider
    frequencies = np.maximum(shares[fresh], _LEAST_SHARE)
    grown[_BIAS][fresh] += np.log(len(known) * frequencies).astype(np.float32)
    return grown


def _count(characters: str) -> str:
    """Format the number of characters, and the first of them."""
    shown = in_one_line(" ".join(characters[:_SHOWN])) + (
        " ..." if len(characters) > _SHOWN else ""
    )
    return f"{len(characters):,} ({shown})" if characters else "none"
