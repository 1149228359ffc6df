"""A run begins from a base model that is near to its text, and from nothing elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import charrnn
from charrnn.checkpoints.base_models import find_base_models
from charrnn.checkpoints.checkpoint import write_checkpoint
from charrnn.checkpoints.model_file import read_model
from charrnn.checkpoints.run_index import find_model, find_run
from charrnn.data.catalogue import bundled_folder
from charrnn.errors import CheckpointError
from charrnn.inference import select_backend
from charrnn.training.progress import Note, RunEvent

TALES = (bundled_folder() / "tales.txt").read_text(encoding="utf-8")
SMALL: dict[str, Any] = {"steps": 1, "threads": 1, "evaluations": 1}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a base model, small, that has read the first tales."""
    folder = tmp_path_factory.mktemp("bases")
    (folder / "first.txt").write_text(TALES[:60_000], encoding="utf-8")
    run = charrnn.train(
        folder / "first.txt", run=folder / "run", layers=1, hidden=64, steps=150, threads=1, seed=1
    )
    model = read_model(run.result.best)
    write_checkpoint(folder / "fables.safetensors", model.to_checkpoint(packed=True))
    with patch("charrnn.checkpoints.base_models.bundled_folder", lambda: folder):
        yield folder


def begin(text: str, folder: Path, **settings: Any) -> tuple[list[str], charrnn.Run]:
    """Train a step on a text; return the notes that tell of base models, and the run."""
    folder.mkdir(exist_ok=True)
    (folder / "text.txt").write_text(text, encoding="utf-8")
    events: list[RunEvent] = []
    run = charrnn.train(
        folder / "text.txt",
        run=folder / "run",
        base="auto",
        on_event=events.append,
        **{**SMALL, **settings},
    )
    told = [event.text for event in events if isinstance(event, Note)]
    return [note for note in told if "base model" in note], run


def test_a_base_model_is_taken_where_it_is_near(bases: Path, tmp_path: Path) -> None:
    notes, run = begin(TALES[-30_000:], tmp_path)
    assert [note.split(":")[0] for note in notes] == ["begins from the base model fables"]
    assert run.result.model.hidden == 64
    loss = run.result.valid_nats_per_char
    assert loss is not None
    assert loss < 2.5


@pytest.mark.parametrize(
    "text",
    [TALES[-30_000:].upper(), "0123456789 " * 3000, "".join(map(chr, range(0x4E00, 0x6E00)))],
    ids=["capitals", "digits", "Chinese"],
)
def test_a_base_model_that_is_far_from_the_text_is_not(
    bases: Path, tmp_path: Path, text: str
) -> None:
    notes, run = begin(text, tmp_path, minutes=None, steps=1, hidden=None)
    assert all(note.startswith("begins from nothing") for note in notes)
    assert not (run.result.model.hidden == 64 and run.result.model.layers == 1)


def test_settings_of_another_network_rule_a_base_model_out(bases: Path, tmp_path: Path) -> None:
    notes, run = begin(TALES[-30_000:], tmp_path, hidden=32, layers=1)
    assert not notes
    assert run.result.model.hidden == 32


def test_a_run_that_reads_more_than_a_base_model_did_begins_from_nothing(
    bases: Path, tmp_path: Path
) -> None:
    model = read_model(bases / "fables.safetensors")
    assert model.scores is not None
    longer, reason = TALES + TALES[::-1], "it has read less, in less time, than this run will"
    # More text, and more time.
    notes, _ = begin(longer * 3, tmp_path / "a", steps=None, minutes=None, epochs=1, batch=512)
    assert [note.split(": ")[1] for note in notes] == [reason]
    # More text, and less time.
    notes, _ = begin(longer * 3, tmp_path / "b")
    assert reason not in notes[0]


def test_records_begin_from_nothing(bases: Path, tmp_path: Path) -> None:
    notes, _ = begin(TALES[-30_000:], tmp_path, records="line")
    assert [note.split(": ")[1] for note in notes] == ["it has read continuous texts, not records"]


def test_a_run_or_a_text_of_the_same_name_is_not_taken_for_the_base_model(
    bases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    charrnn.train(bases / "first.txt", run="runs/fables", layers=1, hidden=16, steps=1)
    (tmp_path / "fables").write_text("a text", encoding="utf-8")
    notes, run = begin(TALES[-30_000:], tmp_path)
    assert notes[0].startswith("begins from the base model fables:")
    assert run.result.model.hidden == 64


def test_without_the_native_library_the_choice_is_the_same(
    bases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select_backend, "can_serve", lambda _: False)
    notes, _ = begin(TALES[-30_000:], tmp_path)
    assert notes[0].startswith("begins from the base model fables:")


def test_settings_of_its_own_network_do_not(bases: Path, tmp_path: Path) -> None:
    notes, _ = begin(TALES[-30_000:], tmp_path, hidden=64, dropout=0.5)
    assert notes[0].startswith("begins from")


def test_a_text_too_short_to_compare_begins_from_nothing(bases: Path, tmp_path: Path) -> None:
    notes, run = begin(TALES[:500], tmp_path, hidden=None)
    assert [note.split(": ")[1] for note in notes] == ["fewer than 512 characters do not tell"]
    assert run.result.model.hidden != 64


def test_a_base_model_is_found_by_its_name_after_runs_and_files(
    bases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(find_base_models()) == ["fables"]
    assert find_model("fables") == bases / "fables.safetensors"
    assert charrnn.load("fables").generate("The", length=5, seed=1)
    (tmp_path / "fables").mkdir()
    assert find_model("fables") == bases / "fables.safetensors"
    begin(TALES[-3000:], tmp_path, hidden=16, layers=1)
    (tmp_path / "fables").rmdir()
    (tmp_path / "run").rename(tmp_path / "fables")
    assert find_model("fables") == Path("fables/best.safetensors")


@pytest.mark.parametrize("name", ["", "../first", "fable", "fables.safetensors", "."])
def test_another_name_finds_none(bases: Path, name: str) -> None:
    assert name not in find_base_models()
    with pytest.raises(CheckpointError):
        find_model(name)


def test_a_base_model_is_no_run(bases: Path) -> None:
    with pytest.raises(CheckpointError, match="fables: is a base model, and a run is asked for"):
        find_run("fables")


def test_the_model_is_named_in_what_is_told_and_kept(bases: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TALES[-30_000:], encoding="utf-8")
    events: list[RunEvent] = []
    charrnn.train(
        tmp_path / "text.txt",
        run=tmp_path / "run",
        base="fables",
        on_event=events.append,
        **SMALL,
    )
    notes = [event.text for event in events if isinstance(event, Note)]
    assert any(note.startswith("fine-tunes fables, trained on first:") for note in notes)
