"""Selection among the records that a model draws."""

from charrnn.config.inference import SampleConfig
from charrnn.inference.record_sampling import Selection
from charrnn.inference.sampling import Piece


def drawn(*records: str) -> list[Piece]:
    return [
        Piece(number, part, last, 0.0)
        for number, record in enumerate(records)
        for part, last in ((record[:1], False), (record[1:], True))
    ]


def test_a_selection_lets_through_what_will_do() -> None:
    selection = Selection(3, 5, prime="J", known={"Jan"}, unique=True)
    pieces = drawn("an", "o", "o", "akobs", "im", "a", "e")
    assert [(p.sample, p.symbols) for p in selection.choose(pieces)] == [
        (0, "Jo"),
        (1, "Jim"),
        (2, "Ja"),
    ]
    assert (selection.tries, selection.cut) == (6, 0)


def test_without_a_choice_a_record_that_was_cut_is_let_through_and_counted() -> None:
    selection = Selection(2, SampleConfig(length=3).length)
    assert [p.symbols for p in selection.choose(drawn("Ada", "Bo"))] == ["Ada", "Bo"]
    assert selection.cut == 1
