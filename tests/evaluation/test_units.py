"""Measured text in lines and windows."""

import numpy as np

from charrnn.evaluation.surprisal import Measured
from charrnn.evaluation.units import Ends, find_line_ends, make_window_ends, split_into_units

TEXT = "one\ntwo two\n\nthree, and no end"


def units(text: str, ends: Ends, chunk: int) -> list[str]:
    """The units, each joined again, of a text whose nats number its characters."""
    numbers = np.arange(float(len(text)))
    measured = [
        Measured(text[begin : begin + chunk], numbers[begin : begin + chunk])
        for begin in range(0, len(text), chunk)
    ]
    found, whole, numbered = [], "", []
    for part in split_into_units(measured, ends):
        assert len(part.symbols) == len(part.nats)
        whole += part.symbols
        numbered += part.nats.tolist()
        if part.last:
            found.append(whole)
            whole = ""
    assert whole == ""
    assert numbered == list(range(len(text)))
    return found


def test_lines_end_after_their_newlines_and_with_the_text() -> None:
    for text in (TEXT, TEXT + "\n", "\n", "a", ""):
        for chunk in (1, 2, 5, 100):
            assert units(text, find_line_ends, chunk) == text.splitlines(keepends=True)


def test_windows_have_their_size_but_for_the_last() -> None:
    for size in (1, 3, 31, 200):
        for chunk in (1, 2, 5, 100):
            expected = [TEXT[begin : begin + size] for begin in range(0, len(TEXT), size)]
            assert units(TEXT, make_window_ends(size), chunk) == expected
