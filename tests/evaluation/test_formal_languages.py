"""Formal scores: stand-ins that know a rule, or part of it, solve exactly what they know."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from charrnn.config.model import ModelConfig
from charrnn.data.alphabet import Alphabet, Ids
from charrnn.data.formal_languages import LANGUAGES, Language
from charrnn.errors import PredictionError, UnknownCharacterError
from charrnn.evaluation.formal_languages import DRAWS, FormalScore, cases, solve
from charrnn.inference.torch_backend import TorchBackend
from charrnn.kernels.network import Doubles, Filters, Floats
from charrnn.models.char_model import build_model

SURE = 60.0
"""A logit that leaves next to nothing to the other characters."""

every_language = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)


class StandIn:
    """A backend that follows a rule: from all of a text so far to the character it is sure of.

    Its state is the text of each row; ``texts`` are the longest that it has read.
    """

    alignment = rows_to_draw = 1

    def __init__(self, alphabet: Alphabet, rule: Callable[[str], str]) -> None:
        self.characters = len(alphabet)
        self.state_size = 0
        self.alphabet = alphabet
        self.rule = rule
        self.texts: list[str] = []

    def initial_state(self, rows: int) -> list[str]:
        return [""] * rows

    def select(self, state: list[str], rows: NDArray[np.int64]) -> list[str]:
        return [state[row] for row in rows]

    def joined(self, state: list[str], other: list[str]) -> NDArray[np.bool_]:
        return np.array([one == another for one, another in zip(state, other, strict=True)])

    def hidden(self, state: object) -> dict[str, Floats]:
        raise AssertionError("nobody asks for it")

    def read(self, ids: Ids, state: list[str]) -> list[str]:
        return [text + self.alphabet.decode(row) for text, row in zip(state, ids.T, strict=True)]

    def predict(self, ids: Ids, state: list[str]) -> tuple[Floats, list[str]]:
        logits = np.zeros((*ids.shape, self.characters), np.float32)
        self.texts = self.read(ids, state)
        for row, text in enumerate(self.texts):
            for step in range(len(ids)):
                so_far = text[: len(state[row]) + step + 1]
                if said := self.rule(so_far):
                    logits[step, row, self.alphabet.characters.index(said)] = SURE
        return logits, self.texts

    def score(self, ids: Ids, targets: Ids, state: list[str]) -> tuple[Doubles, list[str]]:
        raise NotImplementedError

    def draw(
        self, last: Ids, uniforms: Doubles, state: list[str], filters: Filters
    ) -> tuple[Ids, list[str]]:
        raise NotImplementedError


def knowing(name: str, most: int = 1000) -> Callable[[str], str]:
    """The rule of a language, for a reader who loses count after ``most``; "" where none holds."""

    def count_on(text: str, block: str) -> str:
        here = re.split("(?<=[^a])(?=a)", text)[-1]
        count = min(here.count("a"), most)
        if here.endswith("a"):
            return ""
        whole = "a" * here.count("a") + "".join(letter * count for letter in block[1:])
        return whole[len(here)] if len(here) < len(whole) else "a"

    def count_sum(text: str) -> str:
        here = re.split("(?<=c)(?=a)", text)[-1]
        count = min(here.count("a") + here.count("b"), most)
        if "c" not in here:
            return ""
        return "c" if here.count("c") < count else "a"

    def mirror(text: str) -> str:
        word, middle, back = text.rpartition("\n")[2].partition("#")
        said = word[-most:][::-1] + "\n"
        return said[len(back) : len(back) + 1] if middle else ""

    def add(text: str) -> str:
        numbers, middle, digits = text.rpartition(".")[2].partition("=")
        if not middle:
            return ""
        total = sum(int(number[-most:], 2) for number in numbers.split("+"))
        said = f"{total:b}"[::-1] + "."
        return said[len(digits) : len(digits) + 1]

    blocks = {"anbn": "ab", "anbncn": "abc", "anbncndn": "abcd", "anb2n": "abb"}
    if name in blocks:
        return lambda text: count_on(text, blocks[name])
    return {"anbmcnm": count_sum, "memory": mirror, "addition": add}[name]


def alphabet_of(language: Language) -> Alphabet:
    return Alphabet.of(language.characters)


def score_of(name: str, rule: Callable[[str], str], most_size: int = 12) -> FormalScore:
    language = LANGUAGES[name]
    alphabet = alphabet_of(language)
    return solve(StandIn(alphabet, rule), alphabet, language, most_size)


@every_language
def test_who_knows_the_rule_solves_every_size(language: Language) -> None:
    score = score_of(language.name, knowing(language.name), most_size=14)
    assert score.solved == tuple(range(language.least_size, 15))
    assert score.unsolved == ()
    assert score.per_cent_solved == 100
    assert score.first_unsolved is None
    assert score.nats_per_predictable_char < 1e-20
    assert 0 < score.nats_per_char < math.log(len(language.characters))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["anbn", "anbncn", "anbncndn", "anb2n", "anbmcnm"])
def test_who_counts_to_ten_solves_ten_and_no_more(name: str) -> None:
    score = score_of(name, knowing(name, most=10), most_size=40)
    assert score.solved == tuple(range(LANGUAGES[name].least_size, 11))
    assert score.first_unsolved == 11
    assert score.per_cent_solved == pytest.approx(
        100 * len(score.solved) / len(score.unsolved + score.solved)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["memory", "addition"])
def test_who_remembers_little_solves_little(name: str) -> None:
    score = score_of(name, knowing(name, most=5), most_size=30)
    assert set(range(LANGUAGES[name].least_size, 6)) <= set(score.solved)
    assert set(range(12, 31)) <= set(score.unsolved)


@every_language
def test_who_always_says_the_same_solves_nothing_but_a_lone_character(language: Language) -> None:
    score = score_of(language.name, lambda _: language.characters[0])
    # Of ab, only the next a is predictable.
    assert score.solved == ((1,) if language.name == "anbn" else ())


@pytest.mark.parametrize("name", ["anbn", "anbncn", "anbncndn", "anb2n", "anbmcnm"])
def test_the_next_sequences_first_character_counts(name: str) -> None:
    rule, last = knowing(name), LANGUAGES[name].characters[-1]

    def endless(text: str) -> str:
        said = rule(text)
        return last if said == "a" else said

    assert score_of(name, endless).solved == ()


@pytest.mark.parametrize("wrong", [1, 7, 12])
def test_one_wrong_character_leaves_its_size_unsolved(wrong: int) -> None:
    rule = knowing("anbncn")
    slip = "a" * wrong + "b" * wrong + "c"
    score = score_of("anbncn", lambda text: "b" if text.endswith(slip) else rule(text))
    assert score.unsolved == (wrong,)
    assert score.first_unsolved == wrong
    assert score.per_cent_solved == pytest.approx(100 * 11 / 12)


def test_one_wrong_sequence_of_several_leaves_its_size_unsolved() -> None:
    rule = knowing("memory")
    assert len(cases(LANGUAGES["memory"], 8)) > 1
    spoiled = cases(LANGUAGES["memory"], 8)[1]
    word = spoiled[: spoiled.index("#") + 1]
    score = score_of("memory", lambda text: "#" if text.endswith(word) else rule(text))
    assert score.unsolved == (8,)


def tried(language: Language, most_size: int) -> tuple[str, list[str]]:
    """Return the text read before each sequence, and the sequences that a model is tried with."""
    alphabet = alphabet_of(language)
    model = StandIn(alphabet, lambda _: "")
    solve(model, alphabet, language, most_size)
    sizes = range(language.least_size, most_size + 1)
    sequences = [sequence for size in sizes for sequence in cases(language, size)]
    longest = max(map(len, sequences))
    (lead_in,) = {text[:-longest] for text in model.texts}
    for text, sequence in zip(model.texts, sequences, strict=True):
        assert text.startswith(lead_in + sequence)
    return lead_in, sequences


@every_language
def test_each_sequence_is_read_after_the_same_few_whole_ones(language: Language) -> None:
    lead_in, _ = tried(language, 8)
    pattern = {"memory": "[abc]+#[abc]+\n", "addition": r"[01]+\+[01]+=[01]+\."}
    parts = re.findall(pattern.get(language.name, "a+[^a]+"), lead_in)
    assert "".join(parts) == lead_in
    assert len(parts) >= 3
    assert len(lead_in) < 80


@every_language
def test_a_size_has_some_sequences_the_same_every_time(language: Language) -> None:
    for size in (language.least_size, 20):
        found = cases(language, size)
        assert found == cases(language, size)
        assert 1 <= len(set(found)) == len(found) <= DRAWS
    assert (len(cases(language, 20)) > 1) == (language.name in ("anbmcnm", "memory", "addition"))


def test_figures_are_over_the_characters_they_name() -> None:
    # Equal logits: every character costs the same, and the likeliest is the first, a.
    score = score_of("anbn", lambda _: "", most_size=4)
    assert score.characters == 2 + 4 + 6 + 8
    assert score.predictable_characters == 1 + 2 + 3 + 4
    assert score.sequences == 4
    assert score.nats == pytest.approx(score.characters * math.log(2))
    assert score.nats_per_char == pytest.approx(math.log(2))
    assert score.nats_per_predictable_char == pytest.approx(math.log(2))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["anbn", "memory"])
def test_side_by_side_in_pieces_equals_one_by_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    language = LANGUAGES[name]
    alphabet = alphabet_of(language)
    model = build_model(ModelConfig(hidden=8, embedding=4), len(alphabet), seed=3)
    lead_in, sequences = tried(language, 9)
    nats = predictable_nats = 0.0
    for sequence in sequences:
        text = alphabet.encode(lead_in + sequence + sequence[0]).tolist()
        ids = torch.tensor(text)[:, None]
        with torch.no_grad():
            logits, _ = model(ids[:-1], model.initial_states(1))
        costs = torch.nn.functional.cross_entropy(logits[:, 0], ids[1:, 0], reduction="none")
        costs = costs[len(lead_in) - 1 :]
        nats += float(costs[: len(sequence)].sum())
        predictable_nats += float(costs[list(language.find_predictable(sequence))].sum())
    for logits_at_once in (10**9, 1):
        monkeypatch.setattr("charrnn.evaluation.formal_languages._LOGITS_AT_ONCE", logits_at_once)
        score = solve(TorchBackend(model), alphabet, language, 9)
        assert score.nats == pytest.approx(nats, rel=1e-6)
        assert score.predictable_nats == pytest.approx(predictable_nats, rel=1e-6)


def test_an_alphabet_may_hold_more() -> None:
    language = LANGUAGES["anbn"]
    for alphabet in (Alphabet.of("Zabyz"), Alphabet.bytes_alphabet()):
        model = StandIn(alphabet, knowing("anbn"))
        assert solve(model, alphabet, language, 6).per_cent_solved == 100


def test_a_character_that_the_model_lacks_is_named() -> None:
    alphabet = Alphabet.of("ab")
    with pytest.raises(UnknownCharacterError, match=r"'c' \(U\+0063\) belongs to anbncn"):
        solve(StandIn(alphabet, lambda _: ""), alphabet, LANGUAGES["anbncn"])


def test_predictions_that_are_not_finite_are_refused() -> None:
    model = build_model(ModelConfig(hidden=4, embedding=4), 2)
    torch.nn.init.constant_(model.head.bias, math.nan)
    with pytest.raises(PredictionError, match="not finite"):
        solve(TorchBackend(model), Alphabet.of("ab"), LANGUAGES["anbn"], 3)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_every_size_up_to_sixty_is_tried(cell: str) -> None:
    model = build_model(ModelConfig(cell=cell, hidden=8, embedding=4), 4, seed=1)
    score = solve(TorchBackend(model), Alphabet.of("abcd"), LANGUAGES["anbncndn"])
    assert sorted(score.solved + score.unsolved) == list(range(1, 61))
