"""Corpora: texts read from files, encoded with an alphabet, split for training and validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from charrnn.data.alphabet import (
    TAKE_BYTES,
    Alphabet,
    AlphabetBuilder,
    Ids,
    find_smallest_dtype,
    format_character,
)
from charrnn.data.disk_array import GrowingArray, split_into_blocks
from charrnn.data.encoded_text import EncodedText, cut_text
from charrnn.data.records import RecordReader, find_separator
from charrnn.data.text_reader import TextReader
from charrnn.data.text_signs import TextSigns
from charrnn.errors import CorpusError, Remedy, UnknownCharacterError

_LEAST_RECORDS = 2
_LEAST_HELD_OUT = 2


@dataclass(frozen=True)
class Corpus:
    """A text as it was read.

    Attributes:
        text: its ids, in the smallest integer type that fits the alphabet, and how they are cut.
        alphabet: the meaning of the ids. A fitted alphabet covers the whole text, the part held out
            included, so that every held-out character can be scored.
        digest: SHA-256 of the bytes that were read, in hexadecimal.
        notes: remarks for the user on what was left out or changed.
        unknown: characters that ``alphabet`` lacked and that were skipped or replaced.
        records: line, paragraph or the separator of its records; None for one text.
    """

    text: EncodedText
    alphabet: Alphabet
    digest: str
    notes: tuple[str, ...] = ()
    unknown: int = 0
    records: str | None = None

    def __len__(self) -> int:
        return len(self.text)

    @property
    def ids(self) -> Ids:
        """The ids of the whole text, shape (N,)."""
        return self.text.ids

    def split(self, valid: float) -> tuple[EncodedText, EncodedText]:
        """Split into the first 1 - valid, which is trained on, and the rest, held out.

        Of characters, or of whole records where the text has such.
        """
        return self.text.split(valid)

    def reencode(self, alphabet: Alphabet) -> Corpus:
        """Encode the same text with an alphabet that has all its characters, and perhaps more.

        Raises:
            UnknownCharacterError: the alphabet lacks one.
        """
        if alphabet == self.alphabet:
            return self
        table = alphabet.encode(self.alphabet.characters)
        ids = GrowingArray(table.dtype)
        for part in split_into_blocks(self.ids):
            ids.add(table[part])
        text = cut_text(ids.array(), alphabet, self.records)
        return replace(self, text=text, alphabet=alphabet)


@dataclass(frozen=True)
class SplitCorpus:
    """A corpus and its two parts.

    Attributes:
        corpus: the whole.
        train: the part that is trained on.
        held_out: the part that evaluations score.
    """

    corpus: Corpus
    train: EncodedText
    held_out: EncodedText

    @classmethod
    def of(cls, corpus: Corpus, valid: float) -> SplitCorpus:
        """Split a corpus, holding out the share ``valid`` of it."""
        return cls(corpus, *corpus.split(valid))

    def describe_shortage(self, window: int) -> str:
        """Tell in numbers that too little is held out to compare models by; empty if it is enough.

        A window of characters is the least, or as many as there are to train on. Of a single
        character every model has the same score, since nothing stands before it.

        Args:
            window: characters of a window of training.
        """
        held_out = len(self.held_out.scored)
        least = max(min(window, len(self.train) - 1), _LEAST_HELD_OUT)
        if held_out >= least:
            return ""
        return (
            f"{held_out:,} of {len(self.corpus):,} characters, fewer than a window of {least:,}: "
            "too few to tell models apart"
        )


def fit_corpus(
    paths: Sequence[Path],
    encoding: str | None = "utf-8",
    records: str | None = None,
    names: Mapping[Path, str] | None = None,
) -> Corpus:
    """Read a corpus and fit an alphabet to it.

    Args:
        paths: files and folders.
        encoding: of the files; None takes every byte as a symbol.
        records: line, paragraph or the separator of its records; None for one text.
        names: what errors and notes call a path that is none of the user's own.

    Raises:
        CorpusError: the text cannot be read, is empty, or has only one distinct character or
            record.
    """
    reader = _make_reader(paths, encoding, records, names, [TAKE_BYTES], is_new=True)
    shown = _join_names(paths, names)
    if encoding is None:
        corpus = _encode(reader, Alphabet.bytes_alphabet(), "error", records)
    else:
        builder = AlphabetBuilder()
        for chunk in reader:
            builder.add(chunk)
        if not len(builder):
            raise _make_empty_error(shown)
        alphabet, ids = builder.finish()
        text = cut_text(ids, alphabet, records)
        corpus = Corpus(text, alphabet, reader.digest, tuple(reader.notes), records=records)
    if not len(corpus):
        raise _make_empty_error(shown)
    if isinstance(reader, RecordReader) and reader.count < _LEAST_RECORDS:
        raise CorpusError(
            f"{shown}: {reader.count:,} records separated by {records!r:.60}; at least "
            f"{_LEAST_RECORDS} are needed",
            *reader.signs.remedies,
            Remedy("choose another separator", "records"),
            Remedy("give more text"),
        )
    if _is_all_the_same(corpus.ids):
        only = format_character(corpus.alphabet.characters[int(corpus.ids[0])])
        raise CorpusError(
            f"{shown}: {len(corpus):,} characters, all of them {only}: there is nothing to learn",
            Remedy("give a text with at least two different characters"),
        )
    return corpus


def _is_all_the_same(ids: Ids) -> bool:
    """Tell if no id differs from the first; reading stops at one that does."""
    return all((part == ids[0]).all() for part in split_into_blocks(ids))


def encode_corpus(
    paths: Sequence[Path],
    alphabet: Alphabet,
    *,
    encoding: str | None = "utf-8",
    unknown: str = "error",
    records: str | None = None,
    names: Mapping[Path, str] | None = None,
) -> Corpus:
    """Read a text and encode it with the alphabet of an existing model.

    Args:
        paths: files and folders.
        alphabet: the model's; a bytes alphabet reads any file.
        encoding: of the files; a bytes alphabet needs none.
        unknown: the treatment of characters that the alphabet lacks: error, skip or replace.
        records: line, paragraph or the separator of its records; None for one text.
        names: what errors and notes call a path that is none of the user's own.

    Raises:
        CorpusError: the text cannot be read or is empty, or it has a character that the alphabet
            lacks while ``unknown`` is "error".
    """
    encoding = None if alphabet.kind == "bytes" else encoding
    reader, shown = _make_reader(paths, encoding, records, names), _join_names(paths, names)
    corpus = _encode(reader, alphabet, unknown, records)
    if not len(corpus.text.scored):
        if corpus.unknown:
            raise CorpusError(
                f"{shown}: none of its {corpus.unknown:,} characters is among the "
                f"{len(alphabet)} that the model knows"
            )
        raise _make_empty_error(shown)
    return corpus


def _make_reader(
    paths: Sequence[Path],
    encoding: str | None,
    records: str | None,
    names: Mapping[Path, str] | None,
    remedies: Sequence[Remedy] = (),
    *,
    is_new: bool = False,
) -> TextReader | RecordReader:
    if records is None:
        return TextReader(paths, encoding, names, remedies)
    symbols = Alphabet.bytes_alphabet().symbols(records) if encoding is None else records
    signs = TextSigns(encoding, find_separator(symbols), may_divide=is_new)
    reader = TextReader(paths, encoding, names, remedies, signs=signs)
    return RecordReader(reader, symbols, keeps_ends=not is_new)


def _encode(
    reader: TextReader | RecordReader, alphabet: Alphabet, unknown: str, records: str | None
) -> Corpus:
    ids = GrowingArray(find_smallest_dtype(len(alphabet)))
    lacking = 0
    for chunk in reader:
        try:
            ids.add(alphabet.encode(chunk, unknown, start=reader.start))
        except UnknownCharacterError as problem:
            problem.message = f"{reader.name}: {problem.message}"
            ways = reader.signs.find_ways_around(problem.character)
            problem.remedies = (*ways, *problem.remedies)
            raise
        if unknown != "error":
            lacking += alphabet.count_unknown(chunk)
    text = cut_text(ids.array(), alphabet, records)
    return Corpus(text, alphabet, reader.digest, tuple(reader.notes), lacking, records)


def _join_names(paths: Sequence[Path], names: Mapping[Path, str] | None) -> str:
    return ", ".join((names or {}).get(path, str(path)) for path in paths)


def _make_empty_error(shown: str) -> CorpusError:
    return CorpusError(f"{shown}: 0 characters: an empty text cannot be used")
