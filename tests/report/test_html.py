"""Numbers along a text as colors, and the name of a run."""

from pathlib import Path

import pytest

from charrnn.report.html import (
    BITS,
    ColoredText,
    color_by_activation,
    color_by_bits,
    name_run,
)


def test_a_run_has_a_name_by_whatever_path_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tales" / "..hidden").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "tales")
    named = {".": "tales", "": "tales", "..": tmp_path.name, "../tales/": "tales"}
    named |= {"../..": tmp_path.parent.name, "..hidden": "..hidden", "/": str(Path("/").resolve())}
    assert {path: name_run(Path(path)) for path in named} == named


def test_neighbors_of_one_color_stand_together() -> None:
    assert color_by_bits("abcd", [0.1, 0.2, 1.5, 20.0]) == [
        ColoredText("bits-0", "ab"),
        ColoredText("bits-2", "c"),
        ColoredText(f"bits-{len(BITS)}", "d"),
    ]


def test_a_newline_is_shown_by_a_sign_of_its_color() -> None:
    assert color_by_bits("a\nb", [0.0, 5.0, 0.0]) == [
        ColoredText("bits-0", "a"),
        ColoredText("bits-5", "\u21b5\n"),
        ColoredText("bits-0", "b"),
    ]


def test_the_end_of_a_record_is_shown_by_a_sign_and_ends_the_line() -> None:
    assert color_by_bits("a\x1eb", [0.0, 0.0, 0.0]) == [ColoredText("bits-0", "a\u241e\nb")]


def test_activations_have_a_side_and_a_strength() -> None:
    assert color_by_activation("abcde", [-1.0, -0.2, 0.0, 0.2, 1.0]) == [
        ColoredText("below-5", "a"),
        ColoredText("below-1", "b"),
        ColoredText("still", "c"),
        ColoredText("above-1", "d"),
        ColoredText("above-5", "e"),
    ]
