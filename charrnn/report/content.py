"""Content of a report: figures, drawn texts, memorization, surprisal, neurons and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.analysis.activations import (
    compute_activations,
    count_layers,
    limit_characters,
    name_units,
)
from charrnn.analysis.features import LEAST_CHARACTERS, compute_features, find_followers
from charrnn.analysis.gradients import CONTEXT, STEPS, Reach, measure_reach
from charrnn.analysis.memorization import Overlap, Quote, compare_with_held_out, quote_longest
from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import RECORD_END, Alphabet, Ids
from charrnn.data.encoded_text import EncodedText
from charrnn.data.records import find_separator
from charrnn.evaluation.surprisal import find_expectations, find_worst, measure_surprisal
from charrnn.inference.backend import Backend
from charrnn.models.char_model import CharModel
from charrnn.training.run_summary import Summary

TEMPERATURES = (0.5, 0.8, 1.0)

PARTS = len(TEMPERATURES) + 4
"""Parts of the content that are gathered one after another."""

SHOWN_CHARACTERS = 500
"""Characters of a text along which the activations of a neuron are shown."""

Draw = Callable[[SampleConfig], str]
"""Draws a single text, or records one after another; returns symbols."""

_DRAWN_CHARACTERS = 3000
_PASSAGE_CHARACTERS = 1600
_NEURON_CHARACTERS = 5000
_PLACES = 32
_COSTLIEST = 12
_BEFORE = 24
_EXPECTED = 3


@dataclass(frozen=True)
class DrawnText:
    """A text that the model wrote.

    Attributes:
        temp: the temperature at which it was drawn.
        text: the text as a file would hold it.
    """

    temp: float
    text: str


@dataclass(frozen=True)
class Copied:
    """The overlap of a text with the training text.

    Attributes:
        name: the name of the text.
        overlap: the figures.
        quote: the longest span that the training text holds; None if there is none.
    """

    name: str
    overlap: Overlap
    quote: Quote | None


@dataclass(frozen=True)
class CostlyCharacter:
    """A character that the model did not expect.

    Attributes:
        before: the characters before it.
        symbol: the character.
        bits: its surprisal.
        expected: the likeliest characters there, with their probabilities.
    """

    before: str
    symbol: str
    bits: float
    expected: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Passage:
    """A stretch of text with its surprisal.

    Attributes:
        symbols: N characters.
        bits: the surprisal of each, N of them.
        costliest: the characters with the highest surprisal, in descending order.
    """

    symbols: str
    bits: tuple[float, ...]
    costliest: tuple[CostlyCharacter, ...]


@dataclass(frozen=True)
class Neuron:
    """A unit of a layer that follows a feature, and its activations along a text.

    Attributes:
        layer: counted from 1, the lowest.
        unit: the name of the unit, such as c17.
        follows: the name of the feature.
        correlation: their correlation in text that had no part in the choice of the unit.
        symbols: the part of the text in which the feature varies most.
        activations: of the unit after each symbol, in parts of the largest.
    """

    layer: int
    unit: str
    follows: str
    correlation: float
    symbols: str
    activations: tuple[float, ...]


@dataclass(frozen=True)
class Contents:
    """Everything that a report shows.

    Attributes:
        run: settings and figures of the run.
        read: a description of the text that the passage is from.
        drawn: texts drawn at several temperatures.
        copied: memorization: the overlaps of these texts, and of held-out text of the same length.
        passage: a passage with its surprisal.
        neurons: units that follow a feature.
        reaches: the reach of the gradient; empty if the text is too short for it.
    """

    run: Summary
    read: str
    drawn: list[DrawnText]
    copied: list[Copied]
    passage: Passage
    neurons: list[Neuron]
    reaches: list[Reach]

    @property
    def bits_per_char(self) -> float | None:
        """The best held-out loss in bits; None if nothing is held out."""
        best = self.run.progress.best_nats_per_char
        return None if best is None else best / math.log(2)


def gather_content(
    run: Summary,
    model: CharModel,
    backend: Backend,
    alphabet: Alphabet,
    trained_on: EncodedText,
    held_out: EncodedText,
    draw: Draw,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Contents:
    """Gather the content of a report.

    Args:
        run: the summary of the run.
        model: the run's best model, on the CPU, ready to predict.
        backend: the same model, to measure surprisal with.
        alphabet: the model's.
        trained_on: the text that the model was trained on.
        held_out: the held-out text; if it is empty, the end of the training text is read.
        draw: draws from the model.
        on_progress: called with the number of PARTS that are done.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    text, description = held_out, "the beginning of the held-out text"
    if not len(held_out):
        text, description = trained_on.last(_NEURON_CHARACTERS), "the end of the training text"
    drawn = {}
    for temp in TEMPERATURES:
        drawn[temp] = draw(SampleConfig(temperature=temp, length=_DRAWN_CHARACTERS))
        on_progress(len(drawn))
    copied = _measure_copied(drawn, alphabet, trained_on, held_out)
    on_progress(len(drawn) + 1)
    passage = read_passage(backend, text[:_PASSAGE_CHARACTERS], alphabet, _COSTLIEST)
    on_progress(len(drawn) + 2)
    neurons = find_neurons(backend, text[:_NEURON_CHARACTERS], alphabet)
    on_progress(len(drawn) + 3)
    reaches = _measure_reaches(model, text.ids)
    on_progress(PARTS)
    return Contents(
        run=run,
        read=description,
        drawn=[
            DrawnText(temp, _separate_records(_decode(alphabet, symbols), run.corpus.records))
            for temp, symbols in drawn.items()
        ],
        copied=copied,
        passage=passage,
        neurons=neurons,
        reaches=reaches,
    )


def read_passage(backend: Backend, text: EncodedText, alphabet: Alphabet, worst: int) -> Passage:
    """Measure the surprisal of a passage, and find the ``worst`` characters.

    Args:
        backend: the model.
        text: the passage, at least one character.
        alphabet: the model's.
        worst: the number of characters to find.

    Raises:
        PredictionError: the model's predictions are not finite.
    """
    symbols = alphabet.decode(text.ids)
    nats = measure_surprisal(backend, text)
    bits = tuple((nats / math.log(2)).tolist())
    costliest = tuple(
        CostlyCharacter(
            before=symbols[max(one.position - _BEFORE, 0) : one.position],
            symbol=symbols[one.position],
            bits=bits[one.position],
            expected=tuple((alphabet.characters[other], p) for other, p in one.likeliest),
        )
        for one in find_expectations(backend, text, find_worst(nats, worst), _EXPECTED)
    )
    return Passage(symbols[text.unscored :], bits[text.unscored :], costliest)


def find_neurons(backend: Backend, text: EncodedText, alphabet: Alphabet) -> list[Neuron]:
    """Find for each feature the unit of any layer that follows it most closely.

    Args:
        backend: the network.
        text: nothing is found in one of less than LEAST_CHARACTERS.
        alphabet: the model's.
    """
    if len(text) < LEAST_CHARACTERS:
        return []
    best: dict[str, Neuron] = {}
    for layer in range(1, count_layers(backend) + 1):
        shortened = text[: limit_characters(backend)]
        for neuron in _find_in_layer(backend, shortened, alphabet, layer):
            rival = best.get(neuron.follows)
            if rival is None or abs(neuron.correlation) > abs(rival.correlation):
                best[neuron.follows] = neuron
    return sorted(best.values(), key=lambda neuron: -abs(neuron.correlation))


def _find_in_layer(
    backend: Backend, text: EncodedText, alphabet: Alphabet, layer: int
) -> list[Neuron]:
    """Find for each feature the unit of a layer that follows it, if one does."""
    symbols, names = alphabet.decode(text.ids), name_units(backend)
    features = compute_features(symbols)
    activations = compute_activations(backend, text, layer)
    neurons = []
    for follower in find_followers(activations, features, count=1):
        begin = _find_liveliest(features[follower.feature])
        shown = slice(begin, begin + SHOWN_CHARACTERS)
        outputs = activations[shown, follower.unit]
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


def _find_liveliest(values: NDArray[np.float64]) -> int:
    """Find where the stretch of SHOWN_CHARACTERS that varies most begins."""
    last = max(len(values) - SHOWN_CHARACTERS, 0)
    begins: list[int] = [*range(0, last, SHOWN_CHARACTERS // 2), last]
    spreads = [float(values[begin : begin + SHOWN_CHARACTERS].std()) for begin in begins]
    return begins[spreads.index(max(spreads))]


def _measure_copied(
    drawn: dict[float, str], alphabet: Alphabet, trained_on: EncodedText, held_out: EncodedText
) -> list[Copied]:
    """Measure the overlap of each drawn text, and of held-out text as long as the first."""
    texts = [alphabet.encode(symbols) for symbols in drawn.values()]
    overlaps, (held_out_overlap, *_) = compare_with_held_out(texts, trained_on, held_out)
    named = [(f"drawn at {temp}", overlap) for temp, overlap in zip(drawn, overlaps, strict=True)]
    return [
        Copied(name, overlap, quote_longest(overlap, trained_on, alphabet))
        for name, overlap in [*named, ("held out", held_out_overlap)]
    ]


def _measure_reaches(model: CharModel, ids: Ids) -> list[Reach]:
    """Measure the reach of the gradient, as far as the text is long enough to look back."""
    steps = min(STEPS, len(ids) - CONTEXT - 2)
    return measure_reach(model, ids, steps, _PLACES) if steps > 0 else []


def _separate_records(text: str, records: str | None) -> str:
    """Put the separator of the corpus in the place of RECORD_END."""
    return text if records is None else text.replace(RECORD_END, find_separator(records))


def _decode(alphabet: Alphabet, symbols: str) -> str:
    return alphabet.to_bytes(symbols).decode("utf-8", "replace")
