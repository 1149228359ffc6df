"""Tables that go into a header come back as they were, or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config.settings import Plain


@dataclass(frozen=True)
class Table(Plain):
    """A field of every kind."""

    count: int
    share: float
    name: str
    best: float | None
    paths: tuple[str, ...]


TABLE = Table(3, 0.5, "tales", None, ("a.txt", "b.txt"))


@settings(deadline=None)
@given(
    st.builds(
        Table,
        count=st.integers(),
        share=st.floats(allow_nan=False, allow_infinity=False),
        name=st.text(),
        best=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        paths=st.lists(st.text()).map(tuple),
    )
)
def test_a_table_comes_back_from_json(table: Table) -> None:
    assert Table.from_dict(json.loads(json.dumps(table.to_dict()))) == table


def test_a_table_becomes_plain_data_under_its_field_names() -> None:
    assert TABLE.to_dict() == {
        "count": 3,
        "share": 0.5,
        "name": "tales",
        "best": None,
        "paths": ("a.txt", "b.txt"),
    }


def test_a_list_comes_back_as_a_tuple() -> None:
    table = Table.from_dict({**TABLE.to_dict(), "paths": ["a.txt", "b.txt"]})
    assert table.paths == ("a.txt", "b.txt")


def test_a_missing_entry_is_refused() -> None:
    data = TABLE.to_dict()
    del data["share"]
    with pytest.raises(ValueError, match="needs exactly: count, share, name, best, paths"):
        Table.from_dict(data)


def test_an_unknown_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="needs exactly"):
        Table.from_dict({**TABLE.to_dict(), "extra": 1})


@pytest.mark.parametrize("data", [None, [], "count", 3, [["count", 3]]])
def test_what_is_not_a_table_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="Table needs exactly"):
        Table.from_dict(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 3.0),
        ("count", True),
        ("count", "3"),
        ("count", None),
        ("share", "0.5"),
        ("share", False),
        ("share", None),
        ("share", 2**53 + 1),
        ("share", -(10**400)),
        ("name", 3),
        ("name", ["tales"]),
        ("name", []),
        ("best", "none"),
        ("best", {}),
        ("paths", "a.txt"),
        ("paths", None),
        ("paths", [1]),
        ("paths", [["a.txt"]]),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} is .* must be"):
        Table.from_dict({**TABLE.to_dict(), name: value})


def test_a_whole_number_passes_for_a_float() -> None:
    assert Table.from_dict({**TABLE.to_dict(), "share": 1, "best": 2}).best == 2


def test_a_huge_value_is_cut_short_in_the_message() -> None:
    with pytest.raises(ValueError, match="count") as raised:
        Table.from_dict({**TABLE.to_dict(), "count": "x" * 10_000})
    assert len(str(raised.value)) < 200
