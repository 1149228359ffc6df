"""The text behind a model: read again from where its run read it, checked, and split; once."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from charrnn.checkpoints.model_file import CorpusFacts, ModelFile
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.config.training import SourceConfig
from charrnn.data.alphabet import RECORD_END
from charrnn.data.corpus import Corpus, SplitCorpus, encode_corpus, fit_corpus
from charrnn.data.inputs import find_source, gather, name_copies
from charrnn.errors import CheckpointError, CorpusError, Remedy, UnknownCharacterError
from charrnn.files import is_file, is_folder
from charrnn.training.run_config import Request, check_unchanged, read_request


class RunData:
    """The text that a model was trained on, and what was asked of its run.

    The text is read, and the run's checkpoint verified, when they are first asked for, and then
    kept.

    Args:
        path: the model's file.
        model: its contents.
        elsewhere: where the text is now, see ``data/inputs.py``; if empty it is read from where
            the run read it.
    """

    def __init__(self, path: Path, model: ModelFile, elsewhere: Sequence[str] = ()) -> None:
        self._path, self._model, self._elsewhere = path, model, elsewhere
        self._saved: tuple[Request, CorpusFacts] | None = None

    def accept(self, request: Request, corpus: CorpusFacts) -> None:
        """Take the settings and facts that were read from the run's checkpoint already.

        The checkpoint is then not verified again.
        """
        self._saved = request, corpus

    @cached_property
    def request(self) -> Request | None:
        """The settings of the run that made the model; None if the model is not beside its run.

        Raises:
            CheckpointError: the run's checkpoint is not sound.
        """
        run = RunDirectory(self._path.parent)
        if self._saved is None and is_file(run.last):
            self._saved = read_request(run.last)
        request, facts = self._saved or (None, None)
        return request if facts == self._model.corpus else None

    @cached_property
    def split(self) -> SplitCorpus:
        """The text in the model's alphabet, and its two parts.

        Raises:
            CorpusError: it is gone, has changed, or its place is not known.
            CheckpointError: the run's checkpoint is not sound.
        """
        return SplitCorpus.of(self._read(), self._model.corpus.valid)

    @property
    def records(self) -> frozenset[str]:
        """The records of the text, held out or not; raises as :attr:`split`."""
        joined = self._model.alphabet.decode(self.split.corpus.ids)
        return frozenset(joined.split(RECORD_END)) - {""}

    def _read(self) -> Corpus:
        if self._elsewhere:
            return self._read_elsewhere()
        if self.request is None:
            raise CorpusError(
                f"{self._path}: is not beside the run that made it, so where its training text is "
                "is not known here"
            )
        corpus = read_again(
            RunDirectory(self._path.parent), self.request.source, self._model.corpus.records
        )
        check_unchanged(corpus, self._model.corpus)
        try:
            return corpus.reencode(self._model.alphabet)
        except UnknownCharacterError:
            raise CheckpointError(
                f"{self._path}: its alphabet is not that of the text it was trained on"
            ) from None

    def _read_elsewhere(self) -> Corpus:
        sources, model = self._elsewhere, self._model
        encoding = self.request.source.encoding if self.request else "utf-8"
        with tempfile.TemporaryDirectory() as folder:
            paths, names = gather(sources, Path(folder))
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
                f"{', '.join(sources)}: is not the text that {self._path} was trained on: SHA-256 "
                f"{corpus.digest[:12]}, and not {model.corpus.digest[:12]}"
            )
        return corpus


def read_again(run: RunDirectory, source: SourceConfig, records: str | None) -> Corpus:
    """Read the corpus of an existing run, as records if it was, from where the run read it.

    Raises:
        CorpusError: it is gone or unreadable.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = [_find_again(run, name, folder, number) for number, name in enumerate(source.paths)]
        names = name_copies(source.paths, paths, folder)
        return fit_corpus(paths, source.encoding, records, names)


def _find_again(run: RunDirectory, name: str, folder: Path, number: int) -> Path:
    own, path = run.path / name, Path(name)
    if is_file(own):
        return own
    if path.is_absolute() and not (is_file(path) or is_folder(path)):
        raise CorpusError(
            f"{path}: the text that {run.path} was trained on is no longer there",
            Remedy("put it back"),
            Remedy("say where it is now", "resume", str(run.path), "TEXT"),
        )
    return path if path.is_absolute() else find_source(name, folder, number)
