"""The card of the base model: what it read, how it was made, what it scores, what it is bad at."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Mapping, Sequence

from charrnn.checkpoints.model_file import ModelFile
from charrnn.training.validation import MOST_SCORED
from tests.base_model.books import HELD_OUT, Book

_COLUMNS = 98


def write_card(
    model: ModelFile, books: Sequence[Book], held_out_nats: Mapping[str, float], file: bytes
) -> str:
    """Write the card in Markdown.

    Args:
        model: the model, as it was trained.
        books: all books, those held out too.
        held_out_nats: nats per character of the first MOST_SCORED characters held out, by the
            precision of the weights.
        file: the contents of its file.

    Raises:
        ValueError: the model has no scores, or there is no book by an author who is held out.
    """
    authors = {book.author for book in books}
    learnt = [book for book in books if book.author not in HELD_OUT]
    scores, corpus, network = model.scores, model.corpus, model.model
    if scores is None or not authors.issuperset(HELD_OUT):
        raise ValueError("the card takes a model with scores and books by every author held out")
    training = corpus.characters * (1 - corpus.valid)
    losses = ", ".join(f"{nats:.3f} in {name}" for name, nats in held_out_nats.items())
    facts = {
        "network": f"{network.lstm_gates} {network.cell}, {network.layers} x {network.hidden}, "
        f"{model.parameters:,} parameters",
        "file": f"{len(file):,} bytes, a number of a matrix in 8 bits",
        "SHA-256 of the file": f"`{hashlib.sha256(file).hexdigest()}`",
        "trained on": f"{scores.epoch * training:,.0f} characters, {scores.epoch:.2f} times the "
        f"{training:,.0f} of {len(learnt)} books in an order of chance, read in parallel streams, "
        "so that below one time the end of each stream was not reached",
        "alphabet": f"{len(model.alphabet)} characters",
        "held out": f"{corpus.valid:.2%}: all books of {', '.join(HELD_OUT)}",
        f"nats per character, first {MOST_SCORED:,} held out": losses,
        "SHA-256 of the text": f"`{corpus.digest}`",
        "trained by": "`make base BOOKS=books.tar.xz`",
    }
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    names = textwrap.fill(", ".join(sorted(authors - set(HELD_OUT))) + ".", _COLUMNS)
    return f"""# english

The base model of charrnn for English prose, to begin training from:
`charrnn train letters.txt --from english`. Its file is `english.safetensors`; the licence is that
of charrnn, the books are in the public domain.

| | |
|---|---|
{rows}

Each book has one dress, chosen at random: plain or typographic quotes, paragraphs in one line or
wrapped to 60 to 79 columns, dashes as `—`, `--` or `--` between blanks. Characters beyond the
alphabet were written without their accents, or left out.

## What it is bad at

- Whatever is not prose in English: other languages, code, tables, names in lists, capitals.
- English of today: it has read nothing written after the middle of the twentieth century, and
  speaks of people as its books do, at times with contempt for women, other peoples and the poor.
- Facts and meaning: it knows spelling, words and the run of sentences.

## What it has read

Books in the public domain by {len(authors - set(HELD_OUT))} authors who, as the collection states,
died before 1955:

{names}
"""
