"""An expert is fitted to held-out text, and kept where it helps on what it was not fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.data.ngrams import Ngrams
from charrnn.evaluation.scorer import score, score_records
from charrnn.inference.torch_backend import TorchBackend
from charrnn.kernels.network import Filters
from charrnn.models.ngram_expert import NgramExpert
from charrnn.training import expert_choice
from charrnn.training.expert_choice import choose_expert, count_for_expert
from tests.support.networks import make_model

V, END = 11, 0
RNG = np.random.default_rng(5)
MODEL = make_model("gru", characters=V)


def patterned(characters: int) -> np.ndarray:
    """A text of words that are drawn from few, each after a blank."""
    words = [RNG.integers(2, V, size=length) for length in (2, 3, 4, 5, 6, 7)]
    drawn = [part for n in RNG.integers(len(words), size=characters) for part in (words[n], [1])]
    return np.concatenate(drawn)[:characters].astype(np.uint8)


def in_records(ids: np.ndarray) -> RecordText:
    """The same with an end in the place of every third blank."""
    blanks = np.flatnonzero(ids == 1)[::3]
    return RecordText(np.insert(ids, [0, *blanks, len(ids)], END), END)


def split(text: EncodedText) -> tuple[Ngrams, EncodedText]:
    train, held_out = text.split(0.3)
    return count_for_expert(train, V), held_out


@pytest.mark.parametrize("choice", ["auto", "ngram"])
@pytest.mark.parametrize("kind", ["continuous", "records"])
def test_counts_that_know_the_text_are_kept(kind: str, choice: str) -> None:
    ids = patterned(12_000)
    ngrams, held_out = split(ContinuousText(ids) if kind == "continuous" else in_records(ids))
    expert = choose_expert(TorchBackend(MODEL), held_out, ngrams, choice)
    assert expert is not None
    assert nats_of(held_out, expert) < nats_of(held_out, None) - 0.5


def nats_of(text: EncodedText, expert: NgramExpert | None) -> float:
    """The mean loss of a text."""
    backend = TorchBackend(MODEL, expert)
    match text:
        case RecordText():
            parts = list(score_records(backend, text))
        case ContinuousText(ids):
            parts = list(score(backend, ids))
    return sum(part.nats for part in parts) / sum(part.characters for part in parts)


def drawn_by_the_model(characters: int) -> ContinuousText:
    """A text that the model itself has drawn, so that its predictions are the best there are."""
    backend, ids = TorchBackend(MODEL), np.zeros(4, np.int64)
    uniforms = RNG.random((4, characters // 4))
    drawn, _ = backend.draw(ids, uniforms, backend.initial_state(4), Filters())
    return ContinuousText(drawn.reshape(-1).astype(np.uint8))


def test_counts_that_know_less_than_the_network_are_left_unless_they_are_asked_for() -> None:
    ngrams, held_out = split(drawn_by_the_model(8_000))
    assert choose_expert(TorchBackend(MODEL), held_out, ngrams, "auto") is None
    forced = choose_expert(TorchBackend(MODEL), held_out, ngrams, "ngram")
    assert forced is not None
    assert nats_of(held_out, forced) == pytest.approx(nats_of(held_out, None), abs=0.02)


@pytest.mark.parametrize("records", [False, True])
def test_a_text_with_few_places_has_no_expert(records: bool) -> None:
    ids = patterned(1_000)
    ngrams, held_out = split(in_records(ids) if records else ContinuousText(ids))
    assert choose_expert(TorchBackend(MODEL), held_out, ngrams, "ngram") is None


@pytest.mark.parametrize("length", [641, 700, 3_000, 60_000])
def test_places_are_drawn_evenly_and_are_those_of_the_text(length: int) -> None:
    ids = RNG.integers(V, size=length).astype(np.uint8)
    places = expert_choice._draw_rows(ids, 8192)
    assert places is not None
    assert 512 <= places.counts.sum() <= 8192
    text = ids.tobytes()
    for row in range(places.ids.shape[1]):
        parts = places.before[:, row], places.ids[:, row], places.targets[-1:, row]
        own = np.concatenate(parts).astype(np.uint8)
        assert own.tobytes() in text
        np.testing.assert_array_equal(places.targets[:-1, row], places.ids[1:, row])


@pytest.mark.parametrize("lengths", [[5] * 3000, [5] * 3000 + [9000], [9000] * 3, [1] * 600])
def test_a_long_record_does_not_make_all_rows_long(lengths: list[int]) -> None:
    ends = np.cumsum([length + 1 for length in lengths])
    ids = np.ones(ends[-1] + 1, np.uint8)
    ids[[0, *ends]] = END
    rows = expert_choice._draw_records(RecordText(ids, END), 2048)
    assert rows is not None
    assert rows.ids.size <= 4 * max(2048, 2 * int(np.mean(lengths)) + 4)
    assert rows.counts.sum() > 0
    assert set(rows.targets[rows.counts].tolist()) <= {END, 1}


def test_predictions_that_are_not_finite_have_no_expert() -> None:
    model = make_model("gru", characters=V)
    model.head.bias.data[0] = np.nan
    ngrams, held_out = split(ContinuousText(patterned(4_000)))
    assert choose_expert(TorchBackend(model), held_out, ngrams, "ngram") is None


def test_of_a_long_text_the_end_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expert_choice, "MOST_COUNTED", 100)
    counted = count_for_expert(ContinuousText(patterned(200)), V)
    assert counted.orders[0].totals.tolist() == [100 + len(counted.orders[0].counts)]
