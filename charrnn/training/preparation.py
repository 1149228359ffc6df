"""Preparation of a run without torch: its directory, its text and the model that it goes on from.

Mistakes in these are told before the seconds that the import of torch takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.checkpoints.model_file import ModelFile
from charrnn.checkpoints.run_directory import RunDirectory
from charrnn.checkpoints.run_index import RUNS, find_run
from charrnn.config.training import SourceConfig, TrainConfig
from charrnn.data.batches import fit_shape
from charrnn.data.corpus import Corpus, SplitCorpus, fit_corpus
from charrnn.data.inputs import derive_corpus_name, gather_sources, is_generated, resolve_source
from charrnn.data.text_reader import FileFacts
from charrnn.display import as_file_name
from charrnn.errors import CheckpointError, Remedy, UsageError
from charrnn.files import is_file, is_folder
from charrnn.folders import TemporaryFolder
from charrnn.training.auto_config import complete_settings
from charrnn.training.base_choice import choose_base
from charrnn.training.fine_tuning import Transfer, transfer_model
from charrnn.training.footprint import check_settings_size
from charrnn.training.progress import Observer
from charrnn.training.run_config import Request, read_request
from charrnn.training.run_data import (
    TEXT,
    check_unchanged,
    examine_sources,
    learn_another_text,
    reread_corpus,
)


@dataclass(frozen=True)
class NewRun:
    """A run that can begin.

    Attributes:
        run: its directory.
        name: the name of its text.
        settings: fields of ModelConfig, TrainConfig and ComputeConfig, by name; None for a setting
            to choose automatically.
        source: the text as the run stores it.
        files: see :class:`charrnn.training.run_config.Request`.
        split: the text, in the alphabet of the model.
        start: the model to fine-tune; None trains from scratch.
        generated: True if the text is a generated corpus.
        overwrite: True replaces an existing run.
        copies: texts that cannot be read twice, and where the run keeps them.
        kept: the other texts.
    """

    run: RunDirectory
    name: str
    settings: Mapping[str, Any]
    source: SourceConfig
    files: tuple[FileFacts | None, ...]
    split: SplitCorpus
    start: Transfer | None
    generated: bool
    overwrite: bool
    copies: Mapping[Path, Path]
    kept: Sequence[Path]


@contextmanager
def prepare_run(
    sources: Sequence[str],
    path: Path | None,
    given: Mapping[str, Any],
    *,
    encoding: str | None = "utf-8",
    records: str | None = None,
    overwrite: bool = False,
    origin: tuple[Path, ModelFile] | None = None,
    bases: Sequence[Path] = (),
    chooses_share: bool = True,
    observer: Observer = Observer(),  # noqa: B008
) -> Iterator[NewRun]:
    """Prepare a new run, from scratch or from a model to fine-tune; nothing is written yet.

    Args:
        sources: files, folders, ``-`` or names of corpora, see ``data/inputs.py``.
        path: the run directory; None is ``runs/NAME``.
        given: the given fields of ModelConfig, TrainConfig and ComputeConfig, by name.
        encoding: encoding of the text files; None makes every byte a symbol.
        records: separator of the records; None for a continuous text.
        overwrite: True replaces an existing run.
        origin: path and contents of a model to fine-tune; None trains from scratch.
        bases: files of models of which one is fine-tuned where it is near to the text, see
            ``base_choice.py``; none if an origin is given.
        chooses_share: True holds nothing out where the share would be too little; False refuses it.
        observer: receives notes.

    Raises:
        CorpusError: the text cannot be read, or is too short to train on.
        UsageError: settings contradict each other, or less than a window would be held out.
        RunDirectoryError: the directory holds a run already.
        StorageError: there can be no such directory.
    """
    settings = complete_settings(given, origin[1].model if origin else None)
    if not sources:
        raise UsageError("no text to train on is given")
    name = derive_corpus_name(sources[0])
    generated = all(map(is_generated, sources))
    if generated and records is not None:
        raise UsageError(
            f"{', '.join(sources)}: a formal language is a continuous text and cannot be read as "
            "records",
            Remedy("train on a text of your own"),
        )
    run = RunDirectory(path or RUNS / as_file_name(name))
    run.check_place()
    if not overwrite:
        run.refuse_if_begun()
    check_settings_size(settings)
    with TemporaryFolder() as folder:
        paths, names = gather_sources(sources, folder, encoding)
        corpus = fit_corpus(paths, encoding, records, names)
        for message in corpus.notes:
            observer.note(message)
        start = transfer_model(*origin, corpus) if origin else None
        if start is None and not generated:
            start = choose_base(bases, corpus, given, settings["valid"], observer.note)
            if start:
                settings = complete_settings(given, start.model)
        corpus = start.corpus if start else corpus
        copies = {path: run.copy_of(path, corpus.digest) for path in names}
        stored = tuple(
            copies[path].name if path in copies else resolve_source(source)
            for source, path in zip(sources, paths, strict=True)
        )
        split = SplitCorpus.of(corpus, settings["valid"])
        window = settings["window"] or TrainConfig.window
        # A text that is too short is so for a batch of any size.
        shape = fit_shape(split.train, settings["batch"] or 1, window)
        if settings["valid"] and (shortage := split.describe_shortage(window)):
            if not chooses_share:
                raise UsageError(
                    f"is {settings['valid']:g}, which holds out {shortage}",
                    Remedy("hold out a larger share", "valid"),
                    Remedy("hold nothing out", "valid", "0"),
                    settings=("valid",),
                )
            observer.note(
                f"nothing is held out: {settings['valid']:.0%} are {shortage}. The last model is "
                "kept, since none is known to be the best"
            )
            settings = {**settings, "valid": 0.0, "experts": "none"}
            split = SplitCorpus.of(corpus, 0.0)
            shape = fit_shape(split.train, settings["batch"] or 1, window)
        check_settings_size(settings, len(corpus.alphabet), shape)
        yield NewRun(
            run=run,
            name=name,
            settings=settings,
            source=SourceConfig(paths=stored, encoding=encoding),
            files=examine_sources(stored),
            split=split,
            start=start,
            generated=generated,
            overwrite=overwrite,
            copies=copies,
            kept=[path for path in paths if path not in copies],
        )


@dataclass(frozen=True)
class ResumedRun:
    """A locked run that can go on.

    Attributes:
        run: its directory.
        request: its configuration, with the changes that were asked for.
        corpus: its text, read again.
    """

    run: RunDirectory
    request: Request
    corpus: Corpus


@contextmanager
def prepare_resumption(
    path: Path,
    *,
    sources: Sequence[str] = (),
    device: str | None = None,
    threads: int | None = None,
    observer: Observer = Observer(),  # noqa: B008
) -> Iterator[ResumedRun]:
    """Lock a run, and read its configuration and its text.

    Args:
        path: the run directory.
        sources: the new places of the texts; empty if they have not moved.
        device: a new device; None keeps the previous one.
        threads: a new number of threads; None keeps the previous one, if as many can be used here.
        observer: receives notes.

    Raises:
        CheckpointError: there is no run to resume, or its checkpoint is not valid.
        CorpusError: its text is missing or has changed.
        RunDirectoryError: another process trains there.
    """
    run = RunDirectory(path)
    if not is_file(run.last):
        raise CheckpointError(
            f"{run.path}: holds no run to resume: it has no {run.last.name}",
            Remedy("begin the run again"),
        )
    with run.locked(observer.note):
        request, facts = read_request(run.last)
        compute = request.compute
        if device is not None and device != compute.device:
            compute = replace(compute, device=device, precision="auto")
        request = replace(request, compute=replace(compute, threads=threads))
        if sources:
            paths = tuple(map(resolve_source, sources))
            source = replace(request.source, paths=paths)
            request = replace(request, source=source, files=examine_sources(paths))
        moved = Remedy("name its new place", "resume", str(run.path), TEXT)
        corpus = reread_corpus(run, request, facts, moved)
        check_unchanged(corpus, facts, learn_another_text(run.path))
        yield ResumedRun(run, request, corpus)


def find_run_to_resume(named: str | None) -> Path:
    """Find a run's directory by its name, its path or the name of its corpus.

    Args:
        named: None finds the run that was trained last.

    Raises:
        CheckpointError: there is no such run.
    """
    if named is None:
        return find_run(None)
    by_corpus = RUNS / as_file_name(derive_corpus_name(named))
    if is_folder(by_corpus) and not is_folder(Path(named)):
        return by_corpus
    return find_run(named)
