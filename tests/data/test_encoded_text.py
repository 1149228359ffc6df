"""Texts as ids: split, shortened and counted by characters, or by whole records."""

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.data.alphabet import RECORD_END, Alphabet
from charrnn.data.encoded_text import ContinuousText, Place, RecordText, cut_text

END = 0
IDS = np.array([END, 1, 2, END, 2, END, 1, 1, 2, 2, END], np.uint8)
CONTINUOUS, RECORDS = ContinuousText(IDS), RecordText(IDS, END)
ALPHABET = Alphabet.of("\nabc" + RECORD_END)


def record_text(lengths: list[int]) -> RecordText:
    ids = np.concatenate([[END], *([*range(1, n + 1), END] for n in lengths)])
    return RecordText(ids.astype(np.uint8), END)


def test_a_text_is_of_records_where_something_parts_it() -> None:
    ids = ALPHABET.encode(f"{RECORD_END}ab{RECORD_END}")
    text = cut_text(ids, ALPHABET, "line")
    assert isinstance(text, RecordText)
    assert ALPHABET.characters[text.end] == RECORD_END
    assert isinstance(cut_text(ids, ALPHABET, None), ContinuousText)
    with pytest.raises(ValueError, match="not found"):
        cut_text(ids, Alphabet("ab"), "line")


def test_the_end_before_the_first_record_is_read_and_not_scored() -> None:
    assert CONTINUOUS.scored.tolist() == IDS.tolist()
    assert RECORDS.scored.tolist() == IDS[1:].tolist()


def test_reading_starts_afresh_at_every_end() -> None:
    assert CONTINUOUS.starts().tolist() == [0]
    assert RECORDS.starts().tolist() == [0, 3, 5, 10]
    assert RECORDS.bounds().tolist() == [0, 3, 5, 10]
    assert RECORDS[:-1].bounds().tolist() == [0, 3, 5, 9]
    assert RECORDS[:1].bounds().tolist() == [0]


def test_records_are_counted() -> None:
    assert (CONTINUOUS.record_count, CONTINUOUS.mean_record_length) == (0, None)
    assert (RECORDS.record_count, RECORDS.mean_record_length) == (3, 11 / 4)


def test_the_pieces_of_a_stretch_may_be_cut_short() -> None:
    assert [piece.tolist() for piece in CONTINUOUS[2:8].pieces()] == [IDS[2:8].tolist()]
    assert [piece.tolist() for piece in RECORDS[2:8].pieces()] == [[2], [2], [1, 1]]


@pytest.mark.parametrize(
    ("characters", "valid", "boundary"),
    [
        (100, 0.1, 90),
        (7, 0.1, 6),
        (100, 0.0, 100),
        (10, 0.5, 5),
        (10, 0.8, 2),
        (10, 0.9, 1),
        (90, 0.3, 63),
    ],
)
def test_the_end_of_a_continuous_text_is_held_out(
    characters: int, valid: float, boundary: int
) -> None:
    train, held_out = ContinuousText(np.arange(characters)).split(valid)
    assert train.ids.tolist() == list(range(boundary))
    assert held_out.ids.tolist() == list(range(boundary, characters))


@pytest.mark.parametrize(("valid", "held"), [(0.1, 2), (0.5, 6), (0.9, 11), (0.01, 1), (1e-9, 1)])
def test_whole_records_are_held_out(valid: float, held: int) -> None:
    lengths = [3, 2, 8, 3, 3, 3, 3, 3, 3, 2, 3, 7]
    train, held_out = record_text(lengths).split(valid)
    assert [len(record) for record in train.pieces()[1:-1]] == lengths[:-held]
    assert [len(record) for record in held_out.pieces()[1:-1]] == lengths[-held:]
    assert (train.record_count, held_out.record_count) == (12 - held, held)
    assert len(record_text(lengths).split(0.0)[1]) == 0


def test_a_split_copies_nothing() -> None:
    for text in (CONTINUOUS, RECORDS):
        assert all(np.shares_memory(part.ids, IDS) for part in text.split(0.3))


@pytest.mark.parametrize("most", [1, 7, 10, 11, 12])
def test_a_continuous_text_is_shortened_to_so_many_characters(most: int) -> None:
    assert CONTINUOUS.first(most).ids.tolist() == IDS[:most].tolist()
    assert CONTINUOUS.last(most).ids.tolist() == IDS[-most:].tolist()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 60))
def test_records_are_shortened_to_those_that_fit_and_one_at_least(
    lengths: list[int], most: int
) -> None:
    """The end before them counts as one of the characters."""

    def fitting(lengths: list[int]) -> int:
        return max(sum(total + 1 <= most for total in accumulate(n + 1 for n in lengths)), 1)

    text = record_text(lengths)
    first, last = fitting(lengths), fitting(lengths[::-1])
    assert text.first(most).ids.tolist() == record_text(lengths[:first]).ids.tolist()
    assert text.last(most).ids.tolist() == record_text(lengths[-last:]).ids.tolist()
    assert len(text[:0].first(most)) == 0


@pytest.mark.parametrize(
    ("position", "place"), [(0, (1, 1)), (1, (1, 2)), (2, (2, 1)), (4, (3, 1))]
)
def test_a_place_in_a_continuous_text_is_a_line_and_a_column(
    position: int, place: tuple[int, int]
) -> None:
    text = ContinuousText(ALPHABET.encode("a\nb\nc"))
    assert text.find_place(position, ALPHABET) == Place(*place)


def test_a_text_without_newlines_is_one_line() -> None:
    alphabet = Alphabet.of("ab")
    assert ContinuousText(alphabet.encode("abab")).find_place(3, alphabet) == Place(1, 4)


@pytest.mark.parametrize(
    ("position", "place"),
    [(0, (1, 1)), (1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 1)), (5, (2, 2))],
)
def test_a_place_in_a_text_of_records_is_a_record_and_a_column(
    position: int, place: tuple[int, int]
) -> None:
    text = cut_text(ALPHABET.encode(RECORD_END.join(["", "ab", "c", ""])), ALPHABET, "line")
    assert text.find_place(position, ALPHABET) == Place(*place)
