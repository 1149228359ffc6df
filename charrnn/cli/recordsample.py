"""charrnn sample for a model of records: a sample is a record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from charrnn.cli import terminal
from charrnn.cli.arguments import naming_corpus_option
from charrnn.config.inference import SampleConfig
from charrnn.data.alphabet import RECORD_END
from charrnn.errors import CharrnnError, UsageError
from charrnn.inference.record_sampling import Selection, most_tries, until_end
from charrnn.inference.sampling import Piece
from charrnn.training.run_data import RunData


class RecordSampling:
    """Samples of a model of records.

    Args:
        data: the text that the model was trained on.
        config: as the user gave it.
        prime: the symbols that each record begins with.
        unique: whether they are all to be different.
        novel: whether none is to stand in the corpus.

    Raises:
        CorpusError: the corpus is wanted, and is gone, has changed, or is not known.
        UsageError: a prime that goes beyond a record.
    """

    def __init__(
        self,
        data: RunData,
        config: SampleConfig,
        prime: str,
        *,
        unique: bool,
        novel: bool,
    ) -> None:
        if RECORD_END in prime:
            raise UsageError("--prime ends a record (U+001E); give the beginning of one")
        with naming_corpus_option():
            known = data.records if novel else frozenset()
        self._unique, self._novel = unique, novel
        self._selection = Selection(config.count, config.length, prime, known, unique)
        tries = most_tries(config.count) if self._selection.selects else config.count
        self.config = until_end(replace(config, count=tries))

    def choose(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Each record in one piece.

        Raises:
            CharrnnError: there are not enough that will do, after the last that will.
        """
        selection = self._selection
        yield from selection.choose(pieces)
        if selection.cut:
            terminal.note(
                f"{selection.cut:,} of {selection.found:,} records were cut at --length "
                f"{selection.length:,}"
            )
        if selection.found < selection.count:
            wanted = " and ".join(
                word for word, asked in (("different", self._unique), ("new", self._novel)) if asked
            )
            raise CharrnnError(
                f"only {selection.found:,} of {selection.tries:,} records drawn were whole and "
                f"{wanted}, and {selection.count:,} are wanted.\n"
                "Ask for fewer with --count, or raise --temp or --length."
            )
