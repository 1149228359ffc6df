"""Scores of the units of a text: its lines, records, characters or windows, as they arrive.

A text comes in chunks, and so do its units: a part of a unit is yielded once it is measured, so
that a unit of any length takes no more memory than a part of it.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from charrnn.config.inference import WINDOW, UnitConfig
from charrnn.data.alphabet import RECORD_END, STRAY_END, Alphabet, is_invalid_byte
from charrnn.data.text_reader import NAME_ENCODING
from charrnn.errors import UnknownCharacterError, UsageError
from charrnn.evaluation.surprisal import NEWLINE, Measured, Meter
from charrnn.inference.backend import Backend
from charrnn.kernels.network import Doubles

Ends = Callable[[str, int], Iterable[int]]
"""Ends(symbols, begun): the positions among some symbols at which units end, each that after the
last symbol of a unit; ``begun`` is the number of characters of the first unit before them."""


@dataclass(frozen=True)
class UnitChoice:
    """The units of a text, and the way it is read.

    Attributes:
        by: the kind of unit, one of UNITS.
        carried: True carries the state through the text, False reads each line or record afresh.
        separator: the character that ends a line, or a record of a model of records.
        window: the number of characters of each window.
    """

    by: str
    carried: bool
    separator: str
    window: int

    @property
    def ending(self) -> str:
        """The character that ends each unit and is no part of its text; empty if there is none."""
        return self.separator if self.by in ("line", "record") else ""

    @property
    def ends(self) -> Ends:
        """The function that finds the ends of the units."""
        match self.by:
            case "line":
                return find_line_ends
            case "record":
                return find_record_ends
            case "character":
                return make_window_ends(1)
            case _:
                return make_window_ends(self.window)


def choose_units(model: str, config: UnitConfig, *, has_records: bool) -> UnitChoice:
    """Choose the units of a text, and the way to read it, where they are not given.

    Args:
        model: the model's name in errors.
        config: the settings that are given.
        has_records: True for a model of records, which are read afresh in any case.

    Raises:
        UsageError: a setting goes with neither the units nor the model.
    """
    by, carried = config.by, config.carried
    if config.window is not None and by != "window":
        raise UsageError("is for units that are windows; leave it out", settings=("window",))
    if not has_records and by == "record":
        raise UsageError(
            f"is record, but {model} is not a model of records; give line", settings=("by",)
        )
    if has_records and (by == "line" or carried):
        setting, value = ("by", "line") if by == "line" else ("carried", "chosen")
        raise UsageError(
            f"is {value}, but {model} is a model of records, each read afresh; leave it out",
            settings=(setting,),
        )
    by = by or ("record" if has_records else "line")
    return UnitChoice(
        by=by,
        carried=not has_records and by != "line" if carried is None else carried,
        separator=RECORD_END if has_records else NEWLINE,
        window=config.window or WINDOW,
    )


@dataclass(frozen=True)
class UnitScore:
    """The score of a unit.

    Attributes:
        number: its number in the text, from 1.
        characters: the number of its characters that were scored, with the one that ends it.
        bits: their negative log-likelihood.
    """

    number: int
    characters: int
    bits: float

    @property
    def bits_per_char(self) -> float:
        """The mean over the scored characters; NaN if there are none."""
        return self.bits / self.characters if self.characters else math.nan


@dataclass(frozen=True)
class Unit(UnitScore):
    """A unit with its score.

    Attributes:
        text: its text without the character that ends a line or record; a byte that is not valid in
            the encoding, or for a model of bytes in UTF-8, is U+DC00 and its value (PEP 383).
    """

    text: str


class ScoredPart(NamedTuple):
    """A part of a unit: its text and, with the last part of a unit, the score of the whole."""

    text: str
    score: UnitScore | None


class Scoring:
    """The scores of the units of a text; it is read once, as it arrives.

    Iterate over it for whole units, or over :meth:`parts` for units that may be too long to hold.

    Args:
        backend: the model.
        alphabet: the model's.
        chunks: the text's symbols, as they come.
        choice: its units, and the way to read it.
        unknown: the treatment of a character that the alphabet lacks: error, skip or replace.
        name: the text's name in errors; empty for none.

    Attributes:
        by: the kind of unit.
    """

    def __init__(
        self,
        backend: Backend,
        alphabet: Alphabet,
        chunks: Iterable[str],
        choice: UnitChoice,
        *,
        unknown: str = "error",
        name: str = "",
    ) -> None:
        self.by = choice.by
        self._name, self._ending = name, choice.ending
        self._holds_records = choice.separator == RECORD_END
        self._is_bytes = alphabet.kind == "bytes"
        self._meter = Meter(backend, alphabet, unknown, choice.separator)
        measure = self._meter.measure_carried if choice.carried else self._meter.measure_afresh
        self._parts = split_into_units(measure(chunks), choice.ends)

    @property
    def unknown(self) -> int:
        """Characters so far that the model does not know."""
        return self._meter.unknown

    def __iter__(self) -> Iterator[Unit]:
        """Yield each unit as soon as it ends.

        Raises:
            CorpusError: the text cannot be read.
            UnknownCharacterError: the text has one, and ``unknown`` is error; it comes after all
                units before it.
            PredictionError: the model's predictions are not finite.
        """
        texts = []
        for text, score in self.parts():
            texts.append(text)
            if score:
                yield Unit(score.number, score.characters, score.bits, "".join(texts))
                texts = []

    def parts(self) -> Iterator[ScoredPart]:
        """Yield the parts of the units, each as soon as it is measured; it raises as they do."""
        try:
            yield from self._score_parts()
        except UnknownCharacterError as problem:
            if is_invalid_byte(problem.character) and problem.character != STRAY_END:
                problem.remedies = (NAME_ENCODING, *problem.remedies)
            if self._name:
                problem.message = f"{self._name}: {problem.message}"
            raise

    def _score_parts(self) -> Iterator[ScoredPart]:
        number, characters, nats, decoder = 1, 0, [], _open_decoder()
        for part in self._parts:
            text = part.symbols.removesuffix(self._ending)
            if self._holds_records:
                text = text.replace(STRAY_END, RECORD_END)
            if self._is_bytes:
                text = decoder.decode(text.encode("latin-1"), part.last)
            characters += part.scored
            nats.append(part.total)
            if not part.last:
                yield ScoredPart(text, None)
                continue
            yield ScoredPart(text, UnitScore(number, characters, math.fsum(nats) / math.log(2)))
            number, characters, nats, decoder = number + 1, 0, [], _open_decoder()


def _open_decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("surrogateescape")


class UnitPart(NamedTuple):
    """A unit of a text, or a part of one: symbols, their nats, and whether they end the unit."""

    symbols: str
    nats: Doubles
    last: bool

    @property
    def scored(self) -> int:
        """Number of the symbols that were scored; an unknown one that is skipped has no nats."""
        return len(self.nats) - int(np.isnan(self.nats).sum())

    @property
    def total(self) -> float:
        """Nats of all scored symbols."""
        return float(np.nansum(self.nats))


def find_line_ends(symbols: str, begun: int) -> Iterator[int]:  # noqa: ARG001
    """Find the ends of lines, which are after their newlines."""
    return (found.end() for found in re.finditer(NEWLINE, symbols))


def find_record_ends(symbols: str, begun: int) -> Iterator[int]:  # noqa: ARG001
    """Find the ends of records, which are after their RECORD_ENDs."""
    return (found.end() for found in re.finditer(RECORD_END, symbols))


def make_window_ends(size: int) -> Ends:
    """Make the function that finds the ends of windows of ``size`` characters."""
    return lambda symbols, begun: range(size - begun, len(symbols) + 1, size)


def split_into_units(measured: Iterable[Measured], ends: Ends) -> Iterator[UnitPart]:
    """Split a measured text into units; characters left over at its end are a unit too."""
    begun = 0
    for symbols, nats in measured:
        begin = 0
        for end in ends(symbols, begun):
            yield UnitPart(symbols[begin:end], nats[begin:end], last=True)
            begin, begun = end, 0
        if begin < len(symbols):
            yield UnitPart(symbols[begin:], nats[begin:], last=False)
            begun += len(symbols) - begin
    if begun:
        yield UnitPart("", np.empty(0), last=True)
