"""A run put down and taken up again: the same to the last bit, or refused."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from charrnn.checkpoints.checkpoint import Arrays, read_checkpoint, write_checkpoint
from charrnn.checkpoints.model_file import read_model
from charrnn.config.training import ComputeConfig, SourceConfig, TrainConfig
from charrnn.data.batches import Shape, open_streams
from charrnn.data.corpus import Corpus, fit_corpus
from charrnn.errors import CharrnnError, CheckpointError, CorpusError, UsageError
from charrnn.inference.torch_backend import restore_network
from charrnn.kernels import library, torch_calls
from charrnn.training import session, time_budget
from charrnn.training.auto_config import choose_minutes
from charrnn.training.progress import Evaluated, Evaluating, Event, Progress, SaveDue, Step
from charrnn.training.run_config import Request, read_request, read_run
from charrnn.training.session import Session, resume_session
from charrnn.training.time_budget import StepTimer
from charrnn.training.trainer import Trainer
from tests.support.arrangements import ARRANGEMENTS, configure
from tests.support.optimizers import OPTIMIZERS_HERE
from tests.support.sessions import begin

TEXT = "the heron stood in the ford and counted; " * 20
STEPS, EVALUATIONS = 30, 3


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return read_text(tmp_path, TEXT)


@pytest.fixture
def last(tmp_path: Path) -> Path:
    return tmp_path / "last.safetensors"


def read_text(folder: Path, text: str) -> Corpus:
    path = folder / "herons.txt"
    path.write_text(text, encoding="utf-8")
    return fit_corpus([path])


def request(
    *,
    arrangement: str = "gru",
    dropout: float = 0.0,
    device: str = "cpu",
    precision: str = "fp32",
    threads: int | None = 1,
    **train: Any,
) -> Request:
    settings: dict[str, Any] = {"window": 8, "batch": 4, "evaluations": EVALUATIONS, **train}
    if not {"epochs", "steps", "minutes"} & set(train):
        settings["steps"] = STEPS
    return Request(
        SourceConfig(paths=("herons.txt",)),
        configure(arrangement, hidden=16, embedding=8, dropout=dropout),
        TrainConfig(**settings),
        ComputeConfig(device=device, precision=precision, threads=threads),
    )


def tensors_of(session: Session) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in session.trainer.tensors().items()}


def assert_identical(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert set(got) == set(expected)
    for name, tensor in expected.items():
        assert got[name].dtype == tensor.dtype, name
        assert torch.equal(got[name], tensor), name


def untimed(progress: Progress) -> Progress:
    return replace(progress, seconds=0.0, timed_seconds=0.0)


def train_until(trainer: Trainer, reached: Callable[[Trainer, Event], bool]) -> list[Event]:
    """Train, and leave the iteration at the first event for which ``reached`` holds."""
    events = []
    for event in trainer.fit():
        events.append(event)
        if reached(trainer, event):
            return events
    raise AssertionError("the run never came to this moment")


def after_steps(count: int) -> Callable[[Trainer, Event], bool]:
    return lambda trainer, event: isinstance(event, Step) and event.step == count


def losses(events: list[Event]) -> list[tuple[object, ...]]:
    """Return the figures of each evaluation without its times."""
    return [
        (event.step, event.train_nats_per_char, event.valid_nats_per_char, event.improved)
        for event in events
        if isinstance(event, Evaluated)
    ]


def put_down_and_take_up(session: Session, last: Path, corpus: Corpus) -> Session:
    write_checkpoint(last, session.checkpoint())
    return resume_session(read_run(last), corpus)


MOMENTS: dict[str, Callable[[Trainer, Event], bool]] = {
    "in the middle of an epoch": lambda trainer, event: (
        isinstance(event, Step) and event.step == 5 and trainer.progress.window == 5
    ),
    "exactly at an epoch's end": lambda trainer, event: (
        isinstance(event, Step) and (trainer.progress.epoch, trainer.progress.window) == (1, 0)
    ),
    "just before an evaluation": lambda trainer, event: (
        isinstance(event, Step) and event.step == STEPS // EVALUATIONS
    ),
    "in the middle of an evaluation": lambda trainer, event: isinstance(event, Evaluating),
    "just after an evaluation": lambda trainer, event: isinstance(event, Evaluated),
    "just before the last evaluation": after_steps(STEPS),
}


EVERY_MOMENT = [
    (arrangement, dropout, moment)
    for arrangement, dropout in (("lstm", 0.3), ("gru", 0.0))
    for moment in MOMENTS
]
EVERY_ARRANGEMENT = [
    (arrangement, 0.3, "in the middle of an epoch") for arrangement in ARRANGEMENTS
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arrangement", "dropout", "moment"), sorted({*EVERY_MOMENT, *EVERY_ARRANGEMENT})
)
def test_interrupted_training_resumes_to_identical_weights(
    corpus: Corpus, last: Path, arrangement: str, dropout: float, moment: str
) -> None:
    asked = request(arrangement=arrangement, dropout=dropout)
    whole = begin(asked, corpus, "herons")
    expected = losses(list(whole.trainer.fit()))

    first = begin(asked, corpus, "herons")
    before = train_until(first.trainer, MOMENTS[moment])
    second = put_down_and_take_up(first, last, corpus)
    assert not second.trainer.finished
    after = list(second.trainer.fit())

    assert_identical(tensors_of(second), tensors_of(whole))
    assert untimed(second.trainer.progress) == untimed(whole.trainer.progress)
    assert losses(before) + losses(after) == expected


COMPILED = ("lstm", "lstm, coupled", "lstm, capped", "gru", "gru, reset before")
"""The arrangements that the native library runs."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        *({"precision": "bf16", "arrangement": name, "dropout": 0.3} for name in COMPILED),
        {"window": 1},
        {"valid": 0.0, "clip": 0.0},
        {"batch": 1000},
        {"epochs": 2},
        {"clip_value": 1e-3},
        {"arrangement": "batch norm", "valid": 0.0},
        {"arrangement": "stack", "window": 1},
        {"arrangement": "stack", "precision": "bf16"},
        {"arrangement": "pyramid of lstm", "precision": "bf16", "window": 5},
        *({"optimizer": name} for name in OPTIMIZERS_HERE),
        *({"optimizer": name, "arrangement": "batch norm"} for name in OPTIMIZERS_HERE[-2:]),
    ],
    ids=str,
)
def test_interrupted_training_of_other_sorts_resumes_to_identical_weights(
    corpus: Corpus, last: Path, settings: dict[str, Any]
) -> None:
    whole = begin(request(**settings), corpus, "herons")
    assert list(whole.trainer.fit())
    first = begin(request(**settings), corpus, "herons")
    train_until(first.trainer, after_steps(7))
    second = put_down_and_take_up(first, last, corpus)
    assert list(second.trainer.fit())
    assert_identical(tensors_of(second), tensors_of(whole))


def choose_kernels(monkeypatch: pytest.MonkeyPatch, build: str) -> None:
    monkeypatch.setenv(library.CHOICE, build)
    library.load_kernels.cache_clear()
    torch_calls.load_shared_kernels.cache_clear()


@pytest.fixture
def choosing_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Lets a test choose builds of the native library, and leaves no choice behind."""
    yield monkeypatch
    monkeypatch.undo()
    library.load_kernels.cache_clear()
    torch_calls.load_shared_kernels.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("arrangement", COMPILED)
def test_interrupted_training_without_the_library_resumes_to_identical_weights(
    corpus: Corpus,
    last: Path,
    choosing_kernels: pytest.MonkeyPatch,
    arrangement: str,
    precision: str,
) -> None:
    choose_kernels(choosing_kernels, library.NONE)
    asked = request(arrangement=arrangement, precision=precision, dropout=0.3)
    whole = begin(asked, corpus, "herons")
    assert list(whole.trainer.fit())
    first = begin(asked, corpus, "herons")
    train_until(first.trainer, after_steps(7))
    second = put_down_and_take_up(first, last, corpus)
    assert second.notes == ()
    assert list(second.trainer.fit())
    assert_identical(tensors_of(second), tensors_of(whole))


@pytest.mark.skipif(library.load_kernels() is None, reason="there is no native library")
@pytest.mark.parametrize("other", [library.NONE, library.BASELINE])
@pytest.mark.parametrize("arrangement", ["lstm", "gru", "rnn", "stack"])
def test_a_run_goes_on_with_other_kernels_and_says_so(
    corpus: Corpus, last: Path, choosing_kernels: pytest.MonkeyPatch, arrangement: str, other: str
) -> None:
    begun_with = library.load_kernels()
    assert begun_with is not None
    if begun_with.build == other:
        pytest.skip("there is no other build")
    session = begin(request(arrangement=arrangement), corpus, "herons")
    train_until(session.trainer, after_steps(7))
    write_checkpoint(last, session.checkpoint())
    compiled = arrangement != "stack"
    header = read_checkpoint(last).header
    assert header["kernels"] == (begun_with.version if compiled else library.NONE)
    assert resume_session(read_run(last), corpus, session.request).notes == ()

    choose_kernels(choosing_kernels, other)
    taken_up = resume_session(read_run(last), corpus, session.request)
    assert ["native library" in note for note in taken_up.notes] == [True] * compiled
    assert list(taken_up.trainer.fit())
    # What it is taken up with is what it says from then on.
    write_checkpoint(last, taken_up.checkpoint())
    assert resume_session(read_run(last), corpus, session.request).notes == ()


def test_a_run_of_before_there_were_kernels_goes_on_without_a_note(
    corpus: Corpus, saved: Path
) -> None:
    rewrite(saved, lambda header, _: header.pop("kernels"))
    assert resume_session(read_run(saved), corpus).notes == ()


GOES_ON_WITH_1 = "the run used 2 threads, and 1 can be used here: it goes on with 1"


@pytest.mark.parametrize(
    ("usual", "here", "expected", "note"),
    [
        (4, 1, 1, GOES_ON_WITH_1),
        (4, 2, 2, ""),
        (1, 1, 2, ""),
        (None, 1, 1, GOES_ON_WITH_1),
        (None, 8, 2, ""),
        ("many", 8, 2, ""),
        (2, 8, 2, "the run keeps its number of threads, 2; 8 can be used here"),
    ],
)
def test_a_run_goes_on_with_as_many_threads_as_can_be_used(
    monkeypatch: pytest.MonkeyPatch,
    corpus: Corpus,
    saved: Path,
    usual: object,
    here: int,
    expected: int,
    note: str,
) -> None:
    def change(header: dict[str, Any], _: object) -> None:
        header["compute"]["threads"] = 2
        header["usual_threads"] = usual
        if usual is None:
            del header["usual_threads"]

    rewrite(saved, change)
    monkeypatch.setattr(session, "count_usual_threads", lambda: here)
    monkeypatch.setattr(session, "settle_compute", lambda asked, model: asked)
    run = read_run(saved)
    asked = replace(run.request, compute=replace(run.request.compute, threads=None))
    taken_up = resume_session(run, corpus, asked)
    assert taken_up.request.compute.threads == expected
    assert list(taken_up.notes[:1]) == ([note] if note else [])
    given = replace(run.request, compute=replace(run.request.compute, threads=2))
    assert resume_session(run, corpus, given).request.compute.threads == 2


@pytest.mark.slow
def test_training_put_down_after_every_step_ends_with_identical_weights(
    corpus: Corpus, last: Path
) -> None:
    asked = request(dropout=0.3, steps=12)
    whole = begin(asked, corpus, "herons")
    assert list(whole.trainer.fit())
    session = begin(asked, corpus, "herons")
    while not session.trainer.finished:
        # An evaluation that is broken off is made again, so this lets it end.
        train_until(session.trainer, lambda _, event: not isinstance(event, Evaluating))
        session = put_down_and_take_up(session, last, corpus)
    assert_identical(tensors_of(session), tensors_of(whole))


EVERY_BEGINNING = [
    *(("adamw", "gru", steps) for steps in (0, 1, 7, STEPS)),
    *((name, "batch norm", steps) for name in OPTIMIZERS_HERE for steps in (0, 1)),
]


@pytest.mark.parametrize(("optimizer", "arrangement", "steps"), EVERY_BEGINNING)
def test_a_run_comes_back_with_equal_tensors_progress_and_request(
    corpus: Corpus, last: Path, optimizer: str, arrangement: str, steps: int
) -> None:
    asked = request(dropout=0.3, optimizer=optimizer, arrangement=arrangement)
    session = begin(asked, corpus, "herons")
    if steps:
        train_until(session.trainer, after_steps(steps))
    write_checkpoint(last, session.checkpoint())
    found, facts = read_request(last)
    assert (found, facts) == (session.request, session.corpus)
    taken_up = resume_session(read_run(last), corpus, found)
    assert_identical(tensors_of(taken_up), tensors_of(session))
    assert taken_up.trainer.progress == session.trainer.progress
    assert (taken_up.request, taken_up.corpus) == (session.request, session.corpus)
    assert taken_up.alphabet == session.alphabet


def test_a_finished_run_comes_back_finished(corpus: Corpus, last: Path) -> None:
    session = begin(request(steps=3), corpus, "herons")
    assert list(session.trainer.fit())
    taken_up = put_down_and_take_up(session, last, corpus)
    assert taken_up.trainer.finished
    assert list(taken_up.trainer.fit()) == []


def test_a_run_of_minutes_keeps_the_length_that_was_once_measured(
    corpus: Corpus, last: Path
) -> None:
    session = begin(request(minutes=0.002), corpus, "herons")
    assert session.trainer.progress.total is None
    train_until(session.trainer, lambda trainer, event: isinstance(event, SaveDue))
    total = session.trainer.progress.total
    assert total is not None
    taken_up = put_down_and_take_up(session, last, corpus)
    assert taken_up.trainer.schedule.total == taken_up.trainer.progress.total == total


def test_a_run_of_minutes_resumes_to_identical_weights_when_the_machine_changes(
    corpus: Corpus, last: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def duration(timer: StepTimer) -> float:
        return 0.01 if trainer.progress.step < 20 else 0.04

    monkeypatch.setattr(StepTimer, "stop", duration)
    monkeypatch.setattr(time_budget, "_LEAST_CHECK_SECONDS", 0.0)
    whole = begin(request(minutes=0.01), corpus, "herons")
    trainer = whole.trainer
    plans = [p.total for _ in trainer.fit() if (p := trainer.progress).total is not None]
    assert len(set(plans)) > 1
    assert trainer.progress.seconds == pytest.approx(0.6, rel=0.05)

    # A crash soon after each save loses the steps since.
    session, crashes = begin(request(minutes=0.01), corpus, "herons"), set[int]()
    while not session.trainer.finished:
        trainer = session.trainer
        saved = None
        for event in trainer.fit():
            step = trainer.progress.step
            if isinstance(event, SaveDue):
                write_checkpoint(last, session.checkpoint())
                saved = step
            elif saved is not None and step >= saved + 2 and saved not in crashes:
                crashes.add(saved)
                break
        session = resume_session(read_run(last), corpus)
        trainer = session.trainer
    assert len(crashes) > 1
    assert_identical(tensors_of(session), tensors_of(whole))
    assert trainer.progress == whole.trainer.progress


def test_the_last_checkpoint_holds_a_model_to_use(corpus: Corpus, last: Path) -> None:
    session = begin(request(), corpus, "herons")
    train_until(session.trainer, after_steps(5))
    write_checkpoint(last, session.checkpoint())
    expected = session.trainer.train_state.average.model.state_dict()
    for name, weight in read_model(last).weights.items():
        np.testing.assert_array_equal(weight, expected[name].numpy())


def test_a_model_file_holds_the_averaged_weights_and_what_they_scored(corpus: Corpus) -> None:
    session = begin(request(), corpus, "herons")
    events = train_until(session.trainer, lambda _, event: isinstance(event, Evaluated))
    evaluation = events[-1]
    assert isinstance(evaluation, Evaluated)
    kept = session.model_file(evaluation)
    expected = session.trainer.train_state.average.model.state_dict()
    assert_identical(dict(restore_network(kept).state_dict()), expected)
    assert kept.corpus == session.corpus
    assert kept.scores is not None
    assert kept.scores.step == evaluation.step == STEPS // EVALUATIONS
    assert kept.scores.valid_nats_per_char == evaluation.valid_nats_per_char


def test_what_the_request_leaves_open_is_written_down(corpus: Corpus, last: Path) -> None:
    asked = request(steps=None, device="auto", precision="auto", threads=None)
    session = begin(asked, corpus, "herons")
    write_checkpoint(last, session.checkpoint())
    found, _ = read_request(last)
    assert found == session.request
    train_ids, _ = corpus.split(asked.train.valid)
    assert found.train == replace(asked.train, minutes=choose_minutes(len(train_ids)))
    assert found.compute.device in ("cpu", "cuda", "mps")
    assert found.compute.precision in ("fp32", "bf16")
    assert found.compute.threads == torch.get_num_threads()


def test_what_the_request_settles_is_kept(corpus: Corpus) -> None:
    asked = request(arrangement="lstm", precision="bf16", threads=1, seed=7, steps=9)
    assert begin(asked, corpus, "herons").request == asked


def test_a_length_in_epochs_becomes_steps_without_changing_the_request(corpus: Corpus) -> None:
    session = begin(request(epochs=3), corpus, "herons")
    assert session.request.train.steps is None
    assert session.trainer.progress.total == 3 * session.trainer.streams.windows_per_epoch


def test_a_text_too_short_for_the_request_is_fitted_and_said_so(tmp_path: Path, last: Path) -> None:
    corpus = read_text(tmp_path, "the heron")
    session = begin(request(steps=2), corpus, "herons")
    assert (session.request.train.batch, session.request.train.window) == (1, 7)
    assert "a batch of 1 stream in windows of 7, not of 4 in windows of 8" in session.notes[0]
    write_checkpoint(last, session.checkpoint())
    assert read_request(last)[0] == session.request
    assert resume_session(read_run(last), corpus, session.request).trainer.streams.shape.window == 7


def test_the_seed_alone_makes_the_start(corpus: Corpus) -> None:
    one, same, other = (
        tensors_of(begin(request(dropout=0.3, seed=seed), corpus, "herons")) for seed in (1, 1, 2)
    )
    assert_identical(same, one)
    assert not torch.equal(other["model.head.weight"], one["model.head.weight"])
    assert not torch.equal(other["random.masks"], one["random.masks"])


@pytest.fixture
def saved(corpus: Corpus, last: Path) -> Path:
    """The last checkpoint of a run in the middle."""
    session = begin(request(dropout=0.3), corpus, "herons")
    train_until(session.trainer, after_steps(7))
    write_checkpoint(last, session.checkpoint())
    return last


@pytest.mark.parametrize("text", [TEXT + "x", TEXT[:-1], TEXT.replace("ford", "food"), TEXT * 2])
def test_a_changed_corpus_is_refused(tmp_path: Path, saved: Path, text: str) -> None:
    asked, _ = read_request(saved)
    with pytest.raises(CorpusError, match="herons: the text has changed") as caught:
        resume_session(read_run(saved), read_text(tmp_path, text), asked)
    assert caught.value.exit_code == 3
    assert [remedy.means for remedy in caught.value.remedies] == ["", "train"]


def test_a_model_file_is_refused_with_a_hint_at_the_run(corpus: Corpus, tmp_path: Path) -> None:
    session = begin(request(steps=1), corpus, "herons")
    evaluation = next(event for event in session.trainer.fit() if isinstance(event, Evaluated))
    best = tmp_path / "best.safetensors"
    write_checkpoint(best, session.model_file(evaluation).to_checkpoint())
    attempts: list[Callable[[], object]] = [
        lambda: read_request(best),
        lambda: resume_session(read_run(best), corpus, session.request),
    ]
    for attempt in attempts:
        with pytest.raises(CheckpointError, match=r"a trained model.*last\.safetensors"):
            attempt()


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without an accelerator."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_a_device_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^device is .*tpu.*cpu"):
        request(device="tpu")


@pytest.mark.parametrize("device", ["cuda", "mps"])
@pytest.mark.usefixtures("bare_machine")
def test_a_device_that_the_machine_lacks_is_refused_at_both_ends(
    corpus: Corpus, saved: Path, device: str
) -> None:
    asked = request(device=device)
    with pytest.raises(UsageError, match=f"{device}.*available: cpu") as caught:
        begin(asked, corpus, "herons")
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match=f"{device}.*available: cpu"):
        resume_session(read_run(saved), corpus, asked)


@pytest.mark.usefixtures("bare_machine")
def test_a_run_goes_on_on_another_device_than_it_was_begun_on(corpus: Corpus, saved: Path) -> None:
    rewrite(saved, lambda header, _: header["compute"].update(device="cuda"))
    asked, _ = read_request(saved)
    moved = replace(asked, compute=replace(asked.compute, device="cpu"))
    assert resume_session(
        read_run(saved), corpus, moved
    ).trainer.train_state.step.compute.device == torch.device("cpu")


def rewrite(path: Path, change: Callable[[dict[str, Any], Arrays], object]) -> None:
    """Change what a checkpoint holds, its digest included, as an attacker would."""
    checkpoint = read_checkpoint(path)
    change(checkpoint.header, checkpoint.arrays)
    write_checkpoint(path, checkpoint)


def assert_refused(path: Path, corpus: Corpus) -> None:
    # What was asked is read apart, as the command line does; either may find the fault.
    with pytest.raises(CheckpointError) as caught:
        resume_session(read_run(path), corpus)
    assert caught.value.exit_code == 4
    assert str(path) in str(caught.value)


BIAS = "head.bias"
MOMENTUM = f"optimizer.exp_avg.{BIAS}"
COUNT = f"optimizer.step.{BIAS}"


def dropping(prefix: str) -> Callable[[Arrays], None]:
    def drop(arrays: Arrays) -> None:
        for name in [name for name in arrays if name.startswith(prefix)]:
            del arrays[name]

    return drop


def setting(name: str, value: Any) -> Callable[[Arrays], None]:
    return lambda arrays: arrays.update({name: np.asarray(value)})


def cast(name: str, dtype: type) -> Callable[[Arrays], None]:
    return lambda arrays: arrays.update({name: arrays[name].astype(dtype)})


ONE = np.ones(1, np.float32)
FAULTS: dict[str, Callable[[Arrays], None]] = {
    "no tensors": dropping(""),
    "no weights": dropping("model."),
    "no average": dropping("average."),
    "no optimizer": dropping("optimizer."),
    "no states": dropping("state."),
    "no random state": dropping("random."),
    "one weight missing": dropping(f"model.{BIAS}"),
    "one weight misshapen": setting(f"model.{BIAS}", ONE),
    "one average misshapen": setting(f"average.{BIAS}", ONE),
    "a weight too many": setting("model.odd", ONE),
    "one state missing": dropping("state.1.0"),
    "one state misshapen": setting("state.1.0", ONE),
    "one momentum missing": dropping(MOMENTUM),
    "one momentum misshapen": setting(MOMENTUM, ONE),
    "one momentum a scalar": setting(MOMENTUM, np.float32(1)),
    "one momentum in float64": cast(MOMENTUM, np.float64),
    "one momentum in bytes": cast(MOMENTUM, np.uint8),
    "one count missing": dropping(COUNT),
    "one count misshapen": setting(COUNT, ONE),
    "one count in bytes": cast(COUNT, np.uint8),
    "a parameter too many": setting("optimizer.step.odd", ONE),
    "random state too short": setting("random.masks", np.ones(3, np.uint8)),
    "random state of zeros": setting("random.masks", np.zeros(5056, np.uint8)),
    "random state in floats": cast("random.masks", np.float32),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_tensors_that_are_not_the_runs_are_refused_before_training(
    corpus: Corpus, saved: Path, fault: str
) -> None:
    rewrite(saved, lambda _, arrays: FAULTS[fault](arrays))
    assert_refused(saved, corpus)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", "7"),
        ("step", 7.5),
        ("step", None),
        ("step", -1),
        ("epoch", -1),
        ("window", -1),
        ("window", 10**6),
        ("windows", -1),
        ("odd", 1),
    ],
)
def test_progress_that_no_run_can_have_made_is_refused_before_training(
    corpus: Corpus, saved: Path, name: str, value: object
) -> None:
    rewrite(saved, lambda header, _: header["progress"].update({name: value}))
    assert_refused(saved, corpus)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("model", "hidden", 32),
        ("model", "layers", 10**9),
        ("model", "cell", "lstm"),
        ("train", "batch", 3),
        ("train", "window", 0),
        ("train", "epochs", 3),
        ("train", "learning_rate", "fast"),
        ("train", "learning_rate", None),
        ("train", "weight_decay", None),
        ("train", "optimizer", None),
        ("train", "optimizer", "lion"),
        ("train", "optimizer", "sgd"),
        ("train", "optimizer", "adagrad"),
        ("train", "clip", None),
        ("train", "clip_value", 1.0),
        ("train", "clip_value", -1.0),
        ("model", "gru_reset", None),
        ("model", "gru_reset", "before"),
        ("model", "pyramid", 1),
        ("model", "norm", "batch"),
        ("compute", "device", "tpu"),
        ("compute", "threads", 10**9),
        ("source", "paths", [1]),
        ("alphabet", "characters", "abc"),
        ("alphabet", "characters", "".join(sorted({*TEXT, "z"} - {"t"}))),
        ("corpus", "digest", 0),
    ],
)
def test_settings_that_are_not_the_runs_are_refused(
    corpus: Corpus, saved: Path, part: str, name: str, value: object
) -> None:
    rewrite(saved, lambda header, _: header[part].update({name: value}))
    assert_refused(saved, corpus)


def test_states_are_held_against_their_shapes_before_room_is_made_for_them(
    corpus: Corpus, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **named: object) -> Trainer:
        raise AssertionError("room was made")

    monkeypatch.setattr(session, "build_trainer", refuse)
    with pytest.raises(AssertionError, match="room was made"):
        resume_session(read_run(saved), corpus)
    rewrite(saved, lambda header, _: header["train"].update(batch=3))
    assert_refused(saved, corpus)


@pytest.mark.parametrize("exponent", [13, 17, 400])
def test_a_run_that_has_gone_on_for_ever_is_refused(
    corpus: Corpus, saved: Path, exponent: int
) -> None:
    progress = {**Progress().to_dict(), "epoch": 10**exponent}

    def age(header: dict[str, Any], _: Arrays) -> None:
        windows = open_streams(corpus.split(0.1)[0], Shape(4, 8), seed=1).windows_per_epoch
        header["train"].update(steps=None, minutes=1.0)
        header["progress"] = {**progress, "step": windows * 10**exponent}

    rewrite(saved, age)
    assert_refused(saved, corpus)


@pytest.mark.parametrize("part", ["model", "average"])
@pytest.mark.parametrize("name", ["running_mean", "running_var"])
def test_running_statistics_are_part_of_a_run(
    corpus: Corpus, last: Path, part: str, name: str
) -> None:
    session = begin(request(arrangement="batch norm"), corpus, "herons")
    train_until(session.trainer, after_steps(3))
    write_checkpoint(last, session.checkpoint())
    rewrite(last, lambda _, arrays: dropping(f"{part}.cells.1.input_norm.{name}")(arrays))
    assert_refused(last, corpus)


@pytest.mark.parametrize("phase", [0.5, -1, 2, 7, 1e9, 1e30, -1e30])
def test_a_phase_that_no_pyramid_can_be_in_does_no_harm(
    corpus: Corpus, last: Path, phase: float
) -> None:
    session = begin(request(arrangement="pyramid of gru"), corpus, "herons")
    train_until(session.trainer, after_steps(3))
    write_checkpoint(last, session.checkpoint())
    shape = session.trainer.train_state.states[1][-1].shape
    odd = np.full(shape, phase, dtype=np.float32)
    rewrite(last, lambda _, arrays: arrays.update({"state.1.2": odd}))
    try:
        assert list(resume_session(read_run(last), corpus).trainer.fit())
    except CheckpointError:
        return


@pytest.mark.parametrize(
    ("arrangement", "window", "said"),
    [
        ("pyramid of lstm", 3, "^pyramid is 2, .* every 4 .* of 3 "),
        ("pyramid of gru", 1, "every 2"),
    ],
)
def test_a_slow_layer_that_would_never_run_is_refused(
    corpus: Corpus, arrangement: str, window: int, said: str
) -> None:
    with pytest.raises(UsageError, match=rf"{said}.*\n.*\(window\)"):
        begin(request(arrangement=arrangement, window=window), corpus, "herons")
    assert begin(request(arrangement=arrangement, window=window + 1), corpus, "herons")


def test_a_text_too_short_for_a_slow_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^pyramid is 2"):
        begin(request(arrangement="pyramid of lstm"), read_text(tmp_path, "heron"), "herons")


@pytest.mark.parametrize(
    "part", ["model", "alphabet", "corpus", "source", "train", "compute", "progress"]
)
def test_a_header_without_a_part_is_refused(corpus: Corpus, saved: Path, part: str) -> None:
    rewrite(saved, lambda header, _: header.pop(part))
    assert_refused(saved, corpus)


def test_a_shape_that_is_not_the_files_is_refused_before_anything_is_allocated(
    corpus: Corpus, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = torch.nn.init.uniform_

    def guarded(tensor: Tensor, *given: Any, **named: Any) -> Tensor:
        assert tensor.is_meta or tensor.numel() < 10**6
        return fill(tensor, *given, **named)

    monkeypatch.setattr(torch.nn.init, "uniform_", guarded)
    rewrite(saved, lambda header, _: header["model"].update(layers=64, hidden=1024))
    assert_refused(saved, corpus)


def test_a_damaged_checkpoint_is_refused(corpus: Corpus, saved: Path) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert_refused(saved, corpus)


def test_a_session_needs_two_characters_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(CharrnnError, match="at least 2") as caught:
        begin(request(valid=0.5), read_text(tmp_path, "ab"), "ab")
    assert caught.value.exit_code == 3


def test_batch_normalization_of_single_characters_is_refused(corpus: Corpus) -> None:
    asked = request(arrangement="batch norm", window=1, batch=1)
    with pytest.raises(UsageError, match=r"^norm is batch, which takes means over several"):
        begin(asked, corpus, "herons")
