"""charrnn sample for a model of records: a sample is a record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from charrnn.alphabet import RECORD_END, Alphabet, Ids
from charrnn.cli import terminal
from charrnn.cli.subject import read_training_text
from charrnn.config import SampleConfig, UseConfig
from charrnn.drawing import Piece, in_order
from charrnn.errors import CharrnnError, UsageError
from charrnn.modelfile import ModelFile
from charrnn.recorddraws import Selection, most_tries


def open_record(alphabet: Alphabet, prime: Ids) -> Ids:
    """What a model of records reads to begin, or go on with, one: the end of the one before."""
    return np.concatenate((alphabet.encode(RECORD_END), prime))


def until_end(config: SampleConfig) -> SampleConfig:
    """The same way of drawing, up to the end of a record."""
    return replace(config, stop=(*config.stop, RECORD_END))


def draw_records(model: ModelFile, config: SampleConfig, seed: int) -> str:
    """Records until they hold ``config.length`` characters, as a text of records has them."""
    from charrnn.cli.sample import draw

    opened = open_record(model.alphabet, model.alphabet.encode(""))
    wanted = until_end(replace(config, count=config.length))
    text = RECORD_END
    for piece in in_order(draw(model, wanted, UseConfig(), "cpu", opened, seed)):
        text += piece.symbols + (RECORD_END if piece.last else "")
        if len(text) > config.length and piece.last:
            break
    return text


class RecordSampling:
    """Samples of a model of records.

    Args:
        path: the model's file.
        model: what it holds.
        config: as the user gave it.
        prime: the symbols that each record begins with.
        unique: whether they are all to be different.
        novel: whether none is to stand in the corpus.
        elsewhere: where the corpus is now; if empty, where the run read it.

    Raises:
        CorpusError: the corpus is wanted, and is gone, has changed, or is not known.
        UsageError: a prime that goes beyond a record.
    """

    def __init__(
        self,
        path: Path,
        model: ModelFile,
        config: SampleConfig,
        prime: str,
        *,
        unique: bool,
        novel: bool,
        elsewhere: Sequence[str],
    ) -> None:
        if RECORD_END in prime:
            raise UsageError("--prime ends a record (U+001E); give the beginning of one")
        known = _read_records(path, model, elsewhere) if novel else frozenset()
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


def _read_records(path: Path, model: ModelFile, elsewhere: Sequence[str]) -> frozenset[str]:
    """The records of the corpus, held out or not."""
    texts = read_training_text(path, model, elsewhere)
    joined = RECORD_END.join(map(model.alphabet.decode, texts))
    return frozenset(joined.split(RECORD_END)) - {""}
