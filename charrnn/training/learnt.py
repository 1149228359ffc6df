"""The text that the weights of a run were trained on, and how much of its held-out text is in it.

A run that goes on from another model holds out a part of its own text. Where the model was trained
on that part, the held-out loss is too low, and nothing else tells. The text of the model may be the
same one, split otherwise, or begin or end the new one: the digests tell where it stands. Of any
other text the sketches of the spans tell the share (``data/sketch.py``).
"""

from __future__ import annotations

import hashlib

from charrnn.checkpoints.model_file import CorpusFacts, Learnt
from charrnn.data.corpus import Corpus, SplitCorpus
from charrnn.data.disk_array import split_into_blocks
from charrnn.data.sketch import estimate_known_share, make_sketch, merge_sketches
from charrnn.training.fine_tuning import Transfer

_LEAST_SHARE = 0.02
"""Texts that have nothing to do with each other share some spans."""


def trace_learnt(split: SplitCorpus, valid: float, start: Transfer | None) -> Learnt:
    """Trace what the weights of a new run learn from.

    Args:
        split: the text of the run.
        valid: the share of it that is held out.
        start: the model to fine-tune; None trains from scratch.
    """
    alphabet = split.corpus.alphabet
    sketch = make_sketch(split.train, alphabet)
    if start is None:
        return Learnt.of(sketch, 0.0)
    learnt, share = start.learnt, 0.0
    if len(split.held_out):
        offset = _locate(start.base, split.corpus)
        if offset is not None:
            share = _measure_overlap(start.base, learnt, offset, split.corpus, valid)
        elif learnt:
            share = estimate_known_share(learnt.sketch, split.train, split.held_out, alphabet)
    if learnt:
        sketch = merge_sketches(sketch, learnt.sketch)
    return Learnt.of(sketch, share if share >= _LEAST_SHARE else 0.0)


def describe_learnt(share: float) -> str:
    """Describe the share of a held-out text that a base model was trained on, for a person."""
    return f"the base model was trained on {'all' if share > 0.995 else f'about {share:.0%}'} of it"


def _locate(base: CorpusFacts, corpus: Corpus) -> int | None:
    """Find the character of a corpus at which another text begins; None if it cannot be told."""
    if base.digest == corpus.digest:
        return 0
    end = len(corpus) - base.characters
    if end <= 0 or base.records is not None or corpus.records is not None:
        return None
    return next((at for at in (0, end) if _hash_part(corpus, at, base) == base.digest), None)


def _hash_part(corpus: Corpus, begin: int, base: CorpusFacts) -> str:
    """Hash the part of a corpus that is as long as another text, as a file would hold it."""
    alphabet, digest = corpus.alphabet, hashlib.sha256()
    for block in split_into_blocks(corpus.ids[begin : begin + base.characters]):
        digest.update(alphabet.to_bytes(alphabet.decode(block)))
    return digest.hexdigest()


def _measure_overlap(
    base: CorpusFacts, learnt: Learnt | None, offset: int, corpus: Corpus, valid: float
) -> float:
    """Measure the share of the held-out part that a model of the text at ``offset`` has learnt."""
    length = len(corpus) if base.digest == corpus.digest else base.characters
    boundary = offset + length * (1 - base.valid)
    begin = len(corpus) * (1 - valid)
    trained = max(boundary - max(begin, offset), 0)
    held_out_twice = max(offset + length - max(begin, boundary), 0)
    before = learnt.held_out if learnt else 0.0
    return min((trained + before * held_out_twice) / (len(corpus) * valid), 1.0)
