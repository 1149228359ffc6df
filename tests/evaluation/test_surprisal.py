"""Surprisal of characters in chunks of any size, and expectations."""

import math

import numpy as np
import pytest
import torch

from charrnn.data.alphabet import Alphabet, Ids
from charrnn.data.encoded_text import ContinuousText
from charrnn.errors import PredictionError, UnknownCharacterError
from charrnn.evaluation import surprisal
from charrnn.evaluation.evaluate import evaluate
from charrnn.evaluation.scorer import Reading
from charrnn.evaluation.surprisal import (
    Meter,
    find_expectations,
    find_worst,
    measure_surprisal,
)
from charrnn.inference.backend import Backend
from charrnn.inference.native_backend import NativeBackend
from charrnn.inference.torch_backend import TorchBackend
from charrnn.kernels.network import Doubles
from charrnn.models.char_model import CharModel
from tests.support.networks import SERVED, backend_of, make_model, native, needs_library, random_ids

ALPHABET = Alphabet.of("abcdefghi \n")
FLAT = Alphabet.of("abcdefghij ")
ARRANGEMENTS = ["lstm", "stack", "pyramid of lstm"]


def random_text(characters: int, alphabet: Alphabet = ALPHABET, seed: int = 3) -> str:
    drawn = np.random.default_rng(seed).integers(len(alphabet), size=characters)
    return alphabet.decode(drawn)


def pieces(text: str, sizes: list[int]) -> list[str]:
    """A text in chunks of these sizes in turn."""
    found: list[str] = []
    while text:
        size = sizes[len(found) % len(sizes)]
        found.append(text[:size])
        text = text[size:]
    return found


def carried(backend: Backend, chunks: list[str], **choice: str) -> Doubles:
    measured = list(Meter(backend, ALPHABET, **choice).measure_carried(chunks))
    assert "".join(one.symbols for one in measured) == "".join(chunks)
    return np.concatenate([one.nats for one in measured])


def afresh(backend: Backend, chunks: list[str], alphabet: Alphabet = ALPHABET) -> Doubles:
    measured = list(Meter(backend, alphabet).measure_afresh(chunks))
    assert "".join(one.symbols for one in measured) == "".join(chunks)
    return np.concatenate([one.nats for one in measured])


def alone(backend: Backend, text: str, alphabet: Alphabet = ALPHABET) -> Doubles:
    """Each line read by itself, character by character."""
    start = alphabet.characters.find("\n")
    found = []
    for line in text.splitlines(keepends=True):
        reading = Reading(backend, start if start >= 0 else None)
        for character in line:
            known = character in alphabet.characters
            found.append(reading.cost(alphabet.encode(character))[0] if known else np.nan)
    return np.array(found)


def backends(arrangement: str) -> list[Backend]:
    model = make_model(arrangement)
    natively = [NativeBackend(native(arrangement, model), 2)] if arrangement in SERVED else []
    return [*natively, TorchBackend(model)]


@pytest.mark.slow
@needs_library
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_carried_costs_add_up_to_the_score_of_the_text(arrangement: str) -> None:
    text = random_text(700)
    whole = ContinuousText(ALPHABET.encode(text))
    expected = evaluate(TorchBackend(make_model(arrangement)), whole, ALPHABET).nats
    for backend in backends(arrangement):
        nats = carried(backend, [text])
        assert math.fsum(nats) == pytest.approx(expected, rel=1e-6)
        assert nats[0] == math.log(len(ALPHABET))


@pytest.mark.slow
@needs_library
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_lines_side_by_side_cost_what_they_cost_alone(arrangement: str) -> None:
    text = random_text(900) + "\n\n\na\n" + random_text(200).replace("\n", "b")
    for backend in backends(arrangement):
        np.testing.assert_allclose(afresh(backend, [text]), alone(backend, text), rtol=2e-4)


@needs_library
def test_in_the_native_network_they_cost_exactly_that() -> None:
    (backend, _), text = backends("lstm"), random_text(3000)
    assert (afresh(backend, [text]) == alone(backend, text)).all()


@needs_library
@pytest.mark.parametrize("at_once", [5, 50, 1 << 16])
def test_it_does_not_matter_how_the_text_comes(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sizes in ([1], [3, 1, 40], [64, 7], [10_000]):
        (backend, _), text = backends("gru"), random_text(400) + "\n" + "a" * 120 + "\nabc\nde"
        whole, lines = carried(backend, [text]), afresh(backend, [text])
        monkeypatch.setattr(surprisal, "CHARACTERS_AT_ONCE", at_once)
        assert (carried(backend, pieces(text, sizes)) == whole).all()
        assert (afresh(backend, pieces(text, sizes)) == lines).all()


class Watched(TorchBackend):
    """Counts what it is given at once."""

    def __init__(self, model: CharModel) -> None:
        super().__init__(model)
        self.most = 0

    def score(self, ids, targets, states):  # type: ignore[no-untyped-def]
        self.most = max(self.most, ids.size)
        return super().score(ids, targets, states)


def test_an_endless_line_is_read_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surprisal, "CHARACTERS_AT_ONCE", 100)
    backend = Watched(make_model("rnn"))
    text = "abcdefghi " * 500
    held = 0
    for measured in Meter(backend, ALPHABET).measure_afresh(pieces(text, [70])):
        held = max(held, len(measured.symbols))
    assert 100 <= held <= 200
    assert backend.most <= 201


def test_one_long_line_does_not_stretch_its_neighbors() -> None:
    backend = Watched(make_model("rnn"))
    text = "a" * 5000 + "\n" + "abc\n" * 1000
    list(Meter(backend, ALPHABET).measure_afresh([text]))
    assert backend.most <= 5001


@needs_library
@pytest.mark.parametrize("arrangement", ["lstm", "stack"])
def test_newlines_that_a_model_does_not_know_only_part_lines(arrangement: str) -> None:
    text = "abc\n\nj\n" + "\n".join(random_text(40, FLAT, seed) for seed in range(9)) + "\n"
    for backend in backends(arrangement):
        nats = afresh(backend, [text], FLAT)
        np.testing.assert_allclose(nats, alone(backend, text, FLAT), rtol=2e-4)
        assert (np.isnan(nats) == [character == "\n" for character in text]).all()
        assert nats[0] == nats[5] == math.log(11)


def test_unknown_characters_are_skipped_or_replaced_and_counted() -> None:
    backend = TorchBackend(make_model("lstm"))
    odd, without, replaced = "ab!c\n?d\n", "abc\nd\n", "ab c\n d\n"
    for name in ("measure_carried", "measure_afresh"):
        skip, replace = (Meter(backend, ALPHABET, choice) for choice in ("skip", "replace"))
        plain = Meter(backend, ALPHABET)
        (found,) = getattr(skip, name)([odd])
        (expected,) = getattr(plain, name)([without])
        assert found.symbols == odd
        assert list(np.flatnonzero(np.isnan(found.nats))) == [2, 5]
        np.testing.assert_allclose(found.nats[~np.isnan(found.nats)], expected.nats, rtol=1e-4)
        (found,) = getattr(replace, name)([odd])
        (expected,) = getattr(Meter(backend, ALPHABET), name)([replaced])
        np.testing.assert_allclose(found.nats, expected.nats, rtol=1e-4)
        assert (skip.unknown, replace.unknown, plain.unknown) == (2, 2, 0)


@pytest.mark.parametrize("name", ["measure_carried", "measure_afresh"])
def test_an_unknown_character_is_refused_by_its_place_in_the_whole(name: str) -> None:
    meter = Meter(TorchBackend(make_model("lstm")), ALPHABET)
    with pytest.raises(UnknownCharacterError, match=r"'!' \(U\+0021\) at character 8 "):
        list(getattr(meter, name)(["abc\n", "abc!\n"]))


@pytest.mark.parametrize("name", ["measure_carried", "measure_afresh"])
def test_predictions_that_are_not_finite_are_an_error(name: str) -> None:
    model = make_model("lstm")
    model.head.bias[0] = np.inf
    with pytest.raises(PredictionError, match="not finite"):
        list(getattr(Meter(TorchBackend(model), ALPHABET), name)(["abc\nabc\n"]))


def test_nothing_costs_nothing() -> None:
    meter = Meter(TorchBackend(make_model("lstm")), ALPHABET)
    assert list(meter.measure_carried([])) == list(meter.measure_afresh(["", ""])) == []
    assert len(Reading(TorchBackend(make_model("lstm"))).cost(ALPHABET.encode(""))) == 0


def test_a_model_that_knows_nothing_costs_log_of_the_alphabet() -> None:
    model = make_model("gru")
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    for name in ("measure_carried", "measure_afresh"):
        (found,) = getattr(Meter(TorchBackend(model), ALPHABET), name)(["abc\nabc\n"])
        assert found.nats == pytest.approx(np.full(8, math.log(11)))


EXPECTING = ["lstm", "pyramid of lstm"]


def backend_for(arrangement: str) -> Backend:
    return backend_of("native" if arrangement == "lstm" else "torch", arrangement)


def predictions(arrangement: str, ids: Ids) -> Doubles:
    """Probabilities (N - 1, V) of each character but the first."""
    model = make_model(arrangement)
    logits, _ = model(torch.from_numpy(ids.astype(np.int64))[:-1, None], model.initial_states(1))
    found: Doubles = logits[:, 0].double().softmax(-1).numpy()
    return found


@needs_library
@pytest.mark.parametrize("at_once", [7, 1 << 16])
@pytest.mark.parametrize("arrangement", EXPECTING)
def test_the_worst_places_and_what_was_likeliest_there(
    arrangement: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surprisal, "CHARACTERS_AT_ONCE", at_once)
    ids = random_ids(120)
    expected = predictions(arrangement, ids)
    backend = backend_for(arrangement)
    nats = measure_surprisal(backend, ContinuousText(ids))
    came = expected[np.arange(len(ids) - 1), ids[1:]]
    assert nats[0] == pytest.approx(np.log(11))
    np.testing.assert_allclose(nats[1:], -np.log(came), rtol=1e-4)
    places = find_worst(nats, 6)
    assert list(places) == list(np.argsort(came)[:6] + 1)
    for place, one in zip(
        places, find_expectations(backend, ContinuousText(ids), places, 3), strict=True
    ):
        assert one.position == place
        likeliest = np.argsort(-expected[place - 1])[:3]
        assert [character for character, _ in one.likeliest] == list(likeliest)
        assert [p for _, p in one.likeliest] == pytest.approx(
            list(expected[place - 1][likeliest]), rel=1e-3
        )


def test_a_single_character_has_no_worst_place() -> None:
    backend, text = backend_of("torch", "gru"), ContinuousText(random_ids(1))
    nats = measure_surprisal(backend, text)
    assert len(nats) == 1
    assert find_expectations(backend, text, find_worst(nats, 5), 3) == []
