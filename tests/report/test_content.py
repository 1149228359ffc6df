"""Content of a report: surprisal, neurons, and the places of copied spans."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.analysis.activations import compute_activations
from charrnn.analysis.features import LEAST_CHARACTERS
from charrnn.checkpoints.model_file import CorpusFacts
from charrnn.config.training import ComputeConfig, SourceConfig, TrainConfig
from charrnn.data.alphabet import RECORD_END, Alphabet
from charrnn.data.encoded_text import ContinuousText, RecordText, cut_text
from charrnn.evaluation.evaluate import evaluate
from charrnn.inference.torch_backend import TorchBackend
from charrnn.models.char_model import CharModel, build_model
from charrnn.report.content import (
    PARTS,
    SHOWN_CHARACTERS,
    TEMPERATURES,
    Contents,
    find_neurons,
    gather_content,
    read_passage,
)
from charrnn.training.progress import Progress
from charrnn.training.run_config import Request
from charrnn.training.run_summary import Summary
from tests.support.arrangements import configure

ALPHABET = Alphabet.of('ab "(')


def model(arrangement: str = "lstm") -> CharModel:
    return build_model(configure(arrangement, hidden=6, embedding=4), len(ALPHABET), seed=2).eval()


def random_text(length: int) -> ContinuousText:
    drawn = np.random.default_rng(1).integers(0, len(ALPHABET), length)
    return ContinuousText(drawn.astype(np.uint8))


def test_the_bits_of_a_passage_add_up_to_its_score() -> None:
    text = random_text(700)
    passage = read_passage(TorchBackend(model()), text, ALPHABET, 0)
    assert passage.symbols == ALPHABET.decode(text.ids)
    score = evaluate(TorchBackend(model()), text, ALPHABET)
    assert math.fsum(passage.bits) == pytest.approx(score.nats / math.log(2), rel=1e-6)
    assert passage.costliest == ()


def test_the_costliest_characters_come_first_with_what_was_expected() -> None:
    text = random_text(60)
    passage = read_passage(TorchBackend(model()), text, ALPHABET, 2)
    first, second = passage.costliest
    place = passage.bits.index(max(passage.bits[1:]))
    assert (first.symbol, first.bits) == (passage.symbols[place], passage.bits[place])
    assert first.before == passage.symbols[max(place - 24, 0) : place]
    assert second.bits == sorted(passage.bits[1:])[-2]
    with torch.inference_mode():
        read = torch.from_numpy(text.ids[:place].astype(np.int64))[:, None]
        logits, _ = model()(read, model().initial_states(1))
    likely = logits[-1, 0].double().softmax(-1)
    symbol, probability = first.expected[0]
    assert symbol == ALPHABET.characters[int(likely.argmax())]
    assert probability == pytest.approx(float(likely.max()), rel=1e-5)


def test_a_passage_of_records_is_read_record_by_record() -> None:
    end = 0
    records = [[1, 2, 3], [4, 3], [1, 2, 3]]
    ids = np.array([end, *(one for record in records for one in (*record, end))], np.uint8)
    passage = read_passage(TorchBackend(model()), RecordText(ids, end), ALPHABET, 3)
    assert passage.symbols == ALPHABET.decode(ids[1:])
    first, last = passage.bits[:4], passage.bits[-4:]
    assert first == pytest.approx(last, rel=1e-5)
    assert [one.bits for one in passage.costliest] == sorted(passage.bits, reverse=True)[:3]
    for one in passage.costliest:
        assert one.symbol == passage.symbols[passage.bits.index(one.bits)]


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


def words(count: int) -> ContinuousText:
    """Words of one to four letters at random, so that nothing has a rhythm."""
    lengths = np.random.default_rng(3).integers(1, 5, count)
    drawn = "".join("ab"[length % 2] * length + " " for length in lengths)
    return ContinuousText(ALPHABET.encode(drawn))


@pytest.mark.slow
def test_the_unit_that_follows_is_found_once_for_each_thing() -> None:
    text = words(800)
    network = unit_that_follows("ab")
    found = find_neurons(TorchBackend(network), text, ALPHABET)
    assert len({neuron.follows for neuron in found}) == len(found)
    (within,) = (neuron for neuron in found if neuron.follows == "inside a word")
    assert (within.layer, within.unit) == (1, "h4")
    assert within.correlation == pytest.approx(1.0)
    assert [neuron.correlation for neuron in found] == sorted(
        (neuron.correlation for neuron in found), key=abs, reverse=True
    )


@pytest.mark.slow
def test_the_activations_shown_are_the_units_in_parts_of_their_largest() -> None:
    text = words(800)
    network = unit_that_follows("ab")
    shown = find_neurons(TorchBackend(network), text, ALPHABET)[0]
    begin = ALPHABET.decode(text.ids).index(shown.symbols)
    active = compute_activations(TorchBackend(network), text, 1)[
        begin : begin + SHOWN_CHARACTERS, 3
    ]
    assert shown.activations == pytest.approx(active / abs(active).max(), abs=1e-6)
    assert len(shown.symbols) == SHOWN_CHARACTERS


@pytest.mark.slow
def test_what_varies_most_is_shown() -> None:
    calm = ALPHABET.encode("a" * 1000)
    lively = words(250).ids[:600]
    text = ContinuousText(np.concatenate([calm, lively, calm, lively]))
    for neuron in find_neurons(TorchBackend(unit_that_follows("ab")), text, ALPHABET):
        assert " " in neuron.symbols


def test_a_short_text_does_not_tell_what_a_unit_follows() -> None:
    assert (
        find_neurons(
            TorchBackend(unit_that_follows("ab")), words(800)[: LEAST_CHARACTERS - 1], ALPHABET
        )
        == []
    )


RECORD_ALPHABET = Alphabet.of("abcdefgh\n" + RECORD_END)


def measured(trained_on: str, held_out: str, drawn: str, records: str | None) -> Contents:
    """A report's contents, of a model that has learned nothing and draws what it is told."""
    config = configure("lstm", hidden=4, embedding=2)
    request = Request(SourceConfig(paths=("a",)), config, TrainConfig(steps=1), ComputeConfig())
    corpus = CorpusFacts("a", "0" * 64, len(trained_on) + len(held_out), 0.1, records)
    run = Summary(Path("a"), request, corpus, None, Progress(), (), (), 1, 1, {})
    network = build_model(config, len(RECORD_ALPHABET)).eval()
    learned, rest = (
        cut_text(RECORD_ALPHABET.encode(text), RECORD_ALPHABET, records)
        for text in (trained_on, held_out)
    )
    told: list[int] = []
    backend = TorchBackend(network)
    contents = gather_content(
        run, network, backend, RECORD_ALPHABET, learned, rest, lambda _: drawn, told.append
    )
    assert told == list(range(1, PARTS + 1))
    return contents


@pytest.mark.parametrize(("records", "parted"), [(None, "\n"), ("line", RECORD_END)])
def test_copied_spans_are_placed_in_the_line_or_record_that_they_begin_in(
    records: str | None, parted: str
) -> None:
    begun = "" if records is None else RECORD_END
    text = begun + parted.join(["ab", "cd", "ef", "gh", ""])
    copied = measured(text, f"{begun}cdh", "gh", records).copied
    drawn, held_out = copied[:-1], copied[-1]
    quotes = [one.quote for one in drawn]
    assert [(one.text, one.number) for one in quotes if one] == [("gh", 4)] * len(TEMPERATURES)
    assert held_out.name == "held out"
    assert held_out.quote
    assert held_out.quote.number == 2


@pytest.mark.parametrize(
    ("most", "read"), [(2, "cdefgh|"), (7, "cdefgh|"), (8, "cdefgh|"), (11, "ab|cdefgh|")]
)
def test_where_nothing_is_held_out_whole_records_are_read_and_one_at_least(
    most: int, read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.report.content._NEURON_CHARACTERS", most)
    contents = measured("|ab|cdefgh|".replace("|", RECORD_END), "", "ab", "line")
    assert contents.passage.symbols == read.replace("|", RECORD_END)
