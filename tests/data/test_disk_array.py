"""Ids are gathered as they come, widen when they must, and lie in a file when they are many."""

import gc
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.data import disk_array
from charrnn.data.disk_array import GrowingArray
from charrnn.errors import StorageError

PARTS = st.lists(
    st.tuples(st.sampled_from(["u1", "u2", "u4"]), st.lists(st.integers(0, 255))), max_size=8
)
BOUNDS = st.sampled_from([0, 7, 64, 1 << 20])
"""Bytes that may be held in memory."""


@given(PARTS, BOUNDS)
def test_what_was_added_comes_back_in_the_widest_kind(
    parts: list[tuple[str, list[int]]], bound: int
) -> None:
    with patch.object(disk_array, "MOST_IN_MEMORY", bound), patch.object(disk_array, "_AT_ONCE", 8):
        gathered = GrowingArray(np.dtype("u1"))
        for kind, values in parts:
            gathered.add(np.array(values, dtype=kind))
        whole = gathered.array()
    assert whole.tolist() == [value for _, values in parts for value in values]
    assert whole.dtype == max(kind for kind, _ in [("u1", []), *parts])
    assert len(gathered) == len(whole)


@given(st.lists(st.integers(0, 255)), st.sampled_from(["u1", "u2"]), BOUNDS)
def test_every_element_is_translated_in_its_place(values: list[int], kind: str, bound: int) -> None:
    with patch.object(disk_array, "MOST_IN_MEMORY", bound), patch.object(disk_array, "_AT_ONCE", 8):
        gathered = GrowingArray(np.dtype(kind))
        gathered.add(np.array(values, dtype=kind))
        gathered.translate(np.arange(255, -1, -1, dtype=kind))
        assert gathered.array().tolist() == [255 - value for value in values]


@pytest.mark.parametrize("bound", [0, 1 << 20])
def test_the_array_is_only_to_be_read(monkeypatch: pytest.MonkeyPatch, bound: int) -> None:
    monkeypatch.setattr(disk_array, "MOST_IN_MEMORY", bound)
    gathered = GrowingArray(np.dtype("u2"))
    gathered.add(np.array([1, 2], dtype="u1"))
    assert gathered.array().tolist() == [1, 2]
    assert not gathered.array().flags.writeable


@pytest.mark.slow
def test_a_file_that_finds_no_room_is_an_error_that_says_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disk_array, "MOST_IN_MEMORY", 4)
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no file that is always full")
    monkeypatch.setattr(disk_array, "TemporaryFile", lambda: full.open("r+b"))
    gathered = GrowingArray(np.dtype("u1"))
    gathered.add(np.arange(4, dtype="u1"))
    gathered.add(np.arange(4, dtype="u1"))
    with pytest.raises(StorageError, match=r"temporary file: No space left.*\nSet TMPDIR"):
        gathered.array()
    # Whatever is left is let go of without a word: pytest makes an error of one.
    del gathered
    gc.collect()
