"""Ids are gathered as they come, and widen when they must."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from charrnn.growing import Growing

PARTS = st.lists(
    st.tuples(st.sampled_from(["u1", "u2", "u4"]), st.lists(st.integers(0, 255))), max_size=8
)


@given(PARTS)
def test_what_was_added_comes_back_in_the_widest_kind(parts: list[tuple[str, list[int]]]) -> None:
    growing = Growing(np.dtype("u1"))
    for kind, values in parts:
        growing.add(np.array(values, dtype=kind))
    whole = growing.array()
    assert whole.tolist() == [value for _, values in parts for value in values]
    assert whole.dtype == max(kind for kind, _ in [("u1", []), *parts])
    assert len(growing) == len(whole)


def test_the_array_can_be_written_to_in_place() -> None:
    growing = Growing(np.dtype("u2"))
    growing.add(np.array([1, 2], dtype="u1"))
    growing.array()[:] += 300
    assert growing.array().tolist() == [301, 302]
