"""The calls of a program: load a model and use it, train a run and resume it.

The command line, the report and the server are clients of this file. Whatever needs torch imports
it when it is called.
"""

from __future__ import annotations

import codecs
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import randbits
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.checkpoints.model_file import ModelFile, read_model
from charrnn.checkpoints.run_index import find_model
from charrnn.config.inference import SampleConfig, UseConfig
from charrnn.data.alphabet import RECORD_END, Alphabet
from charrnn.data.corpus import encode_corpus
from charrnn.data.encoded_text import ContinuousText, EncodedText, cut_text
from charrnn.data.formal_languages import find_language
from charrnn.data.inputs import NamedText, gather_sources
from charrnn.data.records import divide_text
from charrnn.errors import CharrnnError, CorpusError, Remedy, UsageError
from charrnn.evaluation.baselines import Baselines, measure_baselines
from charrnn.evaluation.evaluate import evaluate
from charrnn.evaluation.formal_languages import FormalScore, solve
from charrnn.evaluation.metrics import Score
from charrnn.evaluation.results import Evaluation, Surprisal
from charrnn.evaluation.surprisal import measure_surprisal
from charrnn.inference.backend import Backend
from charrnn.inference.interactive import Play
from charrnn.inference.record_sampling import RecordChoice, open_record
from charrnn.inference.sampling import Piece, check_stops, order_pieces, sample
from charrnn.inference.select_backend import Purpose, load_backend, load_torch_network
from charrnn.kernels.network import Floats
from charrnn.training.auto_config import complete_settings
from charrnn.training.progress import SAVE_EVERY, Observer, RunEvent, Started, Step
from charrnn.training.progress import Evaluation as EvaluationEvent
from charrnn.training.run_data import RunData

if TYPE_CHECKING:
    from charrnn.models.char_model import CharModel
    from charrnn.training.run import RunResult

Source = str | os.PathLike[str]
"""A file, a folder, the name of a corpus, or ``-`` for standard input."""

COMPRESSOR = "xz"
"""The compressor that stands beside a model's score."""

_MOST_BASELINE_CHARACTERS = 1 << 22


def _ignore(note: str) -> None:
    pass


def load(
    model: Source | None = None,
    *,
    device: str = "cpu",
    threads: int | None = None,
    weights: str = "auto",
    stack_round: bool | None = None,
    corpus: Sequence[Source] = (),
) -> Model:
    """Load a trained model.

    Args:
        model: a run's name, its directory, or a model file; None is the run that was trained last.
        device: ``cpu``, ``cuda``, ``mps`` or ``auto``.
        threads: of the processor; None is all of them, and one for a single sample.
        weights: ``fp32``, ``bf16``, ``int8``, or ``auto``: bf16 to sample natively, else fp32.
        stack_round: of a network with stacks, whether its actions are rounded; None leaves them.
        corpus: where the text that it was trained on is now; if empty, where its run read it.

    Raises:
        CheckpointError: there is no such model, or its file is not sound.
        UsageError: a value out of its bounds.

    >>> load(GOLDEN_MODEL)
    Model('lstm-best.safetensors': lstm 2 x 6, 18 characters)
    """
    use = UseConfig(weights=weights, threads=threads)
    path = find_model(_text(model))
    file = read_model(path).rounding(stack_round)
    return Model(path, file, device, use, [os.fspath(source) for source in corpus])


class Model:
    """A trained model, loaded by :func:`load`.

    It runs in the native library where that serves, else in torch.

    Args:
        path: the model's file.
        file: its contents.
        device: ``cpu``, ``cuda``, ``mps`` or ``auto``.
        use: threads, and the form of the weights.
        corpus: where the text that it was trained on is now; if empty, where its run read it.

    Attributes:
        path: the model's file.
        file: its contents: configuration, alphabet, facts of its corpus, weights.
        data: the text that it was trained on, read when it is first asked for.

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
            f"Model({self.path.name!r}: {config.cell} {config.layers} x {config.hidden}, "
            f"{len(self.alphabet):,} characters)"
        )

    @property
    def alphabet(self) -> Alphabet:
        """The characters that it knows."""
        return self.file.alphabet

    @property
    def records(self) -> str | None:
        """The string that parts its text into records, or line or paragraph; None if it is one."""
        return self.file.corpus.records

    def generate(self, prime: str = "", **options: Any) -> str:
        """Draw a sample, the prime left out; of a model of records it is a whole record.

        Args:
            prime: text that the model reads first.
            options: see :meth:`stream`.

        >>> model = load(GOLDEN_MODEL)
        >>> model.generate("the ", length=12, seed=1) == model.generate("the ", length=12, seed=1)
        True
        """
        return "".join(self.stream(prime, **options))

    def stream(
        self,
        prime: str = "",
        *,
        length: int = SampleConfig.length,
        temperature: float = SampleConfig.temp,
        top_k: int = SampleConfig.top_k,
        top_p: float = SampleConfig.top_p,
        min_p: float = SampleConfig.min_p,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        unknown: str = "error",
    ) -> Iterator[str]:
        """Draw a sample, yielding its text as it is drawn.

        Args:
            prime: text that the model reads first.
            length: characters to draw.
            temperature: 0 always takes the likeliest character.
            top_k: draw among so many likeliest characters; 0 is all.
            top_p: draw among the likeliest that together reach this probability.
            min_p: drop characters below this share of the likeliest one's probability.
            stop: texts before which the sample ends.
            seed: the same gives the same text; None another each time.
            unknown: ``error``, ``skip`` or ``replace`` characters of the prime that the model does
                not know.

        Raises:
            UnknownCharacterError: the prime has a character that the model does not know.
            UsageError: a value out of its bounds.

        >>> pieces = load(GOLDEN_MODEL).stream("the ", length=12, seed=1)
        >>> len("".join(pieces))
        12
        """
        config = SampleConfig(
            temp=temperature,
            length=length,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
        )
        symbols = self.alphabet.symbols(prime)
        pieces = self.draw(
            symbols, config, seed=randbits(32) if seed is None else seed, unknown=unknown
        )
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
        unknown: str = "error",
        unique: bool = False,
        novel: bool = False,
        on_note: Callable[[str], None] = _ignore,
    ) -> Iterator[Piece]:
        """Draw ``config.count`` samples, one after another, piece by piece as they are drawn.

        Args:
            prime: the symbols that the model reads first, see :meth:`Alphabet.symbols`.
            config: the way of drawing.
            seed: sample i depends on the model, the prime, the configuration, the seed and i alone.
            unknown: see :meth:`stream`.
            unique: of a model of records, no record twice.
            novel: of a model of records, none that stands in its training text.
            on_note: is called with what the user should know at the end.

        Raises:
            CorpusError: the training text is wanted, and is not at hand.
            UnknownCharacterError: the prime has a character that the model does not know.
            UsageError: a choice among records that the model does not make.

        >>> config = SampleConfig(length=5, count=3)
        >>> pieces = load(GOLDEN_MODEL).draw("the ", config, seed=1)
        >>> sorted({piece.sample for piece in pieces})
        [0, 1, 2]
        """
        ids = self.alphabet.encode(prime, unknown)
        check_stops(self.alphabet, config.stop)
        backend = self.backend("sampling")
        if self.records is None:
            if unique or novel:
                raise UsageError(
                    f"{self.path}: is no model of records, among which to choose",
                    Remedy("train one", "records", "line"),
                )
            return order_pieces(sample(backend, self.alphabet, config, ids, seed))
        known = self.data.records if novel else frozenset()
        chosen = RecordChoice(config, prime, known, unique=unique, novel=novel)
        opened = open_record(self.alphabet, ids)
        pieces = order_pieces(sample(backend, self.alphabet, chosen.config, opened, seed))
        return chosen.choose(pieces, on_note)

    def read(
        self,
        text: str | os.PathLike[str] | Sequence[Source] | None = None,
        *,
        encoding: str = "utf-8",
        unknown: str = "error",
        on_note: Callable[[str], None] = _ignore,
    ) -> NamedText:
        """Read a text in the model's alphabet.

        Args:
            text: a string is the text itself, a path a file or folder, a sequence several sources
                as ``charrnn eval`` takes them; None is what the model's run held out.
            encoding: how the bytes of files spell characters.
            unknown: ``error``, ``skip`` or ``replace`` characters that the model does not know.
            on_note: is called with what reading left out or changed.

        Raises:
            CorpusError: it cannot be read, or is not known.

        >>> len(load(GOLDEN_MODEL).read("the heron").text)
        9
        """
        if text is None:
            return self._read_held_out()
        if isinstance(text, str):
            return self._encode(text, unknown)
        sources = [text] if isinstance(text, os.PathLike) else text
        return self._read_sources([os.fspath(one) for one in sources], encoding, unknown, on_note)

    def evaluate(
        self,
        text: str | os.PathLike[str] | Sequence[Source] | None = None,
        *,
        encoding: str = "utf-8",
        unknown: str = "error",
        reset_every: int | None = None,
        dynamic: bool = False,
        baselines: bool = False,
        on_note: Callable[[str], None] = _ignore,
        on_progress: Callable[[str, int, int], None] | None = None,
    ) -> Evaluation:
        """Score a text: every character once, the state carried from the first to the last.

        Args:
            text: see :meth:`read`.
            encoding: see :meth:`read`.
            unknown: see :meth:`read`.
            reset_every: score it besides with the state forgotten after so many characters.
            dynamic: score it besides with the weights following the text; takes torch.
            baselines: score it besides with n-grams and xz that have read the training text.
            on_note: see :meth:`read`.
            on_progress: is called with the pass, the characters scored so far, and all of them.

        Raises:
            CorpusError: it cannot be read, or is not known.
            UsageError: what cannot be asked of a model of records.

        >>> model = load(GOLDEN_MODEL)
        >>> round(model.evaluate("the heron stood").bits_per_char, 1) > 0
        True
        """
        read = self.read(text, encoding=encoding, unknown=unknown, on_note=on_note)
        if self.records is not None and (reset_every or dynamic):
            raise UsageError(
                f"{self.path}: is a model of records, each read by itself; this can be asked of a "
                "model of one text only"
            )
        backend = self.backend("scoring")

        def score(window: int | None, title: str) -> Score:
            return evaluate(
                backend,
                read.text,
                self.alphabet,
                reset_every=window,
                on_progress=telling(title),
            )

        def telling(title: str) -> Callable[[int], None] | None:
            if on_progress is None:
                return None
            return lambda done: on_progress(title, done, len(read.text))

        carried = score(None, "scoring")
        reset = score(reset_every, "forgetting") if reset_every else None
        followed = None
        if dynamic and isinstance(read.text, ContinuousText):
            followed = self._score_dynamically(read.text, telling("following"))
        return Evaluation(
            text=read.name,
            score=carried,
            records=read.text.record_count or None,
            reset_nats_per_char=reset.nats_per_char if reset else None,
            dynamic_nats_per_char=followed.nats_per_char if followed else None,
            baselines=self._measure_baselines(read.text) if baselines else None,
        )

    def solve(self, language: str) -> FormalScore:
        """Count the sizes of a formal language that the model has found.

        Args:
            language: a name such as ``anbn``.

        Raises:
            UsageError: there is no such language, or this is a model of records.
            UnknownCharacterError: the model lacks a character of it.

        >>> load(GOLDEN_MODEL).solve("no such language")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        charrnn.errors.UsageError: ...
        """
        if self.records is not None:
            raise UsageError(
                f"{self.path}: is a model of records, each read by itself; a formal language is "
                "one text"
            )
        return solve(self.backend("scoring"), self.alphabet, find_language(language))

    def surprisal(
        self,
        text: str | os.PathLike[str] | Sequence[Source] | None = None,
        *,
        encoding: str = "utf-8",
        unknown: str = "error",
    ) -> Surprisal:
        """Measure the bits of each character of a text; in a notebook the result is a picture.

        Args:
            text: see :meth:`read`.
            encoding: see :meth:`read`.
            unknown: see :meth:`read`.

        Raises:
            CorpusError: it cannot be read, or is not known.

        >>> model = load(GOLDEN_MODEL)
        >>> len(model.surprisal("the heron").bits)
        9
        """
        encoded = self.read(text, encoding=encoding, unknown=unknown).text
        bits = measure_surprisal(self.backend("scoring"), encoded) / math.log(2)
        unscored = encoded.unscored
        return Surprisal(self.alphabet.decode(encoded.scored), bits[unscored:])

    def states(self, text: str) -> dict[str, Floats]:
        """Read a text and keep the state of every layer after each character.

        Args:
            text: T characters.

        Returns:
            By name of a part of the state, ``h`` and, of an LSTM, ``c``: shape (T, L, H), float32.

        Raises:
            UnknownCharacterError: it has a character that the model does not know.

        >>> states = load(GOLDEN_MODEL).states("the heron")
        >>> sorted(states), states["h"].shape
        (['c', 'h'], (9, 2, 6))
        """
        backend = self.backend("scoring")
        ids = self.alphabet.encode(self.alphabet.symbols(text))
        state = backend.initial_state(1)
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
        """Open a text that is written in turns.

        Args:
            seed: of the continuations.

        >>> play = load(GOLDEN_MODEL).play(seed=1)
        >>> play.add("the heron")
        'the heron'
        >>> len("".join(play.go_on(SampleConfig(length=7))))
        7
        """
        return Play(self.backend("sampling"), self.alphabet, seed, self.records)

    def torch_model(self) -> CharModel:
        """Load the network into torch, for whoever looks inside it.

        >>> len(load(GOLDEN_MODEL).torch_model().layers())
        2
        """
        return load_torch_network(self.file, device=self.device, threads=self.use.threads)

    def backend(self, purpose: Purpose) -> Backend:
        """Load the network, once for each purpose.

        Args:
            purpose: ``sampling`` or ``scoring``, which multiply weights in different forms.

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

    def _read_held_out(self) -> NamedText:
        request = self.data.request
        if request is None:
            raise CorpusError(
                f"{self.path}: is not beside the run that made it, so what was held out is not "
                "known here",
                Remedy("name the text after the model"),
            )
        valid = request.train.valid
        if not valid:
            raise CorpusError(
                f"{self.path.parent}: held nothing out", Remedy("name the text after the run")
            )
        name = f"{self.file.corpus.name}, the last {valid:.0%}, held out"
        return NamedText(name, self.data.split.held_out)

    def _read_sources(
        self, sources: Sequence[str], encoding: str, unknown: str, on_note: Callable[[str], None]
    ) -> NamedText:
        with tempfile.TemporaryDirectory() as folder:
            paths, names = gather_sources(sources, Path(folder))
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
        return evaluate_dynamically(network, text, self.alphabet, on_progress)

    def _measure_baselines(self, text: EncodedText) -> Baselines | None:
        try:
            learnt = self.data.split.train
        except CharrnnError:
            return None  # The model's own score stands all the same.
        return measure_baselines(
            learnt.ids, text.scored, self.alphabet, [COMPRESSOR], most=_MOST_BASELINE_CHARACTERS
        )


class Run:
    """A training run: a directory that holds a model and everything needed to go on.

    Attributes:
        path: the directory.
        result: the figures of the run when training in it ended, see ``training/run.py``.

    >>> run = train(NAMES, run="runs/first", layers=1, hidden=8, steps=2)
    >>> run
    Run('runs/first')
    >>> run.result.steps
    2
    """

    def __init__(self, result: RunResult) -> None:
        self.path = result.path
        self.result = result

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def train(
    sources: Source | Sequence[Source],
    *,
    run: Source | None = None,
    encoding: str | None = "utf-8",
    records: str | None = None,
    base: Source | None = None,
    overwrite: bool = False,
    save_every: float = SAVE_EVERY,
    on_event: Callable[[RunEvent], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    **settings: Any,
) -> Run:
    """Train a model on text; imports torch.

    Settings that are not named are chosen from the size of the text, the time and the speed of the
    machine, as ``charrnn train`` does.

    Args:
        sources: one text or several, read one after another.
        run: the run's directory; None is ``runs/NAME`` in the current folder.
        encoding: how bytes spell characters; None takes every byte as a symbol.
        records: ``line``, ``paragraph`` or the string that parts the text into independent
            records; None if it is one text.
        base: a run, its name, or a model file to fine-tune; None draws the weights.
        overwrite: whether a run that is there is replaced.
        save_every: seconds between saves, evaluations apart.
        on_event: is called with every event of the run, see ``charrnn.training.progress``; None
            shows a progress bar in a notebook, and nothing elsewhere.
        should_stop: is asked after every step; once true, the run is saved and ends.
        settings: fields of ModelConfig, TrainConfig and ComputeConfig, such as ``minutes=3``,
            ``hidden=256``, ``cell="gru"``.

    Returns:
        The run, with its :attr:`Run.result`.

    Raises:
        CorpusError: the text cannot be read, or not be trained on.
        UsageError: a setting outside its bounds, or settings that contradict each other.
        RunDirectoryError: a run is there already, or another process trains there.
        StorageError: the disk refused.
        DivergedError: the loss or the gradient is not finite.
        ValueError: a name that is no setting's.

    >>> run = train(NAMES, run="runs/names", records="line", layers=1, hidden=8, steps=2)
    >>> len(load(run.path).generate(seed=1)) > 0
    True
    """
    texts = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    origin = None if base is None else _read(base)
    complete = complete_settings(settings, origin[1].model if origin else None)
    from charrnn.training.run import train_run

    with _observing(on_event, should_stop) as observer:
        result = train_run(
            [os.fspath(text) for text in texts],
            None if run is None else Path(run),
            complete,
            encoding=encoding,
            records=records,
            overwrite=overwrite,
            origin=origin,
            observer=observer,
            save_every=save_every,
        )
    return Run(result)


def resume(
    run: Source | None = None,
    *,
    texts: Sequence[Source] = (),
    device: str | None = None,
    threads: int | None = None,
    save_every: float = SAVE_EVERY,
    on_event: Callable[[RunEvent], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Run:
    """Go on with a run; it ends as it would have without the interruption. Imports torch.

    Args:
        run: its directory, its name, or the corpus that it was trained on; None is the latest.
        texts: where its texts are now, if they were moved.
        device: another device than before; None is the same.
        threads: another number than before; None is the same.
        save_every: seconds between saves, evaluations apart.
        on_event: see :func:`train`.
        should_stop: see :func:`train`.

    Raises:
        CheckpointError: there is no run to go on with, or it is not sound.
        CorpusError: its text is gone or has changed.
        RunDirectoryError: another process trains there.
        StorageError: the disk refused.
        DivergedError: the loss or the gradient is not finite.

    >>> run = train(NAMES, run="runs/cut", layers=1, hidden=8, steps=4, should_stop=lambda: True)
    >>> run.result.stopped, resume("runs/cut").result.steps
    (True, 4)
    """
    from charrnn.training.run import find_run_to_resume, resume_run

    path = run if isinstance(run, Path) else find_run_to_resume(_text(run))
    with _observing(on_event, should_stop) as observer:
        result = resume_run(
            path,
            sources=[os.fspath(text) for text in texts],
            device=device,
            threads=threads,
            observer=observer,
            save_every=save_every,
        )
    return Run(result)


def _text(source: Source | None) -> str | None:
    return None if source is None else os.fspath(source)


def _read(model: Source | None) -> tuple[Path, ModelFile]:
    path = find_model(_text(model))
    return path, read_model(path)


@contextmanager
def _observing(
    on_event: Callable[[RunEvent], None] | None, should_stop: Callable[[], bool] | None
) -> Iterator[Observer]:
    """Make the observer of a run; in a notebook one that shows a bar, if none is given."""
    if on_event is None and "ipykernel" in sys.modules:
        with closing(_NotebookBar()) as bar:
            yield Observer(bar.show, should_stop)
    else:
        yield Observer(on_event, should_stop)


class _NotebookBar:
    """Shows a run in a notebook: a bar with the losses."""

    def __init__(self) -> None:
        from tqdm.auto import tqdm

        self._bar: Any = tqdm(unit="step")

    def show(self, event: RunEvent) -> None:
        match event:
            case Started():
                self._bar.set_description_str(event.corpus)
            case Step():
                self._bar.total = event.total
                self._bar.set_postfix({"loss": f"{event.nats_per_char:.3f}"}, refresh=False)
                self._bar.update(event.step - self._bar.n)
            case EvaluationEvent(valid_nats_per_char=float(nats)):
                self._bar.write(f"step {event.step:,}: held-out loss {nats:.3f}")

    def close(self) -> None:
        self._bar.close()
