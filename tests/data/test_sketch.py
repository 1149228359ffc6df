"""Sketches: equal spans are sampled alike wherever they stand, and shares are estimated."""

import numpy as np
import pytest

from charrnn.data import sketch
from charrnn.data.alphabet import RECORD_END, Alphabet
from charrnn.data.encoded_text import ContinuousText, EncodedText, RecordText
from charrnn.data.sketch import MOST_HASHES, estimate_known_share, make_sketch, merge_sketches


def random_text(seed: int, length: int) -> str:
    letters = np.array(list("abcdefgh \n"))
    return "".join(np.random.default_rng(seed).choice(letters, length))


def encode(text: str, more: str = "") -> tuple[EncodedText, Alphabet]:
    alphabet = Alphabet.of(text + more)
    return ContinuousText(alphabet.encode(text)), alphabet


def encode_records(records: list[str]) -> tuple[EncodedText, Alphabet]:
    text = RECORD_END + "".join(record + RECORD_END for record in records)
    alphabet = Alphabet.of(text)
    return RecordText(alphabet.encode(text), alphabet.characters.index(RECORD_END)), alphabet


def share(known: str, train: str, held_out: str) -> float:
    one, its_alphabet = encode(known)
    alphabet = Alphabet.of(train + held_out)
    learnt, rest = (ContinuousText(alphabet.encode(text)) for text in (train, held_out))
    return estimate_known_share(make_sketch(one, its_alphabet), learnt, rest, alphabet)


def test_a_sketch_depends_neither_on_the_alphabet_nor_on_the_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = random_text(1, 10_000)
    whole = make_sketch(*encode(text))
    assert len(whole) == MOST_HASHES
    assert (whole[1:] > whole[:-1]).all()
    np.testing.assert_array_equal(make_sketch(*encode(text, "\u4e0a!")), whole)
    records = [record for record in text.split("\n") if record]
    of_records = make_sketch(*encode_records(records))
    assert len(of_records) == len(set(records))
    monkeypatch.setattr(sketch, "_CHARACTERS_AT_ONCE", 700)
    np.testing.assert_array_equal(make_sketch(*encode(text)), whole)
    np.testing.assert_array_equal(make_sketch(*encode_records(records[::-1])), of_records)


def test_the_sketch_of_two_texts_is_made_of_theirs() -> None:
    one, other = random_text(1, 5000), random_text(2, 5000)
    both = merge_sketches(make_sketch(*encode(one)), make_sketch(*encode(other)))
    spans = make_sketch(*encode(one + other))
    # The spans across the seam are in neither.
    assert np.isin(both, spans).mean() > 0.98


@pytest.mark.parametrize("text", ["", "a", "a" * 31, "ab" * 16])
def test_short_texts_have_a_sketch(text: str) -> None:
    alphabet = Alphabet.of("ab")
    assert len(make_sketch(ContinuousText(alphabet.encode(text)), alphabet)) <= 1


def test_the_share_that_is_known_is_estimated() -> None:
    known, new, train = random_text(1, 40_000), random_text(2, 20_000), random_text(3, 20_000)
    assert share(known, train, new) == 0
    assert share(known, train, known[5000:9000]) > 0.99
    assert share(known, train, known[:10_000] + new[:10_000]) == pytest.approx(0.5, abs=0.1)
    assert share(known, train, known.replace("abc", "acb")) > 0.8


def test_what_the_training_text_repeats_anyway_tells_nothing() -> None:
    boilerplate, new = random_text(1, 2000), random_text(2, 2000)
    assert share(boilerplate, boilerplate, boilerplate + new) < 0.02
    # Unless there is nothing else.
    assert share(boilerplate, boilerplate, boilerplate) == 1
