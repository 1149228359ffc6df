"""A model that goes on with another text: kept rows, new rows, the loss at the start, resuming."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.checkpoints.checkpoint import Arrays, read_checkpoint, write_checkpoint
from charrnn.checkpoints.model_file import CorpusFacts, ModelFile
from charrnn.data.alphabet import RECORD_END, Alphabet
from charrnn.data.corpus import Corpus, fit_corpus
from charrnn.data.encoded_text import ContinuousText
from charrnn.errors import CheckpointError, UsageError
from charrnn.evaluation.evaluate import evaluate
from charrnn.inference.torch_backend import TorchBackend, restore_network
from charrnn.training.fine_tuning import Transfer, transfer_model
from charrnn.training.progress import Evaluated, Step
from charrnn.training.run_config import read_run
from charrnn.training.session import Session, resume_session
from tests.support.sessions import begin
from tests.training.test_session import STEPS, request

OLD = "the heron stood in the ford and counted; " * 20
NEW = "the hérön flew; it had counted frogs, not 9. " * 15

HERE = Path("old.safetensors")


def read(folder: Path, text: str, encoding: str | None = "utf-8") -> Corpus:
    path = folder / "text.txt"
    path.write_text(text, encoding="utf-8")
    return fit_corpus([path], encoding)


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    """A model that has learned OLD for a little while."""
    session = begin(request(), read(tmp_path, OLD), "old")
    return list(model_files(session))[-1]


def model_files(session: Session) -> list[ModelFile]:
    return [session.model_file(e) for e in session.trainer.fit() if isinstance(e, Evaluated)]


def rows_of(alphabet: Alphabet, characters: str) -> list[int]:
    return [alphabet.characters.index(character) for character in characters]


def start(model: ModelFile, folder: Path, text: str = NEW) -> Transfer:
    return transfer_model(HERE, model, read(folder, text))


def continued(model: ModelFile, folder: Path, text: str = NEW) -> Session:
    grown = start(model, folder, text)
    return begin(request(), grown.corpus, "new", grown)


def test_what_is_known_stays_and_what_is_new_is_added(model: ModelFile, tmp_path: Path) -> None:
    grown = start(model, tmp_path)
    both = grown.corpus.alphabet
    assert set(grown.added) == set(NEW) - set(OLD)
    assert set(grown.unused) == set(OLD) - set(NEW)
    assert set(grown.kept) == set(OLD) & set(NEW)
    assert both == Alphabet.of(OLD + NEW)
    rows = rows_of(both, model.alphabet.characters)
    for name, array in model.weights.items():
        wider = grown.weights[name]
        if name in ("embedding.weight", "head.weight", "head.bias"):
            assert len(wider) == len(both)
            wider = wider[rows]
        np.testing.assert_array_equal(wider, array)
    assert grown.corpus.alphabet.decode(grown.corpus.ids) == NEW


def test_new_characters_are_named_in_one_line(model: ModelFile, tmp_path: Path) -> None:
    said = start(model, tmp_path, NEW + "\r\x1b\v").describe()
    assert all(mark in said for mark in "␍␛␋")
    assert said.isprintable()


@pytest.mark.parametrize("frequent", [1, 5, 200])
def test_known_characters_cost_no_more_than_the_new_ones_share(
    model: ModelFile, tmp_path: Path, frequent: int
) -> None:
    grown = start(model, tmp_path, NEW + "ß" * frequent + "ж" * frequent)
    both = grown.corpus.alphabet
    shared = "the ford counted the heron and stood in it"
    before = TorchBackend(restore_network(model))
    after = TorchBackend(restore_network(replace(model, alphabet=both, weights=grown.weights)))
    counts = np.bincount(grown.corpus.ids, minlength=len(both))
    share = counts[rows_of(both, grown.added)].sum() / len(grown.corpus)
    for text in (shared, shared[::-1]):
        known, grown_text = (ContinuousText(one.encode(text)) for one in (model.alphabet, both))
        cost = evaluate(before, known, model.alphabet).nats_per_char
        now = evaluate(after, grown_text, both).nats_per_char
        assert cost < now <= cost + np.log1p(share) + 1e-6


def test_a_text_without_new_characters_costs_exactly_what_it_did(
    model: ModelFile, tmp_path: Path
) -> None:
    grown = start(model, tmp_path, "the ford stood and counted the heron " * 9)
    assert grown.added == ""
    assert grown.corpus.alphabet == model.alphabet
    for name, array in model.weights.items():
        np.testing.assert_array_equal(grown.weights[name], array)


def test_the_model_is_evaluated_before_the_first_step_and_kept_if_nothing_is_better(
    model: ModelFile, tmp_path: Path
) -> None:
    session = continued(model, tmp_path)
    grown = start(model, tmp_path)
    events = list(session.trainer.fit())
    first = next(event for event in events if isinstance(event, Evaluated))
    _, held_out = grown.corpus.split(0.1)
    network = restore_network(replace(model, alphabet=grown.corpus.alphabet, weights=grown.weights))
    expected = evaluate(TorchBackend(network), held_out, grown.corpus.alphabet).nats_per_char
    assert (first.step, first.improved, first.train_nats_per_char) == (0, True, None)
    assert first.valid_nats_per_char == pytest.approx(expected, abs=1e-6)
    assert not any(isinstance(event, Step) for event in events[: events.index(first)])
    best = session.trainer.progress.best_nats_per_char
    assert best is not None
    assert best <= expected + 1e-6


def test_a_model_that_training_only_spoils_remains_the_best(
    model: ModelFile, tmp_path: Path
) -> None:
    grown = start(model, tmp_path, OLD)
    wild = request(learning_rate=1.0, clip=1e6)
    session = begin(wild, grown.corpus, "new", grown)
    list(session.trainer.fit())
    assert session.trainer.progress.best_step == 0


@pytest.mark.parametrize("stop_after", [0, 1, 7])
def test_a_run_that_is_put_down_goes_on_without_the_model(
    model: ModelFile, tmp_path: Path, stop_after: int
) -> None:
    whole = continued(model, tmp_path)
    list(whole.trainer.fit())
    session = continued(model, tmp_path)
    corpus = read(tmp_path, NEW)
    last = tmp_path / "last.safetensors"
    if stop_after:
        for _ in zip(range(3 + stop_after), session.trainer.fit(), strict=False):
            pass
    write_checkpoint(last, session.checkpoint())
    resumed = resume_session(read_run(last), corpus, session.request)
    assert resumed.origin == session.origin
    list(resumed.trainer.fit())
    assert resumed.trainer.progress.step == STEPS
    assert resumed.trainer.progress.best_step == whole.trainer.progress.best_step
    for name, tensor in whole.trainer.tensors().items():
        assert torch.equal(resumed.trainer.tensors()[name], tensor), name


def test_an_origin_that_is_none_is_refused(model: ModelFile, tmp_path: Path) -> None:
    session = continued(model, tmp_path)
    last = tmp_path / "last.safetensors"
    write_checkpoint(last, session.checkpoint())
    checkpoint = read_checkpoint(last)
    forged = {**checkpoint.header, "from": {"model": 3}}
    write_checkpoint(last, replace(checkpoint, header=forged))
    with pytest.raises(CheckpointError, match="Origin needs exactly"):
        resume_session(read_run(last), read(tmp_path, NEW), session.request)


@pytest.mark.slow
def test_going_on_beats_starting_from_nothing(tmp_path: Path) -> None:
    long = request(steps=150, batch=4, window=16, learning_rate=1e-2)
    old = begin(long, read(tmp_path, OLD * 3), "old")
    grown = transfer_model(HERE, model_files(old)[-1], read(tmp_path, NEW))
    brief = request(steps=20, batch=4, window=16, learning_rate=3e-3)
    best = []
    for given in (grown, None):
        session = begin(brief, grown.corpus, "new", given)
        list(session.trainer.fit())
        best.append(session.trainer.progress.best_nats_per_char)
    tuned, scratch = best
    assert tuned is not None
    assert scratch is not None
    assert tuned < scratch - 0.3


def test_bytes_and_characters_are_not_mixed(model: ModelFile, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="as characters"):
        transfer_model(HERE, model, read(tmp_path, NEW, encoding=None))
    weights: Arrays = {}
    facts = CorpusFacts("old", "0" * 64, 10, 0.1)
    of_bytes = ModelFile(model.model, Alphabet.bytes_alphabet(), facts, None, weights)
    with pytest.raises(UsageError, match="every byte"):
        transfer_model(HERE, of_bytes, read(tmp_path, NEW))


def test_a_text_of_nothing_but_new_characters_is_refused(model: ModelFile, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="knows none of the text's characters"):
        start(model, tmp_path, "ЖЖШШ" * 40)


def read_records(folder: Path, encoding: str | None = "utf-8", records: str = "line") -> Corpus:
    path = folder / "records.txt"
    path.write_text("heron\nford\ncounted\n" * 30, encoding="utf-8")
    return fit_corpus([path], encoding, records)


@pytest.mark.parametrize("records", ["line", "r"])
def test_what_no_text_of_the_kind_holds_is_forgotten(tmp_path: Path, records: str) -> None:
    listed, text = read_records(tmp_path, records=records), read(tmp_path, NEW.replace(",", "\n"))
    model = model_files(begin(request(), listed, "listed"))[-1]
    to_text = transfer_model(HERE, model, text)
    assert (to_text.forgotten, RECORD_END in to_text.corpus.alphabet.characters) == (
        RECORD_END,
        False,
    )
    assert "1 (\u241e) forgotten" in to_text.describe()
    assert to_text.corpus.alphabet.decode(to_text.corpus.ids) == NEW.replace(",", "\n")
    trained = model_files(begin(request(), to_text.corpus, "new", to_text))[-1]
    back = transfer_model(HERE, trained, listed)
    assert back.forgotten == {"line": "\n", "r": "r"}[records]
    assert back.forgotten not in back.corpus.alphabet.characters
    assert RECORD_END in back.added
    for grown in (to_text, back):
        assert len(grown.weights["head.bias"]) == len(grown.corpus.alphabet)


def test_records_stay_records_and_a_text_that_holds_their_end_keeps_it(tmp_path: Path) -> None:
    listed = read_records(tmp_path)
    model = model_files(begin(request(), listed, "listed"))[-1]
    assert transfer_model(HERE, model, listed).forgotten == ""
    assert transfer_model(HERE, model, read(tmp_path, NEW + RECORD_END)).forgotten == ""


def test_a_byte_that_ended_records_is_hardly_drawn_any_more(tmp_path: Path) -> None:
    listed = read_records(tmp_path, None)
    model = model_files(begin(request(), listed, "listed"))[-1]
    grown = transfer_model(HERE, model, read(tmp_path, NEW, None))
    assert grown.forgotten == RECORD_END
    bias = grown.weights["head.bias"]
    assert bias[ord(RECORD_END)] < bias[np.arange(256) != ord(RECORD_END)].mean() - 10
    assert np.isfinite(bias).all()
