"""Text with a number for each character: legible in color, exact without."""

import pytest
from rich.color import ColorSystem
from rich.color_triplet import ColorTriplet
from rich.style import Style

from charrnn.cli import heatmap
from charrnn.cli.heatmap import ACTIVATIONS, COSTS, Level, display

STYLED = [level for level in (*COSTS, *ACTIVATIONS) if level.style]


def luminance(color: ColorTriplet) -> float:
    """As the Web Content Accessibility Guidelines define it."""
    parts = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in color.normalized
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: ColorTriplet, other: ColorTriplet) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize(
    "system", [ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT, ColorSystem.STANDARD]
)
def test_every_level_brings_its_own_background_and_is_legible(system: ColorSystem) -> None:
    for level in STYLED:
        style = Style.parse(level.style)
        assert style.color is not None
        assert style.bgcolor is not None
        text, behind = (color.downgrade(system) for color in (style.color, style.bgcolor))
        assert contrast(text.get_truecolor(), behind.get_truecolor()) >= 4.5


@pytest.mark.parametrize("system", [ColorSystem.EIGHT_BIT, ColorSystem.STANDARD])
@pytest.mark.parametrize("levels", [COSTS, ACTIVATIONS])
def test_terminals_of_few_colors_still_tell_the_levels_apart(
    levels: tuple[Level, ...], system: ColorSystem
) -> None:
    behind = [Style.parse(level.style).bgcolor for level in levels if level.style]
    shown = {color.downgrade(system).number for color in behind if color is not None}
    assert len(shown) == len(levels) - 1


def test_marks_stand_beneath_their_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "6")
    text = "ab\n\u4e2dc\u202ed" + "efghi"
    values = [0, 9, 1, 5, 2.5, 8, 0.5, 4, 0, 0, 2, 3]
    heatmap.show([display(one, is_bytes=False) for one in text], values, COSTS)
    assert capsys.readouterr().out.split("\n\n")[0].split("\n") == [
        *("ab\u240a", " 81"),
        *("\u4e2dc", "4 2"),
        *("<U+202E>", "8"),
        *("defghi", " 4  22"),
    ]


def test_marks_stand_beneath_their_characters_where_accents_are_apart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    heatmap.show("he\u0301ron", [1, 0, 9, 2, 4, 8], COSTS)
    assert capsys.readouterr().out.split("\n")[:2] == ["he\u0301ron", "1 248"]


def test_bytes_beyond_ascii_are_shown_as_numbers() -> None:
    assert [display(one, is_bytes=True) for one in "a\xe9\x85\n\\"] == [
        "a",
        "\\xe9",
        "\\x85",
        "\u240a",
        "\\\\",
    ]
    assert display("\xe9", is_bytes=False) == "\xe9"
