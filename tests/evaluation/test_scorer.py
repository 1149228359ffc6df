"""Scoring through either backend: every character once, exactly, however many streams there are."""

import math

import numpy as np
import pytest
import torch

from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet, Ids
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.errors import PredictionError
from charrnn.evaluation import scorer
from charrnn.evaluation.evaluate import evaluate
from charrnn.evaluation.scorer import score, score_windows, streams_for
from charrnn.inference.backend import Backend
from charrnn.inference.native_backend import NativeBackend, build_network
from charrnn.inference.torch_backend import TorchBackend
from charrnn.models.char_model import CharModel, build_model
from tests.support.networks import (
    arrays_of,
    backend_of,
    both_kinds,
    every_kind_of_backend,
    make_model,
    needs_library,
    random_ids,
)

ALPHABET = Alphabet.of("abcdefghi \n")
CHARACTERS = 2_001


def nats_of(backend: Backend, ids: Ids, streams: int = 1, *, again: int | None = None) -> float:
    parts = list(score(backend, ids, streams, again=again))
    assert sum(part.characters for part in parts) == len(ids) - 1
    return math.fsum(part.nats for part in parts)


def ignorant() -> CharModel:
    model = make_model("lstm")
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    return model


@both_kinds
@pytest.mark.parametrize("characters", [1, 2, 10_000])
def test_a_model_that_knows_nothing_scores_log2_of_the_alphabet(kind: str, characters: int) -> None:
    backend = backend_of(kind, "lstm", ignorant())
    result = evaluate(backend, ContinuousText(random_ids(characters)), ALPHABET)
    assert result.bits_per_char == pytest.approx(math.log2(len(ALPHABET)), rel=1e-13)
    assert result.perplexity == pytest.approx(len(ALPHABET), rel=1e-13)
    assert result.characters == characters


@pytest.mark.slow
@pytest.mark.parametrize("arrangement", ["gru", "stack", "pyramid of lstm"])
def test_the_score_is_the_sum_over_one_long_pass(arrangement: str) -> None:
    model, ids = make_model(arrangement).double(), random_ids(1000)
    text = torch.from_numpy(ids.astype(np.int64))[:, None]
    logits, _ = model(text[:-1], model.initial_states(1))
    expected = torch.nn.functional.cross_entropy(logits[:, 0], text[1:, 0], reduction="sum")
    result = evaluate(TorchBackend(model), ContinuousText(ids), ALPHABET)
    assert result.nats == pytest.approx(float(expected) + math.log(len(ALPHABET)), rel=1e-12)


@pytest.mark.slow
@every_kind_of_backend
def test_streams_side_by_side_equal_one_stream(kind: str, arrangement: str) -> None:
    backend, ids = backend_of(kind, arrangement), random_ids(CHARACTERS)
    assert nats_of(backend, ids, 5) == pytest.approx(nats_of(backend, ids), rel=1e-7)


@needs_library
@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_streams_of_which_some_join_early_leave_the_others_alone(cell: str, bfloat16: bool) -> None:
    # A single layer with h alone: the states of all streams but the last lie in one stretch.
    config = ModelConfig(cell=cell, layers=1, hidden=19, embedding=8, init="orthogonal")
    arrays = arrays_of(build_model(config, 11, seed=1).requires_grad_(False))
    backend = NativeBackend(build_network(config, arrays, bfloat16=bfloat16))
    ids = random_ids(4001)
    assert nats_of(backend, ids, 20) == pytest.approx(nats_of(backend, ids), rel=1e-8)


@needs_library
def test_both_backends_give_a_text_the_same_score() -> None:
    text = ContinuousText(random_ids(20_001))
    native, through_torch = (
        evaluate(backend_of(kind, "lstm", threads=2), text, ALPHABET)
        for kind in ("native", "torch")
    )
    assert native.nats_per_char == pytest.approx(through_torch.nats_per_char, abs=1e-6)
    assert (native.characters, native.bytes) == (through_torch.characters, through_torch.bytes)


def forgetful_never() -> CharModel:
    """An LSTM whose forget gates are wide open: what a cell has taken in stays for good."""
    model = make_model("lstm")
    hidden = model.layers()[0].hidden
    for name, tensor in model.state_dict().items():
        if name.endswith("bias") and name.startswith("cells"):
            tensor[hidden : 2 * hidden] = 60
            tensor[:hidden] = -4
    return model


@both_kinds
def test_a_network_that_never_forgets_is_scored_exactly(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for patience in (0, 100, 10**9):
        monkeypatch.setattr(scorer, "PATIENCE", patience)
        backend, ids = backend_of(kind, "lstm", forgetful_never()), random_ids(CHARACTERS)
        assert nats_of(backend, ids, 9) == pytest.approx(nats_of(backend, ids), rel=1e-9)


@both_kinds
def test_patience_changes_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for patience in (0, 100, 10**9):
        backend, ids = backend_of(kind, "gru"), random_ids(CHARACTERS)
        one = nats_of(backend, ids)
        monkeypatch.setattr(scorer, "PATIENCE", patience)
        assert nats_of(backend, ids, 9) == pytest.approx(one, rel=1e-7)


class Counting(TorchBackend):
    """Counts the characters that it scores."""

    def __init__(self, model: CharModel) -> None:
        super().__init__(model)
        self.scored = 0

    def score(self, ids, targets, state):  # type: ignore[no-untyped-def]
        self.scored += ids.size
        return super().score(ids, targets, state)


def test_a_score_that_need_not_be_exact_takes_bounded_work() -> None:
    backend, ids = Counting(forgetful_never()), random_ids(CHARACTERS)
    nats_of(backend, ids, 6, again=128)
    assert CHARACTERS + 5 * 128 <= backend.scored + 1 <= CHARACTERS + 5 * 2 * 128
    # What fades is exact even so.
    backend = Counting(make_model("lstm"))
    near = nats_of(backend, ids, 6, again=128)
    assert near == pytest.approx(nats_of(backend, ids), rel=1e-7)


@both_kinds
def test_texts_of_every_length(kind: str) -> None:
    for streams in (1, 2):
        for characters in (1, 2, 3, 63, 64, 65, 66, 4097):
            backend, ids = backend_of(kind, "lstm"), random_ids(characters)
            assert nats_of(backend, ids, streams) == pytest.approx(nats_of(backend, ids), rel=1e-7)


class Phases(TorchBackend):
    """Notes where in the text streams begin, of a text whose ids are their own places."""

    def initial_state(self, rows):  # type: ignore[no-untyped-def]
        self.rows = rows
        return super().initial_state(rows)

    def score(self, ids, targets, state):  # type: ignore[no-untyped-def]
        self.begins = getattr(self, "begins", ids[:1])
        return super().score(ids, targets, state)


@pytest.mark.parametrize(("characters", "streams"), [(5, 4), (30, 4), (100, 7)])
def test_streams_of_a_pyramid_begin_in_step_with_its_slowest_layer(
    characters: int, streams: int
) -> None:
    backend = Phases(make_model("pyramid of lstm", characters=characters))
    nats_of(backend, np.arange(characters), streams)
    assert backend.alignment == 4
    assert (backend.begins % 4 == 0).all()
    assert backend.begins.size == (1 if characters < 4 * streams else streams)


@pytest.mark.parametrize(
    "text",
    [ContinuousText(random_ids(9_000)), RecordText(np.array([0, 3, 1, 0]), end=0)],
    ids=["continuous", "records"],
)
def test_predictions_that_are_not_finite_are_an_error(text: EncodedText) -> None:
    model = make_model("lstm")
    model.head.bias[0] = np.inf
    with pytest.raises(PredictionError, match="not finite"):
        evaluate(TorchBackend(model), text, ALPHABET)


def test_short_texts_are_not_split_and_large_states_are_not_multiplied() -> None:
    assert streams_for(0) == 1
    assert streams_for(3 * 4096) == 3
    assert streams_for(10**9) == 64
    assert streams_for(10**9, 1 << 20) == 4
    assert streams_for(10**9, 1 << 30) == 1
    assert streams_for(3 * 100, least=100) == 3


@both_kinds
@pytest.mark.parametrize("window", [1, 10, 100_000])
def test_windows_forget_what_came_before_them(kind: str, window: int) -> None:
    backend, ids = backend_of(kind, "lstm"), random_ids(301)
    parts = list(score_windows(backend, ids, window))
    assert sum(part.characters for part in parts) == 300
    alone = [nats_of(backend, ids[at : at + window + 1]) for at in range(0, 300, window)]
    found = math.fsum(part.nats for part in parts)
    assert found == pytest.approx(math.fsum(alone), rel=1e-6)
    assert (found == pytest.approx(nats_of(backend, ids), rel=1e-4)) == (window > 300)


def test_progress_is_told_up_to_the_last_character() -> None:
    backend, text = backend_of("torch", "gru"), ContinuousText(random_ids(9_000))
    for reset_every in (None, 100):
        told: list[int] = []
        evaluate(backend, text, ALPHABET, reset_every=reset_every, on_progress=told.append)
        assert told == sorted(told)
        assert told[-1] == 9_000
        assert len(told) > 2


def test_records_are_scored_one_by_one_and_never_reset() -> None:
    backend = backend_of("torch", "lstm")
    text = RecordText(np.array([0, 3, 1, 0, 2, 0]), end=0)
    score = evaluate(backend, text, ALPHABET)
    assert score.characters == 5
    alone = [nats_of(backend, np.array(ids)) for ids in ([0, 3, 1, 0], [0, 2, 0])]
    assert score.nats == pytest.approx(math.fsum(alone), rel=1e-6)
    with pytest.raises(ValueError, match="begins afresh"):
        evaluate(backend, text, ALPHABET, reset_every=2)


@pytest.mark.parametrize("bfloat16", [False, True])
@needs_library
def test_weights_too_large_for_their_products_saturate_the_gates_without_a_warning(
    bfloat16: bool,
) -> None:
    model = make_model("lstm")
    model.embedding.weight.fill_(3e38)
    model.get_parameter("cells.0.input_weight").abs_()
    text = ContinuousText(random_ids(100))
    expected = evaluate(TorchBackend(model), text, ALPHABET)
    result = evaluate(backend_of("native", "lstm", model, bfloat16=bfloat16), text, ALPHABET)
    assert result.nats_per_char == pytest.approx(expected.nats_per_char, rel=0.05)
