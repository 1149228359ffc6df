"""Everything that a report says is found out here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from charrnn.alphabet import RECORD_END, Alphabet, Ids
from charrnn.config import SampleConfig
from charrnn.gradients import CONTEXT, STEPS, Reach, measure_reach
from charrnn.model import CharModel
from charrnn.novelty import compare, line_of
from charrnn.reading import Reader
from charrnn.records import separator
from charrnn.report.contents import Contents, Copied, Drawn
from charrnn.report.neurons import find_neurons
from charrnn.report.surprisal import read_passage
from charrnn.summary import Summary

TEMPERATURES = (0.5, 0.8, 1.0)

_DRAWN_CHARACTERS = 3000
_PASSAGE_CHARACTERS = 1600
_NEURON_CHARACTERS = 5000
_PLACES = 32
_COSTLIEST = 12

Draw = Callable[[SampleConfig], str]
"""Draws a single text, or records one after another; its symbols."""


def measure(
    run: Summary,
    model: CharModel,
    reader: Reader,
    alphabet: Alphabet,
    trained_on: Ids,
    held_out: Ids,
    draw: Draw,
) -> Contents:
    """Find out what a report says.

    Args:
        run: which one.
        model: its best one, on the CPU, ready to predict.
        reader: the same one, as surprisal is measured with it.
        alphabet: the model's.
        trained_on: the text that it learnt, shape (N,).
        held_out: the text it did not, shape (M,); if empty, the end of the other is read.
        draw: draws from the model.

    Raises:
        CheckpointError: the model's predictions are not finite.
    """
    end = None if run.corpus.records is None else alphabet.characters.index(RECORD_END)
    read, what = held_out, "the beginning of the held-out text"
    if not len(held_out):
        read, what = _last(trained_on, end), "the end of the training text"
    drawn = {temp: draw(SampleConfig(temp=temp, length=_DRAWN_CHARACTERS)) for temp in TEMPERATURES}
    return Contents(
        run=run,
        read=what,
        drawn=[
            Drawn(temp, _parted(_text(alphabet, symbols), run.corpus.records))
            for temp, symbols in drawn.items()
        ],
        copied=_measure_copied(drawn, alphabet, trained_on, held_out, end),
        passage=read_passage(reader, read[:_PASSAGE_CHARACTERS], alphabet, _COSTLIEST, end),
        neurons=find_neurons(model, read[:_NEURON_CHARACTERS], alphabet, end),
        reaches=_reaches(model, read),
    )


def _last(ids: Ids, end: int | None) -> Ids:
    """The end of a text; of records, whole ones, one at least, with the end before them."""
    begin = max(len(ids) - _NEURON_CHARACTERS, 0)
    if end is not None:
        marks = np.flatnonzero(ids[:-1] == end)
        record = min(int(np.searchsorted(marks, begin)), len(marks) - 1)
        begin = int(marks[record])
    return ids[begin:]


def _measure_copied(
    drawn: dict[float, str], alphabet: Alphabet, trained_on: Ids, held_out: Ids, end: int | None
) -> list[Copied]:
    """Each drawn text's overlap with the training text, and that of held-out text as long."""
    texts = [alphabet.encode(symbols) for symbols in drawn.values()]
    ours, theirs = compare(texts, trained_on, held_out, end)
    named = [(f"drawn at {temp}", overlap) for temp, overlap in zip(drawn, ours, strict=True)]
    found = []
    for name, overlap in [*named, ("held out", theirs[0])]:
        span = overlap.longest
        begin, length = (span.offset, span.length) if span else (0, 0)
        quote = _text(alphabet, alphabet.decode(trained_on[begin : begin + length]))
        found.append(Copied(name, overlap, quote, line_of(trained_on, begin, alphabet, end)))
    return found


def _reaches(model: CharModel, ids: Ids) -> list[Reach]:
    """The gradient's reach, as far as the text is long enough to look back."""
    steps = min(STEPS, len(ids) - CONTEXT - 2)
    return measure_reach(model, ids, steps, _PLACES) if steps > 0 else []


def _parted(text: str, records: str | None) -> str:
    """A text to be looked at, its records parted as the corpus has them."""
    return text if records is None else text.replace(RECORD_END, separator(records))


def _text(alphabet: Alphabet, symbols: str) -> str:
    return alphabet.to_bytes(symbols).decode("utf-8", "replace")
