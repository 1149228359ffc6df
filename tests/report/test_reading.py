"""What a report finds out by letting the model read: surprisal and neurons."""

import math

import numpy as np
import pytest
import torch

from charrnn.alphabet import Alphabet, Ids
from charrnn.evaluate import evaluate
from charrnn.model import CharModel, build_model
from charrnn.report.neurons import SHOWN_CHARACTERS, activations, find_neurons
from charrnn.report.surprisal import bits_of, read_passage
from tests.arrangements import configure

ALPHABET = Alphabet.of('ab "(')


def model(arrangement: str = "lstm") -> CharModel:
    return build_model(configure(arrangement, hidden=6, embedding=4), len(ALPHABET), seed=2).eval()


def ids(length: int) -> Ids:
    return np.random.default_rng(1).integers(0, len(ALPHABET), length).astype(np.uint8)


def test_the_bits_of_a_passage_add_up_to_its_score() -> None:
    bits = bits_of(model(), ids(700), len(ALPHABET))
    assert len(bits) == 700
    assert bits[0] == math.log2(len(ALPHABET))
    score = evaluate(model(), ids(700), ALPHABET)
    assert bits.sum() == pytest.approx(score.nats / math.log(2), rel=1e-6)


def test_each_character_costs_what_the_model_gave_it() -> None:
    text = ids(12)
    with torch.inference_mode():
        read = torch.from_numpy(text.astype(np.int64))[:, None]
        logits, _ = model()(read, model().initial_states(1))
    nats = -logits[:-1, 0].double().log_softmax(-1).numpy()[np.arange(11), text[1:]]
    assert bits_of(model(), text, len(ALPHABET))[1:].tolist() == pytest.approx(
        (nats / math.log(2)).tolist()
    )


def test_the_costliest_characters_come_first_with_what_they_came_after() -> None:
    passage = read_passage(model(), ids(60), ALPHABET)
    first, second = passage.costliest(2)
    place = passage.bits.index(max(passage.bits))
    assert (first.symbol, first.bits) == (passage.symbols[place], passage.bits[place])
    assert passage.symbols[:place].endswith(first.before)
    assert first.bits >= second.bits >= sorted(passage.bits)[-3]


@pytest.mark.parametrize("arrangement", ["lstm", "gru", "stack", "pyramid of gru"])
def test_activations_are_the_outputs_of_each_layer(arrangement: str) -> None:
    text = ids(40)
    found = activations(model(arrangement), text)
    assert len(found) == len(model(arrangement).layers())
    read = torch.from_numpy(text.astype(np.int64))[:, None]
    states = model(arrangement).initial_states(1)
    with torch.inference_mode():
        for place in range(40):
            _, states = model(arrangement)(read[place : place + 1], states)
            for layer, state in enumerate(states):
                assert found[layer][place] == pytest.approx(state[0][0].numpy(), abs=1e-5)


def unit_that_follows(characters: str) -> CharModel:
    """A plain network whose fourth unit is active at some characters and still at others."""
    network = build_model(
        configure("rnn", hidden=6, embedding=len(ALPHABET)), len(ALPHABET), seed=2
    ).eval()
    cell = network.layers()[0]
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        network.embedding.weight.copy_(torch.eye(len(ALPHABET)))
        for character in characters:
            cell.get_parameter("input_weight")[3, ALPHABET.characters.index(character)] = 2.0
    return network


def test_the_unit_that_follows_the_word_is_found() -> None:
    text = ALPHABET.encode(" a b" * 400)
    (found,) = find_neurons(unit_that_follows("ab"), text, ALPHABET)
    assert found.follows == "the position in the word"
    assert (found.layer, found.unit) == (1, 4)
    assert found.correlation == pytest.approx(1.0)
    assert found.symbols == (" a b" * 400)[:SHOWN_CHARACTERS]
    assert found.activations[:4] == pytest.approx((0.0, 1.0, 0.0, 1.0))


def test_what_does_not_occur_is_not_followed() -> None:
    followed = {one.follows for one in find_neurons(model(), ALPHABET.encode("a" * 300), ALPHABET)}
    assert not followed & {"being within quotation marks", "the depth of brackets"}


def test_what_varies_most_is_shown() -> None:
    calm, lively = " a" * 1000, '"a" (' * 200
    text = ALPHABET.encode(calm + lively)
    quotes = "being within quotation marks"
    (found,) = (one for one in find_neurons(model(), text, ALPHABET) if one.follows == quotes)
    assert '"' in found.symbols
    assert len(found.symbols) == len(found.activations) == SHOWN_CHARACTERS
