"""Everything that a report says is found out here.

Units of every layer that follow something, to be shown along a text.

What a report says, before it is put on a page.

What each character of a passage cost, and what was expected where it cost most.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.analysis.activations import compute_activations, most_characters, names_of
from charrnn.analysis.features import LEAST_CHARACTERS, compute_features, find_followers
from charrnn.analysis.gradients import CONTEXT, STEPS, Reach, measure_reach
from charrnn.analysis.memorization import Overlap, compare_with_held_out
from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import RECORD_END, Alphabet, Ids
from charrnn.data.encoded_text import EncodedText
from charrnn.data.records import find_separator
from charrnn.evaluation.surprisal import expect, find_worst, measure
from charrnn.inference.backend import Backend
from charrnn.models.char_model import CharModel
from charrnn.training.run_summary import Summary

TEMPERATURES = (0.5, 0.8, 1.0)

_DRAWN_CHARACTERS = 3000
_PASSAGE_CHARACTERS = 1600
_NEURON_CHARACTERS = 5000
_PLACES = 32
_COSTLIEST = 12

Draw = Callable[[SampleConfig], str]
"""Draws a single text, or records one after another; its symbols."""


def gather_content(
    run: Summary,
    model: CharModel,
    backend: Backend,
    alphabet: Alphabet,
    trained_on: EncodedText,
    held_out: EncodedText,
    draw: Draw,
) -> Contents:
    """Find out what a report says.

    Args:
        run: which one.
        model: its best one, on the CPU, ready to predict.
        backend: the same one, as surprisal is measured with it.
        alphabet: the model's.
        trained_on: the text that it learnt.
        held_out: the text it did not; if empty, the end of the other is read.
        draw: draws from the model.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    read, what = held_out, "the beginning of the held-out text"
    if not len(held_out):
        read, what = trained_on.last(_NEURON_CHARACTERS), "the end of the training text"
    drawn = {temp: draw(SampleConfig(temp=temp, length=_DRAWN_CHARACTERS)) for temp in TEMPERATURES}
    return Contents(
        run=run,
        read=what,
        drawn=[
            Drawn(temp, _parted(_text(alphabet, symbols), run.corpus.records))
            for temp, symbols in drawn.items()
        ],
        copied=_measure_copied(drawn, alphabet, trained_on, held_out),
        passage=read_passage(backend, read[:_PASSAGE_CHARACTERS], alphabet, _COSTLIEST),
        neurons=find_neurons(model, read[:_NEURON_CHARACTERS], alphabet),
        reaches=_reaches(model, read.ids),
    )


def _measure_copied(
    drawn: dict[float, str], alphabet: Alphabet, trained_on: EncodedText, held_out: EncodedText
) -> list[Copied]:
    """Each drawn text's overlap with the training text, and that of held-out text as long."""
    texts = [alphabet.encode(symbols) for symbols in drawn.values()]
    ours, theirs = compare_with_held_out(texts, trained_on, held_out)
    named = [(f"drawn at {temp}", overlap) for temp, overlap in zip(drawn, ours, strict=True)]
    found = []
    for name, overlap in [*named, ("held out", theirs[0])]:
        span = overlap.longest
        begin, length = (span.offset, span.length) if span else (0, 0)
        quote = _text(alphabet, alphabet.decode(trained_on[begin : begin + length].ids))
        number = trained_on.find_place(begin, alphabet).number
        found.append(Copied(name, overlap, quote, number))
    return found


def _reaches(model: CharModel, ids: Ids) -> list[Reach]:
    """The gradient's reach, as far as the text is long enough to look back."""
    steps = min(STEPS, len(ids) - CONTEXT - 2)
    return measure_reach(model, ids, steps, _PLACES) if steps > 0 else []


def _parted(text: str, records: str | None) -> str:
    """A text to be looked at, its records parted as the corpus has them."""
    return text if records is None else text.replace(RECORD_END, find_separator(records))


def _text(alphabet: Alphabet, symbols: str) -> str:
    return alphabet.to_bytes(symbols).decode("utf-8", "replace")


SHOWN_CHARACTERS = 500


@dataclass(frozen=True)
class Neuron:
    """A unit of a layer, and how active it is along a text.

    Attributes:
        layer: counted from 1, the lowest.
        unit: its name, such as c17.
        follows: what its activation goes with.
        correlation: how closely, in text that had no part in the choice of the unit.
        symbols: the part of the text in which what it follows changes most.
        activations: of the unit after each of them, in parts of its largest.
    """

    layer: int
    unit: str
    follows: str
    correlation: float
    symbols: str
    activations: tuple[float, ...]


def find_neurons(model: CharModel, text: EncodedText, alphabet: Alphabet) -> list[Neuron]:
    """Find for each feature the unit of any layer that follows it most closely.

    Args:
        model: on the CPU, ready to predict.
        text: nothing is found in one of less than LEAST_CHARACTERS.
        alphabet: the model's.
    """
    if len(text) < LEAST_CHARACTERS:
        return []
    best: dict[str, Neuron] = {}
    for layer, _ in enumerate(model.layers(), 1):
        for neuron in _of_layer(model, text[: most_characters(model, layer)], alphabet, layer):
            rival = best.get(neuron.follows)
            if rival is None or abs(neuron.correlation) > abs(rival.correlation):
                best[neuron.follows] = neuron
    return sorted(best.values(), key=lambda neuron: -abs(neuron.correlation))


def _of_layer(model: CharModel, text: EncodedText, alphabet: Alphabet, layer: int) -> list[Neuron]:
    """For each thing that can be followed, the unit of a layer that does, if one does."""
    symbols, names = alphabet.decode(text.ids), names_of(model, layer)
    features = compute_features(symbols)
    active = compute_activations(model, text, layer)
    neurons = []
    for follower in find_followers(active, features, count=1):
        begin = _liveliest(features[follower.feature])
        shown = slice(begin, begin + SHOWN_CHARACTERS)
        outputs = active[shown, follower.unit]
        largest = float(np.abs(outputs).max()) or 1.0
        neurons.append(
            Neuron(
                layer=layer,
                unit=names[follower.unit],
                follows=follower.feature,
                correlation=follower.correlation,
                symbols=symbols[shown],
                activations=tuple((outputs / largest).tolist()),
            )
        )
    return neurons


def _liveliest(values: NDArray[np.float64]) -> int:
    """Where, in steps of half of what is shown, the values vary most."""
    last = max(len(values) - SHOWN_CHARACTERS, 0)
    begins: list[int] = [*range(0, last, SHOWN_CHARACTERS // 2), last]
    spreads = [float(values[begin : begin + SHOWN_CHARACTERS].std()) for begin in begins]
    return begins[spreads.index(max(spreads))]


@dataclass(frozen=True)
class Drawn:
    """A text that the model wrote.

    Attributes:
        temp: the temperature it was drawn at.
        text: itself, as a file would hold it.
    """

    temp: float
    text: str


@dataclass(frozen=True)
class Copied:
    """How much of a text stands in the training text.

    Attributes:
        name: of the text.
        overlap: the figures.
        quote: the longest span; empty if there is none.
        line: of the training text, counted from 1, in which it begins there; of records, the one.
    """

    name: str
    overlap: Overlap
    quote: str
    line: int


@dataclass(frozen=True)
class Contents:
    """Everything that a report says.

    Attributes:
        run: settings, figures and cost.
        read: what to call the text that the passage is from.
        drawn: texts at several temperatures.
        copied: memorisation: the same texts, and held-out text of the same length.
        passage: what each character of a text cost.
        neurons: units that follow something.
        reaches: how far back the gradient reaches; empty if the text is too short for it.
    """

    run: Summary
    read: str
    drawn: list[Drawn]
    copied: list[Copied]
    passage: Passage
    neurons: list[Neuron]
    reaches: list[Reach]

    @property
    def bits_per_char(self) -> float | None:
        """The best held-out loss in bits; None if nothing is held out."""
        best = self.run.progress.best_nats_per_char
        return None if best is None else best / math.log(2)


_BEFORE = 24
_EXPECTED = 3


@dataclass(frozen=True)
class Costly:
    """A character that the model did not expect.

    Attributes:
        before: the characters it came after.
        symbol: itself.
        bits: what it cost.
        expected: the likeliest characters there, with their probabilities.
    """

    before: str
    symbol: str
    bits: float
    expected: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Passage:
    """A text, the bits that each of its characters cost, and those that cost most, falling."""

    symbols: str
    bits: tuple[float, ...]
    costliest: tuple[Costly, ...]


def read_passage(backend: Backend, text: EncodedText, alphabet: Alphabet, worst: int) -> Passage:
    """Read a passage of at least one character, and find the ``worst`` that cost most."""
    symbols = alphabet.decode(text.ids)
    nats = measure(backend, text)
    bits = tuple((nats / math.log(2)).tolist())
    costliest = tuple(
        Costly(
            before=symbols[max(one.position - _BEFORE, 0) : one.position],
            symbol=symbols[one.position],
            bits=bits[one.position],
            expected=tuple((alphabet.characters[other], p) for other, p in one.likeliest),
        )
        for one in expect(backend, text, find_worst(nats, worst), _EXPECTED)
    )
    return Passage(symbols[text.unscored :], bits[text.unscored :], costliest)
