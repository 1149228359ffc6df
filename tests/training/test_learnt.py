"""Held-out text that a base model was trained on: it is told, and only then."""

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoints.checkpoint import write_checkpoint
from charrnn.checkpoints.model_file import Learnt, ModelFile
from charrnn.data.corpus import Corpus, SplitCorpus, fit_corpus
from charrnn.training.fine_tuning import transfer_model
from charrnn.training.learnt import trace_learnt
from charrnn.training.run_config import read_run
from charrnn.training.session import resume_session
from tests.support.networks import arrays_of
from tests.support.sessions import begin
from tests.training.test_session import request

LETTERS = np.array(list("abcdefghij  " * 10 + "\n"))


def make_text(seed: int, length: int = 6000) -> str:
    return "".join(np.random.default_rng(seed).choice(LETTERS, length))


TEXT = make_text(1)
TWO_EQUAL = base64.b64encode(bytes(16)).decode()


def read(folder: Path, text: str, records: str | None = None) -> Corpus:
    path = folder / "text.txt"
    path.write_text(text, encoding="utf-8")
    return fit_corpus([path], records=records)


def learn(corpus: Corpus, valid: float, base: ModelFile | None = None) -> ModelFile:
    """A model of a run on a text, whose weights do not matter."""
    start = transfer_model(Path("base.safetensors"), base, corpus) if base else None
    split = SplitCorpus.of(start.corpus if start else corpus, valid)
    session = begin(request(valid=valid), split.corpus, "it", start)
    assert session.learnt == trace_learnt(split, valid, start)
    weights = arrays_of(session.trainer.train_state.model)
    return ModelFile(
        session.request.model,
        session.alphabet,
        session.corpus,
        None,
        weights,
        learnt=session.learnt,
    )


def share(
    folder: Path, base: ModelFile, text: str, valid: float, records: str | None = None
) -> float:
    return learn(read(folder, text, records), valid, base).held_out_learnt


@pytest.fixture
def base(tmp_path: Path) -> ModelFile:
    return learn(read(tmp_path, TEXT), 0.1)


def test_the_same_text_split_otherwise(tmp_path: Path, base: ModelFile) -> None:
    assert base.held_out_learnt == 0
    assert share(tmp_path, base, TEXT, 0.1) == 0
    assert share(tmp_path, base, TEXT, 0.05) == 0
    assert share(tmp_path, base, TEXT, 0.0) == 0
    assert share(tmp_path, base, TEXT, 0.3) == pytest.approx(2 / 3, abs=1e-3)
    everything = learn(read(tmp_path, TEXT), 0.0)
    assert share(tmp_path, everything, TEXT, 0.1) == 1


def test_a_text_with_something_added_is_told_exactly(tmp_path: Path, base: ModelFile) -> None:
    without = replace(base, learnt=None)
    for added in (TEXT + make_text(2, 600), make_text(2, 600) + TEXT):
        assert share(tmp_path, without, added, 0.01) == 0
        expected = 0.7 if added.startswith(TEXT) else 0.8
        assert share(tmp_path, without, added, 0.5) == pytest.approx(expected, abs=0.12)
        assert share(tmp_path, base, added, 0.5) == share(tmp_path, without, added, 0.5)


@pytest.mark.parametrize(
    "changed",
    [
        TEXT.replace("abc", "cba"),
        TEXT[:3000] + make_text(2, 100) + TEXT[3000:],
        TEXT[1000:5000],
        TEXT[3000:5000] + TEXT[:3000],
        TEXT.replace("\n", "\r\n\n"),
    ],
)
def test_an_edited_text_is_told_by_its_spans(tmp_path: Path, base: ModelFile, changed: str) -> None:
    assert share(tmp_path, base, changed, 0.5) > 0.5
    assert share(tmp_path, replace(base, learnt=None), changed, 0.5) == 0


def test_another_text_is_new(tmp_path: Path, base: ModelFile) -> None:
    assert share(tmp_path, base, make_text(2), 0.3) == 0
    log = "INFO request from 10.0.0.1 served in time\n" * 40
    first = learn(read(tmp_path, log + make_text(3, 2000)), 0.1)
    assert share(tmp_path, first, log + make_text(4, 2000) + log, 0.4) == 0


def test_chains_remember_what_every_base_has_learnt(tmp_path: Path, base: ModelFile) -> None:
    second = learn(read(tmp_path, make_text(2)), 0.1, base)
    assert second.held_out_learnt == 0
    assert share(tmp_path, second, TEXT, 0.5) > 0.7
    # One run has read the held-out text of its own, and another holds the same out.
    marked = learn(read(tmp_path, TEXT), 0.3, base)
    assert share(tmp_path, marked, TEXT, 0.3) == pytest.approx(2 / 3, abs=1e-3)


def test_records_are_told_in_any_order(tmp_path: Path) -> None:
    records = [line for line in TEXT.split(" ") if line.strip("\n")]
    base = learn(read(tmp_path, " ".join(records), " "), 0.1)
    assert share(tmp_path, base, " ".join(records), 0.1, " ") == 0
    assert share(tmp_path, base, " ".join(records), 0.3, " ") == pytest.approx(2 / 3, abs=0.01)
    assert share(tmp_path, base, " ".join(records[::-1]), 0.2, " ") > 0.9


def test_it_is_said_at_the_beginning_and_when_the_run_is_resumed(
    tmp_path: Path, base: ModelFile
) -> None:
    corpus = read(tmp_path, TEXT)
    start = transfer_model(Path("base.safetensors"), base, corpus)
    session = begin(request(valid=0.3), start.corpus, "it", start)
    (said,) = [note for note in session.notes if "not new" in note]
    assert "trained on about 67% of it" in said
    last = tmp_path / "last.safetensors"
    write_checkpoint(last, session.checkpoint())
    resumed = resume_session(read_run(last), corpus)
    assert resumed.learnt == session.learnt
    assert said in resumed.notes


@pytest.mark.parametrize(
    ("spans", "held_out"),
    [
        ("", 2.0),
        ("", -0.1),
        ("AAA", 0.0),
        ("AAAA", 0.0),
        ("\u00e9", 0.0),
        ("AAAAAAAAAAA=" * 2, 0.0),
    ],
)
def test_what_is_no_sketch_is_refused(spans: str, held_out: float) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Learnt(spans, held_out)
