"""Drawings for a page."""

import re
import xml.etree.ElementTree as ET
from collections import Counter

import pytest

from charrnn.report.plots import SERIES, Line, draw, pick_evenly


def lines(count: int, points: int = 3) -> list[Line]:
    return [Line(f"line {number}", range(points), [number + 1] * points) for number in range(count)]


def test_a_drawing_is_sound_svg_that_fits_any_width() -> None:
    root = ET.fromstring(draw("one", "One", lines(1), "x", "y").svg)
    assert root.tag.endswith("svg")
    assert "viewBox" in root.attrib
    assert not {"width", "height"} & set(root.attrib)


def test_texts_stay_texts() -> None:
    svg = draw("two", "Two", lines(2), "million characters", "nats").svg
    for text in ("million characters", "nats", "line 0", "line 1"):
        assert f">{text}</text>" in svg


def test_every_color_is_the_pages() -> None:
    svg = draw("many", "Many", lines(SERIES), "x", "y", logarithmic=True).svg
    assert not re.findall(r"#[0-9a-f]{6}\b", svg)
    assert {f"var(--series-{number})" for number in range(SERIES)} < set(
        re.findall(r"var\(--[a-z0-9-]+\)", svg)
    )


def test_no_two_drawings_have_an_id_in_common() -> None:
    drawings = [draw(name, name, lines(2), "x", "y").svg for name in ("one", "two")]
    ids = Counter(name for svg in drawings for name in re.findall(r'\bid="([^"]*)"', svg))
    assert ids
    assert set(ids.values()) == {1}
    for svg in drawings:
        named = set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg))
        assert named
        assert all((first or second) in ids for first, second in named)


def test_the_same_lines_make_the_same_drawing() -> None:
    assert draw("one", "One", lines(2), "x", "y") == draw("one", "One", lines(2), "x", "y")


def test_a_long_curve_is_drawn_by_some_of_its_points() -> None:
    short, long = (len(draw("a", "A", lines(1, n), "x", "y").svg) for n in (500, 200_000))
    assert long < 2 * short


@pytest.mark.parametrize(("count", "chosen"), [(3, [0, 1, 2]), (9, [0, 4, 8]), (100, [0, 49, 99])])
def test_an_even_choice_has_the_first_and_the_last(count: int, chosen: list[int]) -> None:
    assert pick_evenly(range(count), 3) == chosen
