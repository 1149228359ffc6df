"""Text sources -> ids and an alphabet -> what is trained on and what is held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from charrnn.alphabet import Alphabet, AlphabetBuilder, Ids, name_of, smallest_type
from charrnn.errors import CorpusError, UnknownCharacterError
from charrnn.growing import Growing
from charrnn.sources import TextReader

_SPLIT_DIGITS = 6


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
    """

    ids: Ids
    alphabet: Alphabet
    digest: str
    notes: tuple[str, ...] = ()
    unknown: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def split(self, valid: float) -> tuple[Ids, Ids]:
        """The first 1 - valid of the text, which is trained on, and the rest, held out."""
        # 1 - valid is not exact in binary; rounding first keeps 0.2 of 10 from becoming 1.
        boundary = int(round(len(self.ids) * (1 - valid), _SPLIT_DIGITS))
        return self.ids[:boundary], self.ids[boundary:]

    def spelt_by(self, alphabet: Alphabet) -> Corpus:
        """The same text in an alphabet that has all its characters, and perhaps more.

        Raises:
            UnknownCharacterError: it lacks one.
        """
        if alphabet == self.alphabet:
            return self
        ids = alphabet.encode(self.alphabet.characters)[self.ids]
        return replace(self, ids=ids, alphabet=alphabet)


def fit_corpus(paths: Sequence[Path], encoding: str | None = "utf-8") -> Corpus:
    """Read a corpus and fit an alphabet to it; ``encoding=None`` takes every byte as a symbol.

    Raises:
        CorpusError: the text cannot be read, is empty or has only one distinct character.
    """
    reader = TextReader(paths, encoding)
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
    if not len(corpus):
        raise _empty(paths)
    if corpus.ids.min() == corpus.ids.max():
        only = name_of(corpus.alphabet.characters[int(corpus.ids[0])])
        raise CorpusError(
            f"{_named(paths)}: {len(corpus):,} characters, all of them {only}: "
            "there is nothing to learn. Give a text with at least two different characters."
        )
    return corpus


def encode_corpus(
    paths: Sequence[Path],
    alphabet: Alphabet,
    *,
    encoding: str | None = "utf-8",
    unknown: str = "error",
) -> Corpus:
    """Read a text in the alphabet of an existing model; a bytes alphabet reads any file.

    Raises:
        CorpusError: the text cannot be read or is empty, or it has a character that the alphabet
            lacks while ``unknown`` is "error".
    """
    reader = TextReader(paths, None if alphabet.kind == "bytes" else encoding)
    corpus = _encode(reader, alphabet, unknown)
    if not len(corpus):
        if corpus.unknown:
            raise CorpusError(
                f"{_named(paths)}: none of its {corpus.unknown:,} characters is among the "
                f"{len(alphabet)} that the model knows"
            )
        raise _empty(paths)
    return corpus


def _encode(reader: TextReader, alphabet: Alphabet, unknown: str) -> Corpus:
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
