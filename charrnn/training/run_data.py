"""The training text of a model: reread it from its sources, verify and split it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from charrnn.checkpoints.model_file import CorpusFacts, ModelFile
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.data.alphabet import RECORD_END
from charrnn.data.corpus import Corpus, SplitCorpus, encode_corpus, fit_corpus
from charrnn.data.inputs import find_source, gather_sources, name_copies
from charrnn.data.text_reader import FileFacts, examine_file, path_exists
from charrnn.errors import CheckpointError, CorpusError, Remedy, UnknownCharacterError
from charrnn.files import is_file, is_folder
from charrnn.folders import TemporaryFolder
from charrnn.training.run_config import Request, read_request

TEXT = "TEXT"
"""A stand-in for the path of a text in a remedy."""

_NAME_ITS_PLACE = Remedy("name the place where it is now", "corpus", TEXT)


class RunData:
    """The training text of a model and the request of its run.

    The text is read and the run's checkpoint is verified on first use; both are cached.

    Args:
        path: the model's file.
        model: its contents.
        sources: present sources of the text, see ``data/inputs.py``; if empty, the run's own.
    """

    def __init__(self, path: Path, model: ModelFile, sources: Sequence[str] = ()) -> None:
        self._path, self._model, self._sources = path, model, sources
        self._saved: tuple[Request, CorpusFacts] | None = None

    @property
    def is_known(self) -> bool:
        """True if the sources of the text are known."""
        return self.is_named or self.request is not None

    @property
    def is_named(self) -> bool:
        """True if the caller names the sources, so that a text which is not theirs is an error."""
        return bool(self._sources)

    def accept(self, request: Request, corpus: CorpusFacts) -> None:
        """Set the request and facts that were read from the run's checkpoint already.

        The checkpoint is then not verified again.
        """
        self._saved = request, corpus

    @cached_property
    def request(self) -> Request | None:
        """The request of the run that made the model; None if the run is not in its directory.

        Raises:
            CheckpointError: the run's checkpoint is not valid.
        """
        run = RunDirectory(self._path.parent)
        if self._saved is None and is_file(run.last):
            self._saved = read_request(run.last)
        request, facts = self._saved or (None, None)
        return request if facts == self._model.corpus else None

    @cached_property
    def split(self) -> SplitCorpus:
        """The text in the model's alphabet, split into training and validation parts.

        Raises:
            CorpusError: it is missing, has changed, or its source is unknown.
            CheckpointError: the run's checkpoint is not valid.
        """
        return SplitCorpus.of(self._read(), self._model.corpus.valid)

    @property
    def records(self) -> frozenset[str]:
        """The records of the whole text, the validation split included; see :attr:`split`."""
        joined = self._model.alphabet.decode(self.split.corpus.ids)
        return frozenset(joined.split(RECORD_END)) - {""}

    def _read(self) -> Corpus:
        if self._sources:
            return self._read_given_sources()
        if self.request is None:
            raise CorpusError(
                f"{self._path}: is not in the directory of its run, so its training text is "
                "unknown",
                _NAME_ITS_PLACE,
            )
        run = RunDirectory(self._path.parent)
        corpus = reread_corpus(run, self.request, self._model.corpus, _NAME_ITS_PLACE)
        check_unchanged(corpus, self._model.corpus, _NAME_ITS_PLACE)
        try:
            return corpus.reencode(self._model.alphabet)
        except UnknownCharacterError:
            raise CheckpointError(
                f"{self._path}: its alphabet is not that of the text it was trained on"
            ) from None

    def _read_given_sources(self) -> Corpus:
        sources, model = self._sources, self._model
        encoding = self.request.source.encoding if self.request else "utf-8"
        with TemporaryFolder() as folder:
            known = None if model.alphabet.kind == "bytes" else encoding
            paths, names = gather_sources(sources, folder, known)
            corpus = encode_corpus(
                paths,
                model.alphabet,
                encoding=encoding,
                unknown="replace",
                records=model.corpus.records,
                names=names,
            )
        if corpus.digest != model.corpus.digest:
            raise CorpusError(
                f"{', '.join(sources)}: is not the text that {self._path} was trained on: its "
                f"SHA-256 is {corpus.digest[:12]}, not {model.corpus.digest[:12]}"
            )
        return corpus


def examine_sources(sources: Sequence[str]) -> tuple[FileFacts | None, ...]:
    """Return the facts of sources in the form that a run stores; None for what is no path."""
    return tuple(
        examine_file(Path(source)) if Path(source).is_absolute() else None for source in sources
    )


def reread_corpus(
    run: RunDirectory, request: Request, facts: CorpusFacts, if_moved: Remedy
) -> Corpus:
    """Read the corpus of an existing run again from its sources.

    A run may come from elsewhere and name any path. Outside of its directory and the current folder
    only a file or folder that has the size and the time that the run recorded is read.

    Args:
        run: the run's directory.
        request: the sources, their encoding and the facts of their files.
        facts: facts of the corpus, as the run recorded them.
        if_moved: the way out if a source is not there or is not read, by naming TEXT.

    Raises:
        CorpusError: it is missing, unreadable, or not to be read unasked.
    """
    paths = request.source.paths
    files = request.files or (None,) * len(paths)
    with TemporaryFolder() as folder:
        found = [
            _find_source(run, name, known, folder, number, if_moved)
            for number, (name, known) in enumerate(zip(paths, files, strict=True))
        ]
        names = name_copies(paths, found, folder)
        return fit_corpus(found, request.source.encoding, facts.records, names)


def _find_source(
    run: RunDirectory,
    name: str,
    known: FileFacts | None,
    folder: TemporaryFolder,
    number: int,
    if_moved: Remedy,
) -> Path:
    """Find the path of a source, or of a copy in ``folder``, without opening it."""
    # An absolute path stays what it is.
    own = run.path / name
    path = own if is_file(own) else Path(name)
    if not (path.is_absolute() or path is own or path_exists(path)):
        return find_source(name, folder, number)
    if not (is_file(path) or is_folder(path)):
        raise CorpusError(
            f"{path}: the text that {run.path} was trained on is no longer there",
            Remedy("put it back"),
            if_moved,
        )
    _check_may_read(run, path, known, if_moved)
    return path


def _check_may_read(
    run: RunDirectory, path: Path, known: FileFacts | None, if_moved: Remedy
) -> None:
    """Raise CorpusError unless a source can be the text of a run, and may be read unasked."""
    found = examine_file(path)
    if known and found and known.bytes != found.bytes:
        raise CorpusError(
            f"{path}: the text has changed since the run began (then {known.bytes:,} bytes, now "
            f"{found.bytes:,})",
            Remedy("restore the old text"),
            if_moved,
        )
    if not (found == known or _is_below(path, run.path) or _is_in_working_tree(path)):
        values = (str(path) if value == TEXT else value for value in if_moved.values)
        raise CorpusError(
            f"{path}: is named by {run.path} and lies outside of it and of the current folder; it "
            "is not read, since it has not the size and the time that the run recorded",
            Remedy("if it is the text, name it", if_moved.means, *values),
            Remedy("change to its folder"),
        )


def _is_in_working_tree(path: Path) -> bool:
    """Tell if a path lies below the current folder; the root, above everything, is no such tree."""
    try:
        here = Path.cwd()
    except OSError:
        return False
    return here != Path(here.anchor) and _is_below(path, here)


def _is_below(path: Path, folder: Path) -> bool:
    """Tell if a path that exists lies below a folder, all links followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def check_unchanged(corpus: Corpus, facts: CorpusFacts, *remedies: Remedy) -> None:
    """Raise CorpusError if the text differs from the one that the facts describe.

    Its bytes may be the same and be read as other characters: a version of charrnn may have read
    the end of one file and the beginning of the next as one record.

    Args:
        corpus: the text as it is now.
        facts: the text as it was.
        remedies: ways out, besides restoring the text.
    """
    if (corpus.digest, len(corpus)) != (facts.digest, facts.characters):
        raise CorpusError(
            f"{facts.name}: the text has changed since the run began (then {facts.characters:,} "
            f"characters, SHA-256 {facts.digest[:12]}; now {len(corpus):,} and "
            f"{corpus.digest[:12]})",
            Remedy("restore the old text"),
            *remedies,
        )


def learn_another_text(run: Path) -> Remedy:
    """Return the way out for a run that was to be resumed with another text."""
    return Remedy("train on another from its model", "train", "TEXT", base=str(run), run="NEW")
