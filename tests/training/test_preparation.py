"""A new run holds out a window at least, or nothing."""

from pathlib import Path
from typing import Any

import pytest

from charrnn.data.corpus import SplitCorpus
from charrnn.errors import UsageError
from charrnn.training.auto_config import complete_settings
from charrnn.training.preparation import prepare_run
from charrnn.training.progress import Note, Observer, RunEvent

WORDS = "the heron stood in the ford and counted what went by\n"


def prepare(
    folder: Path, text: str, *, records: str | None = None, **settings: Any
) -> tuple[SplitCorpus, float, list[str]]:
    """Return the split, the share that is held out, and the notes."""
    path, notes = folder / "text.txt", list[RunEvent]()
    path.write_text(text, encoding="utf-8")
    with prepare_run(
        [str(path)],
        folder / "run",
        complete_settings(settings),
        records=records,
        chooses_share="valid" not in settings,
        observer=Observer(notes.append),
    ) as new:
        said = [note.text for note in notes if isinstance(note, Note)]
        return new.split, new.settings["valid"], said


def test_a_window_is_enough(tmp_path: Path) -> None:
    for given in (None, 0.1):
        chosen: dict[str, Any] = (
            {"window": 128} if given is None else {"window": 128, "valid": given}
        )
        split, valid, notes = prepare(tmp_path, "abcd" * 320, **chosen)
        assert (len(split.held_out), valid, notes) == (128, 0.1, [])


def test_of_a_short_text_nothing_is_held_out_and_it_is_said(tmp_path: Path) -> None:
    split, valid, notes = prepare(tmp_path, "abcd" * 300)
    assert (len(split.held_out), len(split.train), valid) == (0, 1200, 0.0)
    assert (
        "nothing is held out: 10% are 120 of 1,200 characters, fewer than a window of 128"
        in notes[0]
    )
    assert prepare(tmp_path, "abc")[1] == 0


@pytest.mark.parametrize(
    ("valid", "window", "held_out"),
    [(0.0001, 128, 1), (1e-12, 128, 0), (0.02, 128, 106), (0.0001, 1, 1), (0.1, 1000, 530)],
)
def test_a_share_of_less_than_a_window_is_refused_with_the_numbers(
    tmp_path: Path, valid: float, window: int, held_out: int
) -> None:
    with pytest.raises(UsageError, match=f"holds out {held_out} of 5,300 characters") as raised:
        prepare(tmp_path, WORDS * 100, valid=valid, window=window)
    assert raised.value.settings == ("valid",)
    assert [remedy.means for remedy in raised.value.remedies] == ["valid", "valid"]


def test_a_share_that_is_as_long_as_the_window_of_a_short_text_is_kept(tmp_path: Path) -> None:
    split, valid, _ = prepare(tmp_path, WORDS, valid=0.5)
    assert (len(split.held_out), valid) == (27, 0.5)
    assert prepare(tmp_path, WORDS, valid=0)[1] == 0


def test_records_are_counted_in_characters_too(tmp_path: Path) -> None:
    names = "".join(f"name{number:03}\n" for number in range(200))
    split, valid, notes = prepare(tmp_path, names, records="line")
    assert (split.held_out.record_count, valid, notes) == (20, 0.1, [])
    with pytest.raises(UsageError, match="holds out 8 of 1,601 characters"):
        prepare(tmp_path, names, records="line", valid=0.0002)
    split, valid, notes = prepare(tmp_path, names[: 8 * 50], records="line")
    assert (split.train.record_count, len(split.held_out), valid) == (50, 0, 0.0)
    assert "10% are 40 of 401 characters" in notes[0]
