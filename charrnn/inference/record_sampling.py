"""Drawn pieces -> whole records; different ones, or ones that a corpus does not hold, if wanted."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import RECORD_END, Alphabet, Ids
from charrnn.errors import CharrnnError, UsageError
from charrnn.inference.backend import Backend
from charrnn.inference.sampling import Piece, in_order, sample

LEAST_TRIES = 1000
"""Records that are drawn, if need be, to find some that will do."""

TRIES_OF_ONE = 100
"""The same for each that is wanted, where that is more."""


def most_tries(count: int) -> int:
    """Records that are drawn at most to find so many that will do."""
    return max(LEAST_TRIES, TRIES_OF_ONE * count)


@dataclass
class Selection:
    """Takes records as they are drawn and lets through those that will do.

    A record that was cut at the greatest length is no whole one.

    Attributes:
        count: how many are wanted.
        length: characters that are drawn for one at most, its end included.
        prime: what each begins with, which is not drawn.
        known: records that will not do.
        unique: whether one that came before will not do, nor one that was cut.
        tries: records drawn so far.
        cut: records let through that were cut.
        found: records let through.
    """

    count: int
    length: int
    prime: str = ""
    known: Container[str] = ()
    unique: bool = False
    tries: int = 0
    cut: int = 0
    found: int = 0
    _seen: set[str] = field(default_factory=set)

    @property
    def selects(self) -> bool:
        """Whether there are records that will not do."""
        return self.unique or bool(self.known)

    def choose(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Every record that will do as a single piece, numbered from 0, until there are enough.

        Args:
            pieces: of one record after another, their ends left out.
        """
        drawn = ""
        for piece in pieces:
            drawn += piece.symbols
            if not piece.last:
                continue
            self.tries += 1
            record, is_cut = self.prime + drawn, len(drawn) >= self.length
            drawn = ""
            if self._will_do(record, is_cut):
                self.cut += is_cut
                yield replace(piece, sample=self.found, symbols=record)
                self.found += 1
                if self.found == self.count:
                    return

    def _will_do(self, record: str, is_cut: bool) -> bool:
        if self.selects and (is_cut or record in self.known):
            return False
        if self.unique:
            if record in self._seen:
                return False
            self._seen.add(record)
        return True


def open_record(alphabet: Alphabet, prime: Ids) -> Ids:
    """What a model of records reads to begin, or go on with, one: the end of the one before."""
    return np.concatenate((alphabet.encode(RECORD_END), prime))


def until_end(config: SampleConfig) -> SampleConfig:
    """The same way of drawing, up to the end of a record."""
    return replace(config, stop=(*config.stop, RECORD_END))


class RecordChoice:
    """Samples of a model of records, of which each is one record.

    Args:
        config: the way of drawing, as it was asked for.
        prime: the symbols that each record begins with.
        known: records that are not to be drawn.
        unique: whether all are to be different.
        novel: whether none is to be a known one.

    Attributes:
        config: the way of drawing that makes enough records.

    Raises:
        UsageError: a prime that goes beyond a record.
    """

    def __init__(
        self,
        config: SampleConfig,
        prime: str,
        known: frozenset[str],
        *,
        unique: bool,
        novel: bool,
    ) -> None:
        if RECORD_END in prime:
            raise UsageError(
                "ends a record (U+001E); give the beginning of one", settings=("prime",)
            )
        self._unique, self._novel = unique, novel
        self._selection = Selection(config.count, config.length, prime, known, unique)
        tries = most_tries(config.count) if self._selection.selects else config.count
        self.config = until_end(replace(config, count=tries))

    def choose(self, pieces: Iterable[Piece], on_note: Callable[[str], None]) -> Iterator[Piece]:
        """Yield each record in one piece.

        Args:
            pieces: of one record after another, their ends left out.
            on_note: is told how many records were cut.

        Raises:
            CharrnnError: there are not enough that will do, after the last that will.
        """
        selection = self._selection
        yield from selection.choose(pieces)
        if selection.cut:
            on_note(
                f"{selection.cut:,} of {selection.found:,} records were cut at the length of "
                f"{selection.length:,} characters"
            )
        if selection.found < selection.count:
            wanted = " and ".join(
                word for word, asked in (("different", self._unique), ("new", self._novel)) if asked
            )
            raise CharrnnError(
                f"only {selection.found:,} of {selection.tries:,} records drawn were whole and "
                f"{wanted}, and {selection.count:,} are wanted.\n"
                "Ask for fewer, or for a higher temperature or a greater length."
            )


def draw_records(backend: Backend, alphabet: Alphabet, config: SampleConfig, seed: int) -> str:
    """Draw records until they hold ``config.length`` characters, joined as a text of records is."""
    opened = open_record(alphabet, alphabet.encode(""))
    wanted = until_end(replace(config, count=config.length))
    text = RECORD_END
    for piece in in_order(sample(backend, alphabet, wanted, opened, seed)):
        text += piece.symbols + (RECORD_END if piece.last else "")
        if len(text) > config.length and piece.last:
            break
    return text
