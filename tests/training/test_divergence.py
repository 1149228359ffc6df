"""A run that diverges stops and says what might help, or goes back; its file says where to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.checkpoints.checkpoint import Arrays, read_checkpoint, write_checkpoint
from charrnn.config.model import ModelConfig
from charrnn.config.training import MOST_HALVINGS, ComputeConfig, SourceConfig, TrainConfig
from charrnn.data.corpus import Corpus, fit_corpus
from charrnn.errors import CheckpointError, DivergedError
from charrnn.training.progress import Evaluated, Event, RolledBack, SaveDue, Step
from charrnn.training.run_config import Request, read_run
from charrnn.training.session import Session, resume_session
from tests.robustness.faults import Fault, injected
from tests.support.optimizers import OPTIMIZERS_HERE
from tests.support.sessions import begin

STEPS = 12
STEPS_PER_EVALUATION = 4


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    path = tmp_path / "herons.txt"
    path.write_text("the heron stood in the ford and counted; " * 20, encoding="utf-8")
    return fit_corpus([path])


def start(corpus: Corpus, on_divergence: str = "rollback", **settings: Any) -> Session:
    train = {"steps": STEPS, "evaluations": STEPS // STEPS_PER_EVALUATION, **settings}
    request = Request(
        SourceConfig(paths=("herons.txt",)),
        ModelConfig(cell="gru", layers=1, hidden=8, embedding=4, dropout=0.3),
        TrainConfig(window=8, batch=4, on_divergence=on_divergence, **train),
        ComputeConfig(device="cpu", precision="fp32", threads=1),
    )
    return begin(request, corpus, "herons")


@contextmanager
def faulty(step: int, times: int = 1, kind: str = "loss") -> Iterator[None]:
    with injected(Fault(kind, "nan", step, times, place=0)):
        yield


def clone(session: Session) -> dict[str, torch.Tensor]:
    tensors = session.trainer.train_state.tensors()
    return {name: tensor.clone() for name, tensor in tensors.items()}


def going_back(events: list[Event]) -> list[RolledBack]:
    return [event for event in events if isinstance(event, RolledBack)]


@pytest.mark.parametrize(("step", "settings"), [(0, ["init_gain"]), (5, ["learning_rate", "clip"])])
def test_a_run_that_stops_says_what_might_help(
    corpus: Corpus, step: int, settings: list[str]
) -> None:
    session = start(corpus, "stop")
    with faulty(step), pytest.raises(DivergedError) as caught:
        list(session.trainer.fit())
    assert [remedy.means for remedy in caught.value.remedies] == settings
    assert f"at step {step + 1} " in str(caught.value)
    assert session.trainer.progress.step == step


def test_a_run_goes_back_to_its_last_evaluation_at_half_the_rate(corpus: Corpus) -> None:
    session = start(corpus)
    with faulty(6, times=2):
        events = list(session.trainer.fit())
    assert [(e.diverged_step, e.step, e.halvings) for e in going_back(events)] == [
        (6, 4, 1),
        (6, 4, 2),
    ]
    assert all(isinstance(events[events.index(e) + 1], SaveDue) for e in going_back(events))
    rate = session.trainer.schedule.learning_rate
    steps = [(e.step, e.learning_rate) for e in events if isinstance(e, Step)]
    once = [(step, rate(step - 1) / 1) for step in range(1, 7)]
    twice = [(step, rate(step - 1) / 2) for step in (5, 6)]
    assert steps == [*once, *twice, *((step, rate(step - 1) / 4) for step in range(5, STEPS + 1))]
    assert [e.step for e in events if isinstance(e, Evaluated)] == [4, 8, 12]
    assert session.trainer.finished


@pytest.mark.parametrize("name", OPTIMIZERS_HERE)
def test_before_the_first_evaluation_it_goes_back_to_the_beginning(
    corpus: Corpus, name: str
) -> None:
    session = start(corpus, optimizer=name)
    fresh = clone(session)
    with faulty(3):
        for event in session.trainer.fit():
            if isinstance(event, RolledBack):
                break
    assert session.trainer.progress.step == 0
    now = clone(session)
    assert now.keys() == fresh.keys()
    assert all(torch.equal(now[tensor], fresh[tensor]) for tensor in fresh)


def test_it_gives_up_after_three(corpus: Corpus) -> None:
    session = start(corpus)
    events: list[Event] = []
    with faulty(6, times=99), pytest.raises(DivergedError, match="3 times did not help"):
        events.extend(session.trainer.fit())
    assert session.trainer.progress.halvings == MOST_HALVINGS == 3


def test_weights_that_are_not_finite_are_found_by_the_next_evaluation(corpus: Corpus) -> None:
    session = start(corpus, valid=0.0)
    session.trainer.train_state.learn = lambda *_, **__: (1.0, 1.0)  # type: ignore[method-assign]
    with faulty(1, kind="weights"):
        events = list(session.trainer.fit())
    (back,) = going_back(events)
    assert (back.diverged_step, back.step) == (STEPS_PER_EVALUATION, 0)
    assert "not finite" in back.reason


def test_whoever_cannot_save_can_have_it_go_back(corpus: Corpus) -> None:
    session = start(corpus)
    with faulty(5, kind="weights"):
        for event in session.trainer.fit():
            if isinstance(event, Step) and event.step == 6:
                break
    with pytest.raises(DivergedError) as caught:
        session.checkpoint()
    assert session.trainer.roll_back(caught.value).step == STEPS_PER_EVALUATION
    assert session.checkpoint().header["progress"]["halvings"] == 1


def test_the_length_once_measured_and_the_time_spent_are_kept(corpus: Corpus) -> None:
    session = start(corpus, steps=None, minutes=0.01)
    with faulty(5):
        for event in session.trainer.fit():
            if isinstance(event, RolledBack):
                break
            total, seconds = session.trainer.progress.total, session.trainer.progress.seconds
    assert session.trainer.progress.total == session.trainer.schedule.total == total
    assert session.trainer.progress.seconds == seconds > 0
    assert (session.trainer.progress.step, session.trainer.progress.timed_steps) == (0, 0)


@pytest.fixture
def last(corpus: Corpus, tmp_path: Path) -> Path:
    """The checkpoint of a run between two evaluations, gone back once."""
    session = start(corpus)
    with faulty(6):
        for event in session.trainer.fit():
            if isinstance(event, Step) and event.step == 6 and session.trainer.progress.halvings:
                break
    path = tmp_path / "last.safetensors"
    write_checkpoint(path, session.checkpoint())
    return path


def test_a_run_that_was_put_down_knows_where_it_would_go_back_to(
    corpus: Corpus, last: Path
) -> None:
    session = resume_session(read_run(last), corpus)
    good = session.trainer.good
    assert good is not None
    assert (good.progress.step, good.progress.halvings) == (4, 0)
    assert session.trainer.progress.halvings == 1
    arrays = read_checkpoint(last).arrays
    for name, tensor in session.trainer.tensors().items():
        np.testing.assert_array_equal(tensor.numpy(), arrays[name])


Header = dict[str, Any]
LIES: dict[str, Callable[[Header, Arrays], object]] = {
    "nowhere to go back to": lambda header, _: header.update(good=None),
    "no telling": lambda header, _: header.pop("good"),
    "not a place": lambda header, _: header.update(good=[4]),
    "an odd place": lambda header, _: header["good"].update(odd=1),
    "another place": lambda header, _: header["good"].update(step=3, window=3),
    "later than it is": lambda header, _: header["good"].update(step=8, window=8),
    "halved before it began": lambda header, _: header["progress"].update(halvings=-1),
    "halved too often": lambda header, _: header["progress"].update(halvings=4),
    "halved by half": lambda header, _: header["progress"].update(halvings=0.5),
    "one that stops": lambda header, _: header["train"].update(on_divergence="stop"),
    "another policy": lambda header, _: header["train"].update(on_divergence="hope"),
    "no tensors to go back to": lambda _, arrays: [
        arrays.pop(name) for name in list(arrays) if name.startswith("good.")
    ],
    "a tensor less": lambda _, arrays: arrays.pop("good.model.head.bias"),
    "a tensor more": lambda _, arrays: arrays.update({"good.odd": np.ones(1, np.float32)}),
    "a tensor misshapen": lambda _, arrays: arrays.update(
        {"good.average.head.bias": np.ones(1, np.float32)}
    ),
    "a momentum less": lambda _, arrays: arrays.pop("good.optimizer.exp_avg.head.bias"),
    "no random state": lambda _, arrays: arrays.pop("good.random.masks"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_about_where_to_go_back_to_is_refused(
    corpus: Corpus, last: Path, lie: str
) -> None:
    checkpoint = read_checkpoint(last)
    LIES[lie](checkpoint.header, checkpoint.arrays)
    write_checkpoint(last, checkpoint)
    with pytest.raises(CheckpointError):
        resume_session(read_run(last), corpus)


def test_a_run_that_stops_keeps_nothing_to_go_back_to(corpus: Corpus) -> None:
    checkpoint = start(corpus, "stop").checkpoint()
    assert checkpoint.header["good"] is None
    assert not any(name.startswith("good.") for name in checkpoint.arrays)


@pytest.mark.slow
def test_the_deepest_run_that_goes_back_can_be_taken_up(corpus: Corpus, tmp_path: Path) -> None:
    request = Request(
        SourceConfig(paths=("herons.txt",)),
        ModelConfig(cell="stack", layers=64, hidden=2, embedding=2, stack_noop=True),
        TrainConfig(window=4, batch=2, steps=2, evaluations=2, on_divergence="rollback"),
        ComputeConfig(device="cpu", precision="fp32", threads=1),
    )
    session = begin(request, corpus, "herons")
    assert list(session.trainer.fit())
    write_checkpoint(tmp_path / "last", session.checkpoint())
    assert resume_session(read_run(tmp_path / "last"), corpus, request).trainer.finished
