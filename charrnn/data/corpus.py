"""Text sources -> ids and an alphabet -> what is trained on and what is held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from charrnn.data.alphabet import RECORD_END, Alphabet, AlphabetBuilder, Ids, name_of, smallest_type
from charrnn.data.disk_array import Growing, in_parts
from charrnn.data.records import RecordReader
from charrnn.data.text_reader import TextReader
from charrnn.errors import CorpusError, UnknownCharacterError

_SPLIT_DIGITS = 6
_LEAST_RECORDS = 2


@dataclass(frozen=True)
class Corpus:
    """A text held as ids.

    Attributes:
        ids: the whole text, shape (N,), in the smallest integer type that fits the alphabet.
        alphabet: what the ids mean. A fitted alphabet covers the whole text, the part held out
            included, so that every held-out character can be scored.
        digest: SHA-256 of the bytes the text was read from, in hexadecimal.
        notes: what reading left out or changed, for the user.
        unknown: characters that ``alphabet`` lacked and that were skipped or replaced.
        records: what parts it into records, as ``data/records.py`` has it; None if it is one text.
    """

    ids: Ids
    alphabet: Alphabet
    digest: str
    notes: tuple[str, ...] = ()
    unknown: int = 0
    records: str | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def end(self) -> int | None:
        """The id that ends a record; None if the text is one."""
        return None if self.records is None else self.alphabet.characters.index(RECORD_END)

    def split(self, valid: float) -> tuple[Ids, Ids]:
        """The first 1 - valid of the text, which is trained on, and the rest, held out.

        Of records so many whole ones, at least one on either side; each side as ``data/records.py`` has
        it, so that the end before the first record held out belongs to both.
        """
        if self.end is not None:
            return self._split_records(self.end, valid)
        boundary = _share(len(self.ids), valid)
        return self.ids[:boundary], self.ids[boundary:]

    def spelt_by(self, alphabet: Alphabet) -> Corpus:
        """The same text in an alphabet that has all its characters, and perhaps more.

        Raises:
            UnknownCharacterError: it lacks one.
        """
        if alphabet == self.alphabet:
            return self
        table = alphabet.encode(self.alphabet.characters)
        spelt = Growing(table.dtype)
        for part in in_parts(self.ids):
            spelt.add(table[part])
        return replace(self, ids=spelt.array(), alphabet=alphabet)

    def _split_records(self, end: int, valid: float) -> tuple[Ids, Ids]:
        if not valid:
            return self.ids, self.ids[:0]
        marks = np.flatnonzero(self.ids == end)
        records = len(marks) - 1
        boundary = int(marks[min(max(_share(records, valid), 1), records - 1)])
        return self.ids[: boundary + 1], self.ids[boundary:]


@dataclass(frozen=True)
class SplitCorpus:
    """A corpus and its two parts.

    Attributes:
        corpus: the whole.
        train: the part that is trained on, shape (N,).
        held_out: the part that evaluations score, shape (M,).
    """

    corpus: Corpus
    train: Ids
    held_out: Ids

    @classmethod
    def of(cls, corpus: Corpus, valid: float) -> SplitCorpus:
        """Split a corpus, holding out the share ``valid`` of it."""
        return cls(corpus, *corpus.split(valid))


def _share(count: int, valid: float) -> int:
    """How many of so many things come before the share that is held out."""
    # 1 - valid is not exact in binary; rounding first keeps 0.2 of 10 from becoming 1.
    return int(round(count * (1 - valid), _SPLIT_DIGITS))


def fit_corpus(
    paths: Sequence[Path], encoding: str | None = "utf-8", records: str | None = None
) -> Corpus:
    """Read a corpus and fit an alphabet to it.

    Args:
        paths: files and folders.
        encoding: how bytes spell characters; None takes every byte as a symbol.
        records: what parts the text into records, as ``data/records.py`` has it; None if it is one.

    Raises:
        CorpusError: the text cannot be read, is empty, or has only one distinct character or
            record.
    """
    reader = _reader(paths, encoding, records)
    if encoding is None:
        corpus = _encode(reader, Alphabet.bytes_alphabet(), "error")
    else:
        builder = AlphabetBuilder()
        for chunk in reader:
            builder.add(chunk)
        if not len(builder):
            raise _empty(paths)
        alphabet, ids = builder.finish()
        corpus = Corpus(ids, alphabet, reader.digest, tuple(reader.notes))
    corpus = replace(corpus, records=records)
    if not len(corpus):
        raise _empty(paths)
    if isinstance(reader, RecordReader) and reader.count < _LEAST_RECORDS:
        raise CorpusError(
            f"{_named(paths)}: {reader.count} records, parted by {records!r:.60}; at least "
            f"{_LEAST_RECORDS} are needed. Give another --records, or more text."
        )
    if _is_all_the_same(corpus.ids):
        only = name_of(corpus.alphabet.characters[int(corpus.ids[0])])
        raise CorpusError(
            f"{_named(paths)}: {len(corpus):,} characters, all of them {only}: "
            "there is nothing to learn. Give a text with at least two different characters."
        )
    return corpus


def _is_all_the_same(ids: Ids) -> bool:
    """Whether no id differs from the first; no more of them is read than it takes."""
    return all((part == ids[0]).all() for part in in_parts(ids))


def encode_corpus(
    paths: Sequence[Path],
    alphabet: Alphabet,
    *,
    encoding: str | None = "utf-8",
    unknown: str = "error",
    records: str | None = None,
) -> Corpus:
    """Read a text in the alphabet of an existing model; a bytes alphabet reads any file.

    ``records`` is as :func:`fit_corpus` has it.

    Raises:
        CorpusError: the text cannot be read or is empty, or it has a character that the alphabet
            lacks while ``unknown`` is "error".
    """
    reader = _reader(paths, None if alphabet.kind == "bytes" else encoding, records)
    corpus = replace(_encode(reader, alphabet, unknown), records=records)
    if len(corpus) <= (records is not None):
        if corpus.unknown:
            raise CorpusError(
                f"{_named(paths)}: none of its {corpus.unknown:,} characters is among the "
                f"{len(alphabet)} that the model knows"
            )
        raise _empty(paths)
    return corpus


def _reader(
    paths: Sequence[Path], encoding: str | None, records: str | None
) -> TextReader | RecordReader:
    reader = TextReader(paths, encoding)
    if records is None:
        return reader
    spelt = Alphabet.bytes_alphabet().symbols(records) if encoding is None else records
    return RecordReader(reader, spelt)


def _encode(reader: TextReader | RecordReader, alphabet: Alphabet, unknown: str) -> Corpus:
    ids = Growing(smallest_type(len(alphabet)))
    lacking = 0
    for chunk in reader:
        try:
            ids.add(alphabet.encode(chunk, unknown, start=reader.start))
        except UnknownCharacterError as problem:
            raise UnknownCharacterError(f"{reader.file}: {problem}") from None
        if unknown != "error":
            lacking += alphabet.count_unknown(chunk)
    return Corpus(ids.array(), alphabet, reader.digest, tuple(reader.notes), lacking)


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths)


def _empty(paths: Sequence[Path]) -> CorpusError:
    return CorpusError(f"{_named(paths)}: 0 characters: an empty text cannot be used")
