"""Sample from a model of records: assemble whole records, and select unique or novel ones."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import RECORD_END, Alphabet, Ids
from charrnn.errors import CharrnnError, UsageError
from charrnn.inference.backend import Backend
from charrnn.inference.sampling import Piece, order_pieces, sample

LEAST_TRIES = 1000
"""The least limit of records drawn in a search for acceptable ones."""

TRIES_PER_RECORD = 100
"""The limit for each requested record, if that is more in all."""


def limit_tries(count: int) -> int:
    """Return the largest number of records to draw for ``count`` acceptable ones."""
    return max(LEAST_TRIES, TRIES_PER_RECORD * count)


@dataclass
class Selection:
    """Assembles records from drawn pieces, and selects the acceptable ones.

    A record that reaches the length limit is cut.

    Attributes:
        count: number of requested records.
        length: the length limit: the most characters drawn for a record, its end included.
        prime: the symbols that each record begins with, which are not drawn.
        known: records to reject; if there are any, cut records are rejected as well.
        unique: True rejects repeated and cut records.
        tries: records drawn so far.
        cut: accepted records that were cut.
        found: accepted records.
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
        """True if some records are rejected."""
        return self.unique or bool(self.known)

    def choose(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Yield each acceptable record as one piece, numbered from 0, until there are enough.

        Args:
            pieces: pieces of one record after another, without their ends.
        """
        drawn = ""
        for piece in pieces:
            drawn += piece.symbols
            if not piece.last:
                continue
            self.tries += 1
            record, is_cut = self.prime + drawn, len(drawn) >= self.length
            drawn = ""
            if self._accepts(record, is_cut):
                self.cut += is_cut
                yield replace(piece, sample=self.found, symbols=record)
                self.found += 1
                if self.found == self.count:
                    return

    def _accepts(self, record: str, is_cut: bool) -> bool:
        if self.selects and (is_cut or record in self.known):
            return False
        if self.unique:
            if record in self._seen:
                return False
            self._seen.add(record)
        return True


def open_record(alphabet: Alphabet, prime: Ids) -> Ids:
    """Return the ids that open a record: the end of the record before, and the prime."""
    return np.concatenate((alphabet.encode(RECORD_END), prime))


def stop_at_record_end(config: SampleConfig) -> SampleConfig:
    """Add the end of a record to the stop strings of a configuration."""
    return replace(config, stop=(*config.stop, RECORD_END))


class RecordChoice:
    """Chooses among the samples of a model of records; each sample is one record.

    Args:
        config: the requested sampling configuration.
        prime: the symbols that each record begins with.
        known: records to reject.
        unique: True to choose different records.
        novel: True if ``known`` holds the records of the training text.

    Attributes:
        config: the configuration that draws enough records to choose from.

    Raises:
        UsageError: the prime contains the end of a record.
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
                "contains the end of a record (U+001E); give the beginning of a record",
                settings=("prime",),
            )
        self._unique, self._novel = unique, novel
        self._selection = Selection(config.count, config.length, prime, known, unique)
        tries = limit_tries(config.count) if self._selection.selects else config.count
        self.config = stop_at_record_end(replace(config, count=tries))

    def choose(self, pieces: Iterable[Piece], on_note: Callable[[str], None]) -> Iterator[Piece]:
        """Yield each chosen record as one piece.

        Args:
            pieces: pieces of one record after another, without their ends.
            on_note: called with the number of cut records.

        Raises:
            CharrnnError: after the last record, if fewer than requested are acceptable.
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
                f"only {selection.found:,} of {selection.tries:,} drawn records are complete and "
                f"{wanted}; {selection.count:,} were requested.\n"
                "Request fewer records, a higher temperature or a greater length."
            )


def draw_records(backend: Backend, alphabet: Alphabet, config: SampleConfig, seed: int) -> str:
    """Draw records with ``config.length`` characters or more in all, joined as in a corpus."""
    opened = open_record(alphabet, alphabet.encode(""))
    wanted = stop_at_record_end(replace(config, count=config.length))
    text = RECORD_END
    for piece in order_pieces(sample(backend, alphabet, wanted, opened, seed)):
        text += piece.symbols + (RECORD_END if piece.last else "")
        if len(text) > config.length and piece.last:
            break
    return text
