"""The public API: load a model and use it, train a run, resume a run.

The command line and the report are clients of this module. Functions that need torch import it when
they are called.
"""

from __future__ import annotations

import codecs
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from itertools import chain
from pathlib import Path
from secrets import randbits
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.checkpoints.base_models import find_base_models
from charrnn.checkpoints.model_file import ModelFile, read_model
from charrnn.checkpoints.run_index import find_model
from charrnn.config.inference import ReadConfig, SampleConfig, UnitConfig, UseConfig
from charrnn.config.model import ModelConfig
from charrnn.config.training import AUTO, SAVE_EVERY, ComputeConfig, SourceConfig, TrainConfig
from charrnn.data.alphabet import RECORD_END, Alphabet
from charrnn.data.catalogue import Download, find_entry
from charrnn.data.corpus import SplitCorpus, encode_corpus, fit_corpus
from charrnn.data.download import fetch_text
from charrnn.data.encoded_text import ContinuousText, EncodedText, cut_text
from charrnn.data.formal_languages import find_language
from charrnn.data.inputs import NamedText, gather_sources, is_generated, name_source, stream_sources
from charrnn.data.records import divide_text, divide_texts, find_separator
from charrnn.errors import CheckpointError, CorpusError, Remedy, UsageError
from charrnn.evaluation.baselines import MOST_TO_COMPARE, Baselines, measure_baselines
from charrnn.evaluation.evaluate import evaluate
from charrnn.evaluation.formal_languages import FormalScore, check_known, solve
from charrnn.evaluation.metrics import Score
from charrnn.evaluation.results import Evaluation, Surprisal
from charrnn.evaluation.surprisal import measure_surprisal
from charrnn.evaluation.units import Scoring, choose_units
from charrnn.folders import TemporaryFolder, check_current_folder
from charrnn.inference.backend import Backend
from charrnn.inference.interactive import Play
from charrnn.inference.record_sampling import RecordChoice, open_record
from charrnn.inference.sampling import Piece, check_stops, order_pieces, sample
from charrnn.inference.select_backend import Purpose, load_backend, load_torch_network
from charrnn.kernels.network import Floats
from charrnn.training.auto_config import REPORTED, complete_settings
from charrnn.training.base_choice import choose_base
from charrnn.training.learnt import describe_learnt
from charrnn.training.preparation import find_run_to_resume, prepare_resumption, prepare_run
from charrnn.training.progress import (
    Evaluated,
    Note,
    Observer,
    RolledBack,
    RunEvent,
    Started,
    Step,
)
from charrnn.training.run_data import RunData

if TYPE_CHECKING:
    from charrnn.models.char_model import CharModel
    from charrnn.training.corpus_description import CorpusDescription, SuggestedSettings
    from charrnn.training.run import RunResult

Source = str | os.PathLike[str]
"""A file, a folder, the name of a corpus, or ``-`` for standard input."""

COMPRESSOR = "xz"
"""The compressor that a model's score is compared with."""


def _ignore(note: str) -> None:
    pass


def load(
    model: Source | None = None,
    *,
    device: str = "cpu",
    threads: int | None = None,
    weights: str = "auto",
    stack_round: bool | None = None,
    corpus: Source | Sequence[Source] = (),
) -> Model:
    """Load a trained model.

    Args:
        model: a run's name, its directory, or a model file; None is the run that was trained last.
        device: ``cpu``, ``cuda``, ``mps`` or ``auto``.
        threads: number of threads; None is all processors, and one for a single sample.
        weights: ``fp32``, ``bf16``, ``int8``, or ``auto``: bf16 to sample natively, else fp32.
        stack_round: for a network with stacks, True rounds its actions and False does not; None
            does as in training.
        corpus: the present sources of its training text; if empty, the sources of its run.

    Raises:
        CheckpointError: there is no such model, or its file is not valid.
        UsageError: a value is out of bounds.

    >>> load(GOLDEN_MODEL)  # doctest: +ELLIPSIS
    Model('...lstm-best.safetensors': lstm 2 x 6, 18 characters)
    """
    use = UseConfig(weights=weights, threads=threads)
    ComputeConfig(device=device)
    path = find_model(_text(model))
    file = read_model(path).rounding(stack_round)
    return Model(path, file, device, use, _list_sources(corpus))


class Model:
    """A trained model, loaded by :func:`load`.

    It runs in the native library if that supports it, else in torch.

    Args:
        path: the model's file.
        file: its contents.
        device: ``cpu``, ``cuda``, ``mps`` or ``auto``.
        use: number of threads and precision of the weights.
        corpus: the present sources of its training text; if empty, the sources of its run.

    Attributes:
        path: the model's file.
        file: its contents: configuration, alphabet, facts of its corpus, weights.
        data: its training text, read on first use.

    >>> model = load(GOLDEN_MODEL)
    >>> model.records is None, len(model.alphabet)
    (True, 18)
    """

    def __init__(
        self, path: Path, file: ModelFile, device: str, use: UseConfig, corpus: Sequence[str] = ()
    ) -> None:
        self.path, self.file, self.device, self.use = path, file, device, use
        self.data = RunData(path, file, corpus)
        self._backends: dict[Purpose, Backend] = {}

    def __repr__(self) -> str:
        config = self.file.model
        return (
            f"Model({str(self.path)!r}: {config.cell} {config.layers} x {config.hidden}, "
            f"{len(self.alphabet):,} characters)"
        )

    @property
    def alphabet(self) -> Alphabet:
        """The alphabet of the model."""
        return self.file.alphabet

    @property
    def records(self) -> str | None:
        """The separator of its records: ``line``, ``paragraph`` or a string.

        None for a model of continuous text.
        """
        return self.file.corpus.records

    def generate(
        self,
        prime: str = "",
        *,
        length: int = SampleConfig.length,
        temperature: float = SampleConfig.temperature,
        top_k: int = SampleConfig.top_k,
        top_p: float = SampleConfig.top_p,
        min_p: float = SampleConfig.min_p,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        unknown: str = ReadConfig.unknown,
    ) -> str:
        """Draw a sample, without the prime; a model of records draws a whole record.

        The arguments and errors are those of :meth:`stream`.

        >>> model = load(GOLDEN_MODEL)
        >>> model.generate("the ", length=12, seed=1) == model.generate("the ", length=12, seed=1)
        True
        """
        pieces = self.stream(
            prime,
            length=length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            stop=stop,
            seed=seed,
            unknown=unknown,
        )
        return "".join(pieces)

    def stream(
        self,
        prime: str = "",
        *,
        length: int = SampleConfig.length,
        temperature: float = SampleConfig.temperature,
        top_k: int = SampleConfig.top_k,
        top_p: float = SampleConfig.top_p,
        min_p: float = SampleConfig.min_p,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        unknown: str = ReadConfig.unknown,
    ) -> Iterator[str]:
        """Draw a sample, and yield its text while it is drawn; mistakes are told at once.

        Args:
            prime: text that the model reads first.
            length: number of characters to draw.
            temperature: the sampling temperature; 0 always takes the most likely character.
            top_k: draw among this number of most likely characters; 0 is all.
            top_p: draw among the most likely characters that together reach this probability.
            min_p: drop characters below this share of the highest probability.
            stop: stop strings; the sample ends before the first.
            seed: fixes the sample; None draws another one each time.
            unknown: ``error``, ``skip`` or ``replace`` characters of the prime that the model does
                not know.

        Raises:
            PredictionError: the model's predictions are not finite.
            UnknownCharacterError: the prime has a character that the model does not know.
            UsageError: a value is out of bounds.

        >>> pieces = load(GOLDEN_MODEL).stream("the ", length=12, seed=1)
        >>> len("".join(pieces))
        12
        """
        config = SampleConfig(
            temperature=temperature,
            length=length,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
        )
        pieces = self.draw(
            self.alphabet.symbols(prime),
            config,
            seed=randbits(32) if seed is None else seed,
            unknown=unknown,
        )
        return self._decode(pieces)

    def _decode(self, pieces: Iterator[Piece]) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for piece in pieces:
            text = decoder.decode(self.alphabet.to_bytes(piece.symbols), piece.last)
            if text:
                yield text

    def draw(
        self,
        prime: str,
        config: SampleConfig,
        *,
        seed: int,
        unknown: str = ReadConfig.unknown,
        unique: bool = False,
        novel: bool = False,
        on_note: Callable[[str], None] = _ignore,
    ) -> Iterator[Piece]:
        """Draw ``config.count`` samples, and yield their pieces in the order of the samples.

        Args:
            prime: the symbols that the model reads first, see :meth:`Alphabet.symbols`.
            config: the sampling configuration.
            seed: sample i depends on the model, the prime, the configuration, the seed and i alone.
            unknown: see :meth:`stream`.
            unique: True draws no record twice; for a model of records.
            novel: True draws no record of the training text; for a model of records.
            on_note: called with messages for the user at the end.

        Raises:
            CorpusError: ``novel`` needs the training text, which is not available.
            PredictionError: the model's predictions are not finite.
            UnknownCharacterError: the prime has a character that the model does not know.
            UsageError: a value is out of bounds, or ``unique`` or ``novel`` for a model of
                continuous text.

        >>> config = SampleConfig(length=5, count=3)
        >>> pieces = load(GOLDEN_MODEL).draw("the ", config, seed=1)
        >>> sorted({piece.sample for piece in pieces})
        [0, 1, 2]
        """
        ReadConfig(unknown=unknown)
        if seed < 0:
            raise UsageError(f"is {seed}; it must be at least 0", settings=("seed",))
        prime = self.read_prime(prime, unknown=unknown, on_note=on_note)
        ids = self.alphabet.encode(prime)
        check_stops(self.alphabet, config.stop)
        if self.records is None and (unique or novel):
            raise UsageError(
                f"{self.path}: is not a model of records, so it cannot draw unique or novel ones",
                Remedy("train one", "train", "TEXT", records="line"),
            )
        known = self.data.records if novel else frozenset()
        backend = self.backend("sampling")
        if self.records is None:
            return order_pieces(sample(backend, self.alphabet, config, ids, seed))
        chosen = RecordChoice(config, prime, known, unique=unique, novel=novel)
        opened = open_record(self.alphabet, ids)
        pieces = order_pieces(sample(backend, self.alphabet, chosen.config, opened, seed))
        return chosen.choose(pieces, on_note)

    def read_prime(
        self,
        prime: str,
        *,
        unknown: str = ReadConfig.unknown,
        on_note: Callable[[str], None] = _ignore,
    ) -> str:
        """Return what the model reads of a prime: that is what stands before its samples.

        Args:
            prime: its symbols, see :meth:`Alphabet.symbols`.
            unknown: see :meth:`stream`.
            on_note: called with the number of characters that were skipped or replaced.

        Raises:
            UnknownCharacterError: the prime has a character that the model does not know.

        >>> load(GOLDEN_MODEL).read_prime("the h\u00e9ron", unknown="skip")
        'the hron'
        """
        ids = self.alphabet.encode(prime, unknown)
        if count := self.alphabet.count_unknown(prime):
            on_note(self._describe_unknown(count, unknown))
        return self.alphabet.decode(ids)

    def read(
        self,
        text: str | os.PathLike[str] | Sequence[Source] | None = None,
        *,
        encoding: str = "utf-8",
        unknown: str = ReadConfig.unknown,
        on_note: Callable[[str], None] = _ignore,
    ) -> NamedText:
        """Read a text in the model's alphabet.

        Args:
            text: a string is the text itself, a path is a file or folder, a sequence holds several
                sources as ``charrnn eval`` takes them; None is the validation split of the run.
            encoding: encoding of the files.
            unknown: ``error``, ``skip`` or ``replace`` characters that the model does not know.
            on_note: called with messages about skipped or changed input.

        Raises:
            CorpusError: the text cannot be read, or the validation split is unknown.
            UsageError: no source is given, or a value is out of bounds.

        >>> len(load(GOLDEN_MODEL).read("the heron").text)
        9
        """
        ReadConfig(unknown=unknown)
        self._refuse_idle_encoding(text, encoding)
        if text is None:
            return self._read_held_out()
        if isinstance(text, str):
            return self._encode(text, unknown)
        return self._read_sources(_list_sources(text), encoding, unknown, on_note)

    def evaluate(
        self,
        text: str | os.PathLike[str] | Sequence[Source] | None = None,
        *,
        encoding: str = "utf-8",
        unknown: str = ReadConfig.unknown,
        reset_every: int | None = None,
        dynamic: bool = False,
        baselines: bool = False,
        on_note: Callable[[str], None] = _ignore,
        on_progress: Callable[[str, int, int], None] | None = None,
    ) -> Evaluation:
        """Evaluate the model on a text: score every character once, with the state carried through.

        Args:
            text: see :meth:`read`.
            encoding: see :meth:`read`.
            unknown: see :meth:`read`.
            reset_every: also score with the state reset after each of this number of characters.
            dynamic: also score by dynamic evaluation, with weights updated along the text; imports
                torch.
            baselines: also score with n-grams and xz, which read the training text first.
            on_note: see :meth:`read`.
            on_progress: called with the name of the pass, the characters scored and their total.

        Raises:
            CorpusError: see :meth:`read`.
            PredictionError: the model's predictions are not finite.
            UsageError: a value is out of bounds, or ``reset_every`` or ``dynamic`` for a model of
                records.

        >>> model = load(GOLDEN_MODEL)
        >>> round(model.evaluate("the heron stood").bits_per_char, 1) > 0
        True
        """
        ReadConfig(unknown=unknown, reset_every=reset_every)
        asked = {"reset_every": reset_every is not None, "dynamic": dynamic}
        if self.records is not None and any(asked.values()):
            raise UsageError(
                f"cannot be asked of {self.path}, a model of records: each is read by itself",
                settings=tuple(name for name, given in asked.items() if given),
            )
        read = self.read(text, encoding=encoding, unknown=unknown, on_note=on_note)
        if len(read.text) == 1:
            on_note(
                "the text is a single character, which nothing stands before: its score is that of "
                "the alphabet's size, whatever the model"
            )
        training = self._read_training_text() if baselines else None
        backend = self.backend("scoring")

        def score(window: int | None, title: str) -> Score:
            return evaluate(
                backend,
                read.text,
                self.alphabet,
                reset_every=window,
                on_progress=report_progress(title),
            )

        def report_progress(title: str) -> Callable[[int], None] | None:
            if on_progress is None:
                return None
            return lambda done: on_progress(title, done, len(read.text))

        carried = score(None, "state carried")
        reset = score(reset_every, "state reset") if reset_every else None
        followed = None
        if dynamic and isinstance(read.text, ContinuousText):
            followed = self._score_dynamically(read.text, report_progress("dynamic evaluation"))
        return Evaluation(
            text=read.name,
            score=carried,
            records=read.text.record_count or None,
            reset_nats_per_char=reset.nats_per_char if reset else None,
            dynamic_nats_per_char=followed.nats_per_char if followed else None,
            baselines=self._measure_baselines(training, read.text) if training else None,
            held_out_learnt=read.learnt,
        )

    def solve(self, language: str) -> FormalScore:
        """Test which sizes of a formal language the model predicts without an error.

        Args:
            language: a name such as ``anbn``.

        Raises:
            PredictionError: the model's predictions are not finite.
            UsageError: there is no such language, or this is a model of records.
            UnknownCharacterError: the model lacks a character of the language.

        >>> load(GOLDEN_MODEL).solve("no such language")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        charrnn.errors.UsageError: ...
        """
        if self.records is not None:
            raise UsageError(
                f"{self.path}: is a model of records, each read by itself; a formal language is a "
                "continuous text"
            )
        tried = find_language(language)
        check_known(self.alphabet, tried)
        return solve(self.backend("scoring"), self.alphabet, tried)

    def surprisal(
        self,
        text: str | os.PathLike[str] | Sequence[Source] | None = None,
        *,
        encoding: str = "utf-8",
        unknown: str = ReadConfig.unknown,
        on_note: Callable[[str], None] = _ignore,
    ) -> Surprisal:
        """Measure the surprisal of each character of a text in bits; a notebook shows a picture.

        Args:
            text: see :meth:`read`.
            encoding: see :meth:`read`.
            unknown: see :meth:`read`.
            on_note: see :meth:`read`.

        Raises:
            CorpusError: see :meth:`read`.
            PredictionError: the model's predictions are not finite.

        >>> model = load(GOLDEN_MODEL)
        >>> len(model.surprisal("the heron").bits)
        9
        """
        encoded = self.read(text, encoding=encoding, unknown=unknown, on_note=on_note).text
        bits = measure_surprisal(self.backend("scoring"), encoded) / math.log(2)
        unscored = encoded.unscored
        return Surprisal(self.alphabet.decode(encoded.scored), bits[unscored:])

    def score(
        self,
        text: str | os.PathLike[str] | Sequence[Source] | None = None,
        *,
        by: str | None = None,
        window: int | None = None,
        carried: bool | None = None,
        encoding: str = "utf-8",
        unknown: str = ReadConfig.unknown,
        on_note: Callable[[str], None] = _ignore,
    ) -> Scoring:
        r"""Score a text unit by unit, such as line by line, as it arrives.

        Args:
            text: see :meth:`read`; sources are streamed.
            by: the unit: ``line``, ``record``, ``character`` or ``window``; None is ``record`` for
                a model of records, else ``line``.
            window: the number of characters of each window; None is 100.
            carried: True carries the state through the text; False reads every line, or record,
                afresh; None carries it by character and by window, unless the model is of records.
            encoding: see :meth:`read`.
            unknown: ``error``, ``skip`` (no score) or ``replace`` characters that the model does
                not know.
            on_note: see :meth:`read`.

        Returns:
            An iterator of the units with ``number``, ``text``, ``bits``, ``bits_per_char`` and
            ``characters``. It raises what :meth:`read` raises, once it gets there.

        Raises:
            CorpusError: a source does not exist, or the validation split is unknown.
            UsageError: a value is out of bounds, or the unit does not go with the model.

        >>> for unit in load(GOLDEN_MODEL).score("the heron\nthe mist"):
        ...     print(unit.number, unit.text, unit.characters, unit.bits > 0)
        1 the heron 10 True
        2 the mist 8 True
        """
        ReadConfig(unknown=unknown)
        config = UnitConfig(by=by, window=window, carried=carried)
        choice = choose_units(str(self.path), config, has_records=self.records is not None)
        name, chunks = self._stream(text, encoding, on_note)
        return Scoring(
            self.backend("scoring"), self.alphabet, chunks, choice, unknown=unknown, name=name
        )

    def states(self, text: str) -> dict[str, Floats]:
        """Read a text, and return the state of every layer after each character.

        Args:
            text: T characters; for a model of records, those of one record from its beginning.

        Returns:
            By name of a part of the state, ``h`` and, for an LSTM, ``c``: (T, L, H), float32.

        Raises:
            UnknownCharacterError: the text has a character that the model does not know.

        >>> states = load(GOLDEN_MODEL).states("the heron")
        >>> sorted(states), states["h"].shape
        (['c', 'h'], (9, 2, 6))
        """
        backend = self.backend("scoring")
        ids = self.alphabet.encode(self.alphabet.symbols(text))
        state = backend.initial_state(1)
        if self.records is not None:
            state = backend.read(open_record(self.alphabet, ids[:0])[:, None], state)
        after: list[dict[str, Floats]] = []
        for position in range(len(ids)):
            state = backend.read(ids[position : position + 1, None], state)
            after.append(backend.hidden(state))
        names = backend.hidden(state)
        return {
            name: np.stack([one[name][:, 0] for one in after])
            if after
            else np.empty((0, *empty[:, 0].shape), np.float32)
            for name, empty in names.items()
        }

    def play(self, seed: int) -> Play:
        """Begin a text that the user and the model write in turns.

        Args:
            seed: fixes the continuations.

        >>> play = load(GOLDEN_MODEL).play(seed=1)
        >>> play.add("the heron")
        'the heron'
        >>> len("".join(play.go_on(SampleConfig(length=7))))
        7
        """
        return Play(self.backend("sampling"), self.alphabet, seed, self.records)

    def torch_model(self) -> CharModel:
        """Load the network into torch, for analysis.

        >>> len(load(GOLDEN_MODEL).torch_model().layers())
        2
        """
        return load_torch_network(self.file, device=self.device, threads=self.use.threads)

    def backend(self, purpose: Purpose) -> Backend:
        """Load the backend for a purpose, or return it if it is loaded.

        Args:
            purpose: ``sampling`` or ``scoring``, which may use different precisions of the weights.

        >>> load(GOLDEN_MODEL).backend("scoring").characters
        18
        """
        if purpose not in self._backends:
            self._backends[purpose] = load_backend(
                self.file,
                purpose,
                device=self.device,
                threads=self.use.threads,
                weights=self.use.weights,
            )
        return self._backends[purpose]

    def _stream(
        self,
        text: str | os.PathLike[str] | Sequence[Source] | None,
        encoding: str,
        on_note: Callable[[str], None],
    ) -> tuple[str, Iterator[str]]:
        """Stream the symbols of a text, and name it for errors."""
        self._refuse_idle_encoding(text, encoding)
        if text is None:
            return "", iter([self.alphabet.decode(self._read_held_out().text.scored)])
        records = None if self.records is None else self.alphabet.symbols(self.records)
        texts: Iterable[Iterable[str]]
        if isinstance(text, str):
            name, texts = "", [[self.alphabet.symbols(text)]]
        else:
            sources = _list_sources(text)
            name = ", ".join(map(name_source, sources))
            known = None if self.alphabet.kind == "bytes" else encoding
            separator = None if records is None else find_separator(records)
            texts = stream_sources(sources, known, separator, on_note)
        if records is None:
            return name, chain.from_iterable(texts)
        return name, divide_texts(texts, records)

    def _refuse_idle_encoding(
        self, text: str | os.PathLike[str] | Sequence[Source] | None, encoding: str
    ) -> None:
        """Raise UsageError for an encoding where there is no file to decode with it."""
        if encoding == SourceConfig.encoding:
            return
        if self.alphabet.kind == "bytes":
            reason = f"{self.path} reads bytes, which are not decoded"
        elif text is None:
            reason = "the held-out text is read as in training"
        elif isinstance(text, str):
            reason = "the text is a string, which is decoded already"
        else:
            return
        raise UsageError(f"is {encoding!r:.40}, but {reason}; leave it out", settings=("encoding",))

    def _read_held_out(self) -> NamedText:
        if not self.data.is_known:
            raise CorpusError(
                f"{self.path}: is not in the directory of its run, so its validation split is "
                "unknown",
                Remedy("give a text to read"),
                Remedy("name its training text", "corpus", "TEXT"),
            )
        valid = self.file.corpus.valid
        if not valid:
            raise CorpusError(
                f"{self.path.parent}: has no validation split, since nothing was held out",
                Remedy("give a text to read"),
            )
        name = f"{self.file.corpus.name}, the last {100 * valid:.3g}%, held out"
        share = self.file.held_out_learnt
        if share:
            name += f"; not new to the model: {describe_learnt(share)}"
        return NamedText(name, self.data.split.held_out, share)

    def _read_sources(
        self, sources: Sequence[str], encoding: str, unknown: str, on_note: Callable[[str], None]
    ) -> NamedText:
        with TemporaryFolder() as folder:
            known = None if self.alphabet.kind == "bytes" else encoding
            paths, names = gather_sources(sources, folder, known)
            corpus = encode_corpus(
                paths,
                self.alphabet,
                encoding=encoding,
                unknown=unknown,
                records=self.records,
                names=names,
            )
        for message in corpus.notes:
            on_note(message)
        if corpus.unknown:
            on_note(self._describe_unknown(corpus.unknown, unknown))
        return NamedText(", ".join(sources), corpus.text)

    def _describe_unknown(self, count: int, unknown: str) -> str:
        did = {"skip": "skipped", "replace": f"replaced by {self.alphabet.replacement!r}"}[unknown]
        return f"{count:,} characters the model does not know were {did}"

    def _encode(self, text: str, unknown: str) -> NamedText:
        symbols = self.alphabet.symbols(text)
        if self.records is not None:
            parted = divide_text([symbols], self.alphabet.symbols(self.records))
            symbols = RECORD_END + "".join(parted)
        ids = self.alphabet.encode(symbols, unknown)
        if len(ids) <= (self.records is not None):
            raise CorpusError("0 characters: an empty text cannot be used")
        return NamedText("text", cut_text(ids, self.alphabet, self.records))

    def _score_dynamically(
        self, text: ContinuousText, on_progress: Callable[[int], None] | None
    ) -> Score:
        from charrnn.evaluation.dynamic import evaluate_dynamically

        network = load_torch_network(
            self.file, device=self.device, threads=self.use.threads, weights=self.use.weights
        )
        return evaluate_dynamically(network, text, self.alphabet, on_progress, self.file.expert)

    def _read_training_text(self) -> EncodedText | None:
        """Read the text that baselines learn; None if it is not at hand and was not named."""
        try:
            return self.data.split.train
        except (CorpusError, CheckpointError):
            if self.data.is_named:
                raise
            return None  # The evaluation is complete without baselines.

    def _measure_baselines(self, training: EncodedText, text: EncodedText) -> Baselines:
        return measure_baselines(
            training.ids, text.scored, self.alphabet, [COMPRESSOR], most=MOST_TO_COMPARE
        )


class Run:
    """A training run: a directory that holds the model and everything needed to resume.

    Attributes:
        path: the run directory.
        result: steps, loss and other results, see :class:`charrnn.training.run.RunResult`.

    >>> run = train(NAMES, run="runs/first", layers=1, hidden=8, steps=2)
    >>> run
    Run('runs/first')
    >>> run.result.steps
    2
    >>> len(run.model.generate("Ma", length=20, seed=1))
    20
    """

    def __init__(self, result: RunResult) -> None:
        self.path = result.path
        self.result = result

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @cached_property
    def model(self) -> Model:
        """The best model of the run, loaded as :func:`load` does."""
        return load(self.path)


def train(
    sources: Source | Sequence[Source],
    *,
    run: Source | None = None,
    encoding: str | None = "utf-8",
    records: str | None = None,
    base: Source | None = AUTO,
    overwrite: bool = False,
    save_every: float = SAVE_EVERY,
    on_event: Callable[[RunEvent], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    **settings: Any,
) -> Run:
    """Train a model on text; imports torch.

    Settings that are not given are chosen from the size of the text, the training time and the
    speed of the machine, as ``charrnn train`` does.

    Args:
        sources: one text or several, which are concatenated.
        run: the run directory; None is ``runs/NAME`` in the current folder.
        encoding: encoding of the text files; None makes every byte a symbol.
        records: separator of independent records: ``line``, ``paragraph`` or a string; None for a
            continuous text.
        base: a run, its name, a model file or the name of a base model to fine-tune; ``auto``
            fine-tunes a base model where one is near to the text; None trains from scratch.
        overwrite: True replaces an existing run.
        save_every: seconds between saves; an evaluation saves in addition.
        on_event: called with every event of the run, see ``charrnn.training.progress``; None shows
            a progress bar in a notebook and nothing elsewhere.
        should_stop: called after every step; once it returns True, the run is saved and ends.
        settings: fields of ModelConfig, TrainConfig and ComputeConfig, such as ``minutes=3``,
            ``hidden=256``, ``cell="gru"``.

    Returns:
        The run, with its :attr:`Run.result`.

    Raises:
        CorpusError: the text cannot be read, or is too short to train on.
        UsageError: a setting is out of bounds, or settings contradict each other.
        RunDirectoryError: the directory holds a run already, or another process trains there.
        StorageError: a file cannot be written.
        DivergedError: the loss or the gradient is not finite.
        ValueError: there is no setting of a name.

    >>> run = train(NAMES, run="runs/names", records="line", layers=1, hidden=8, steps=2)
    >>> len(load(run.path).generate(seed=1)) > 0
    True
    """
    texts = _list_sources(sources)
    if run is not None and not os.fspath(run):
        raise UsageError("is empty", Remedy("name a folder"), settings=("run",))
    if records == "":
        raise UsageError(
            "is empty", Remedy("give line, paragraph or a separator"), settings=("records",)
        )
    _check_save_every(save_every)
    origin = None if base in (None, AUTO) else _read(base)
    bases = find_base_models().values() if base == AUTO else ()
    check_current_folder()
    with (
        _observing(on_event, should_stop) as observer,
        prepare_run(
            texts,
            None if run is None else Path(run),
            settings,
            encoding=encoding,
            records=records,
            overwrite=overwrite,
            origin=origin,
            bases=tuple(bases),
            chooses_share="valid" not in settings,
            observer=observer,
        ) as new,
    ):
        from charrnn.training.run import train_run

        return Run(train_run(new, observer=observer, save_every=save_every))


def resume(
    run: Source | None = None,
    *,
    texts: Source | Sequence[Source] = (),
    device: str | None = None,
    threads: int | None = None,
    save_every: float = SAVE_EVERY,
    on_event: Callable[[RunEvent], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Run:
    """Resume a run, with the result of an uninterrupted one; imports torch.

    Args:
        run: its directory, its name, or the corpus that it was trained on; None is the latest.
        texts: the new places of its texts; empty if they have not moved.
        device: a new device; None keeps the previous one.
        threads: a new number of threads; None keeps the previous one, if as many can be used here.
        save_every: seconds between saves; an evaluation saves in addition.
        on_event: see :func:`train`.
        should_stop: see :func:`train`.

    Raises:
        CheckpointError: there is no run to resume, or its checkpoint is not valid.
        CorpusError: its text is missing or has changed.
        RunDirectoryError: another process trains there.
        StorageError: a file cannot be written.
        DivergedError: the loss or the gradient is not finite.

    >>> run = train(NAMES, run="runs/cut", layers=1, hidden=8, steps=4, should_stop=lambda: True)
    >>> run.result.stopped, resume("runs/cut").result.steps
    (True, 4)
    """
    _check_save_every(save_every)
    check_current_folder()
    path = find_run_to_resume(_text(run))
    with (
        _observing(on_event, should_stop) as observer,
        prepare_resumption(
            path,
            sources=_list_sources(texts),
            device=device,
            threads=threads,
            observer=observer,
        ) as resumed,
    ):
        from charrnn.training.run import resume_run

        return Run(resume_run(resumed, observer=observer, save_every=save_every))


def fetch(name: str, *, on_progress: Callable[[int, int], None] | None = None) -> Path:
    """Download a corpus of the catalogue once, verify it, and keep it in the user's cache.

    Args:
        name: its name, see ``charrnn corpus list``.
        on_progress: called with the bytes that are there and their total.

    Returns:
        The path of the text.

    Raises:
        CorpusError: it cannot be downloaded, or it is not the text that was expected.
        StorageError: it cannot be written.
        UsageError: there is no such corpus, or it is not a download.

    >>> fetch("tales")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    charrnn.errors.UsageError: tales is bundled, not a download...
    """
    entry = find_entry(name)
    if not isinstance(entry, Download):
        raise UsageError(
            f"{name} is {entry.kind}, not a download", Remedy("use it as it is", "train", name)
        )
    for size in fetch_text(entry):
        if on_progress is not None:
            on_progress(size, entry.bytes)
    return entry.path


def describe_corpus(
    sources: Source | Sequence[Source],
    *,
    encoding: str | None = "utf-8",
    on_note: Callable[[str], None] = _ignore,
) -> CorpusDescription:
    """Describe a text: characters, lines, baselines, and the settings that training would choose.

    Args:
        sources: one text or several, which are concatenated.
        encoding: encoding of the text files; None makes every byte a symbol.
        on_note: called with messages about skipped or changed input.

    Raises:
        CorpusError: the text cannot be read.

    >>> described = describe_corpus(NAMES)
    >>> described.characters.different, described.layout.lines.count
    (50, 339)
    """
    # Unicode's scripts are of no use to the other functions.
    from charrnn.training.corpus_description import describe_split

    texts = _list_sources(sources)
    with TemporaryFolder() as folder:
        paths, names = gather_sources(texts, folder, encoding)
        corpus = fit_corpus(paths, encoding, names=names)
    for message in corpus.notes:
        on_note(message)
    valid = TrainConfig.valid
    split = SplitCorpus.of(corpus, valid)
    if shortage := split.describe_shortage(TrainConfig.window):
        on_note(f"training would hold nothing out: {valid:.0%} are {shortage}")
    check_current_folder()
    generated = all(map(is_generated, texts))
    bases = () if generated else find_base_models().values()
    start = choose_base(bases, corpus, {}, valid, on_note)
    learnt = SplitCorpus.of(start.corpus, valid) if start else split
    settings = _suggest(learnt, start.model if start else None, generated=generated)
    return describe_split(", ".join(texts), split, settings)


def _suggest(
    split: SplitCorpus, network: ModelConfig | None, *, generated: bool
) -> SuggestedSettings | None:
    """Choose settings as training would; None without torch, whose speed they depend on."""
    from charrnn.training.corpus_description import SuggestedSettings

    try:
        from charrnn.training.session import build_request
    except ModuleNotFoundError as problem:
        if problem.name != "torch":
            raise
        return None
    request, event = build_request(
        complete_settings({}, network),
        SourceConfig(),
        split,
        generated=generated,
        begins_trained=network is not None,
    )
    chosen = {**request.model.to_dict(), **request.train.to_dict()}
    return SuggestedSettings({name: chosen[name] for name in REPORTED}, event)


def _list_sources(sources: Source | Sequence[Source]) -> list[str]:
    """List sources, of which one may stand by itself."""
    several = [sources] if isinstance(sources, str | os.PathLike) else sources
    return [os.fspath(source) for source in several]


def _check_save_every(seconds: float) -> None:
    if not seconds >= 0:
        raise UsageError(f"is {seconds}; it must be at least 0", settings=("save_every",))


def _text(source: Source | None) -> str | None:
    return None if source is None else os.fspath(source)


def _read(model: Source | None) -> tuple[Path, ModelFile]:
    path = find_model(_text(model))
    return path, read_model(path)


@contextmanager
def _observing(
    on_event: Callable[[RunEvent], None] | None, should_stop: Callable[[], bool] | None
) -> Iterator[Observer]:
    """Build the observer of a run; without ``on_event``, show a progress bar in a notebook."""
    if on_event is None and "ipykernel" in sys.modules:
        with closing(_NotebookBar()) as bar:
            yield Observer(bar.show, should_stop)
    else:
        yield Observer(on_event, should_stop)


class _NotebookBar:
    """Shows the progress of a run in a notebook: a bar with the losses."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._notes: list[str] = []
        self._mark = ""

    def show(self, event: RunEvent) -> None:
        match event:
            case Note():
                self._write(event.text)
            case RolledBack():
                self._write(f"step {event.diverged_step:,}: {event.reason}")
            case Started():
                from tqdm.auto import tqdm

                self._bar = tqdm(unit="step", desc=event.corpus)
                self._mark = " (not new to the base model)" if event.held_out_learnt else ""
                for note in self._notes:
                    self._write(note)
            case Step():
                self._bar.total = event.expected_total
                self._bar.set_postfix({"loss": f"{event.nats_per_char:.3f}"}, refresh=False)
                self._bar.update(event.step - self._bar.n)
            case Evaluated(valid_nats_per_char=float(nats)):
                self._write(f"step {event.step:,}: held-out loss {nats:.3f}{self._mark}")

    def _write(self, line: str) -> None:
        """Write a line above the bar, once there is one."""
        if self._bar is None:
            self._notes.append(line)
        else:
            self._bar.write(line)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
