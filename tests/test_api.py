"""The public face: the calls of a program, and that they agree with the command line."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

import charrnn
from charrnn.api import Model, Run
from charrnn.config.inference import SampleConfig
from charrnn.errors import CheckpointError, CorpusError, RunDirectoryError, UsageError
from charrnn.training.progress import (
    Drawn,
    Evaluated,
    Note,
    Ready,
    SettingsChosen,
    Started,
    Step,
)
from charrnn.training.trainer import Trainer
from tests.support import GOLDEN, TEXTS

LSTM = GOLDEN / "format-3" / "lstm-best.safetensors"
TINY: dict[str, Any] = {
    "layers": 1,
    "hidden": 16,
    "steps": 6,
    "batch": 4,
    "window": 16,
    "evaluations": 2,
}


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def trained(tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return charrnn.train(text_file, **TINY)


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.chdir(tmp_path)
    run = charrnn.train(TEXTS / "names.txt", records="line", **TINY)
    return charrnn.load(run.path)


def test_importing_charrnn_imports_neither_torch_nor_numpy() -> None:
    loaded = run_python("import charrnn, sys; print(*sorted(sys.modules))").split()
    assert not {"torch", "numpy", "typer", "rich", "tqdm"} & set(loaded)


def test_using_a_model_imports_no_torch_where_the_library_serves() -> None:
    code = f"""
import sys, charrnn
from charrnn.kernels.library import load_kernels
model = charrnn.load({str(LSTM)!r})
model.generate(length=5); model.evaluate("the heron"); model.surprisal("the"); model.states("the")
print("torch" in sys.modules, load_kernels() is None)
"""
    torch_loaded, no_library = run_python(code).split()
    assert torch_loaded == no_library


def test_every_public_name_is_there() -> None:
    for name in charrnn.__all__:
        assert getattr(charrnn, name) is not None
    assert set(charrnn.__all__) <= set(dir(charrnn))
    with pytest.raises(AttributeError, match="nosuch"):
        charrnn.nosuch  # noqa: B018


def test_a_stream_joins_to_what_generate_returns_and_a_seed_fixes_it() -> None:
    model = charrnn.load(LSTM)
    text = model.generate("the ", length=40, temperature=0.7, seed=3)
    assert text == "".join(model.stream("the ", length=40, temperature=0.7, seed=3))
    assert len(text) == 40
    assert text != model.generate("the ", length=40, temperature=0.7, seed=4)


def test_generating_ends_before_a_stop() -> None:
    model = charrnn.load(LSTM)
    text = model.generate("the ", length=200, seed=3)
    stop = text[50:53]
    assert model.generate("the ", length=200, seed=3, stop=stop) == text[: text.index(stop)]


def test_settings_out_of_bounds_are_refused() -> None:
    model = charrnn.load(LSTM)
    for wrong in ({"temperature": -1}, {"seed": -1}, {"unknown": "perhaps"}, {"length": -1}):
        with pytest.raises(UsageError, match=f"^{next(iter(wrong))} is"):
            model.stream(**wrong)
    with pytest.raises(CorpusError):
        model.generate("\N{SNOWMAN}")
    with pytest.raises(UsageError):
        model.generate(stop="")


@pytest.mark.parametrize("wrong", [{"reset_every": 0}, {"reset_every": 2.5}, {"unknown": "no"}])
def test_an_evaluation_out_of_bounds_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"^{next(iter(wrong))} is"):
        charrnn.load(LSTM).evaluate("the heron", **wrong)


def test_training_out_of_bounds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("the heron " * 50)
    for wrong in ({"save_every": -1.0}, {"records": ""}, {"hidden": 0}):
        with pytest.raises(UsageError, match=f"^{next(iter(wrong))} is"):
            charrnn.train("a.txt", **wrong)
    with pytest.raises(UsageError, match="no text"):
        charrnn.train([])
    with pytest.raises(UsageError, match=r"^device is"):
        charrnn.load(LSTM, device="abacus")


def test_one_source_needs_no_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("the heron " * 200)
    run = charrnn.train("a.txt", hidden=8, layers=1, steps=2)
    (tmp_path / "a.txt").rename("b.txt")
    assert charrnn.resume("a", texts="b.txt").path == run.path
    assert charrnn.resume(Path("a")).path == run.path
    assert charrnn.load("a", corpus="b.txt").evaluate().characters > 0
    assert len(run.model.generate("the", length=9)) == 9


def test_an_evaluation_scores_every_character_once(tmp_path: Path) -> None:
    model = charrnn.load(LSTM)
    (tmp_path / "line.txt").write_text("the heron stood in the mist")
    literal = model.evaluate("the heron stood in the mist")
    assert literal.characters == 27
    assert literal.nats_per_char == model.evaluate(tmp_path / "line.txt").nats_per_char
    bits = model.surprisal("the heron stood in the mist")
    assert bits.bits_per_char == pytest.approx(literal.bits_per_char, rel=1e-9)
    with pytest.raises(CorpusError, match="empty"):
        model.evaluate("")


def test_units_are_scored_in_turn(tmp_path: Path) -> None:
    model, text = charrnn.load(LSTM), "the heron stood\nin the mist"
    lines = list(model.score(text))
    assert [(line.number, line.text) for line in lines] == [*enumerate(text.split("\n"), 1)]
    (tmp_path / "lines.txt").write_text(text)
    assert list(model.score(tmp_path / "lines.txt")) == lines
    whole = model.evaluate(text)
    for by in ("character", "window"):
        units = list(model.score(text, by=by, window=5 if by == "window" else None))
        assert "".join(unit.text for unit in units) == text
        assert sum(unit.characters for unit in units) == whole.characters
        bits = sum(unit.bits for unit in units) / whole.characters
        assert bits == pytest.approx(whole.bits_per_char, rel=1e-9)
    (skipped,) = model.score("\N{SNOWMAN}", unknown="skip")
    assert (skipped.characters, skipped.bits) == (0, 0)
    assert math.isnan(skipped.bits_per_char)


@pytest.mark.parametrize(
    ("setting", "choice"),
    [
        ("by", {"by": "paragraph"}),
        ("by", {"by": "record"}),
        ("window", {"window": 5}),
        ("window", {"by": "window", "window": 0}),
        ("window", {"by": "window", "window": 2.5}),
        ("unknown", {"unknown": "ignore"}),
    ],
)
def test_units_that_make_no_sense_are_refused(setting: str, choice: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as raised:
        charrnn.load(LSTM).score("the heron", **choice)
    assert raised.value.settings == (setting,)


def test_states_are_those_after_each_character() -> None:
    model = charrnn.load(LSTM)
    whole, part = model.states("the heron"), model.states("the")
    for name, values in whole.items():
        assert values.shape[:2] == (9, model.file.model.layers)
        np.testing.assert_allclose(values[:3], part[name], atol=1e-6)
    assert model.states("")["h"].shape[0] == 0


def test_states_of_a_record_begin_after_the_end_of_another(names: Model) -> None:
    backend, ids = names.backend("scoring"), names.alphabet.encode("\x1eMa")
    state = backend.read(ids[:, None], backend.initial_state(1))
    expected = backend.hidden(state)["h"][:, 0]
    np.testing.assert_allclose(names.states("Ma")["h"][-1], expected, atol=1e-6)


def test_a_record_is_a_sample(names: Model) -> None:
    record = names.generate("Ma", seed=2, length=30)
    assert record.startswith("Ma")
    assert "\n" not in record
    assert names.evaluate().records
    assert names.evaluate("Anna\nMaria\n").records == 2
    with pytest.raises(UsageError, match="records"):
        names.evaluate(reset_every=5)


@pytest.mark.parametrize("unknown", ["skip", "replace"])
def test_a_record_begins_with_what_the_model_read(names: Model, unknown: str) -> None:
    read = "Ma" + (names.alphabet.replacement if unknown == "replace" else "")
    record = names.generate("Ma\N{SNOWMAN}", unknown=unknown, seed=2, length=30)
    assert record == names.generate(read, seed=2, length=30)
    assert record.startswith(read)
    config, notes = SampleConfig(count=3, length=30), list[str]()
    pieces = names.draw("Ma\N{SNOWMAN}", config, seed=2, unknown=unknown, on_note=notes.append)
    assert all(piece.symbols.startswith(read) for piece in pieces)
    assert "1 characters the model does not know were" in notes[0]


def test_records_are_scored_each_afresh(names: Model) -> None:
    anna, maria = names.score("Anna\nMaria\n")
    assert (anna.text, anna.characters, maria.text) == ("Anna", 5, "Maria")
    assert next(iter(names.score("Maria\n"))).bits == pytest.approx(maria.bits, rel=1e-6)
    for setting, choice in (("by", {"by": "line"}), ("carried", {"carried": True})):
        with pytest.raises(UsageError) as raised:
            names.score("Anna\n", **choice)
        assert raised.value.settings == (setting,)


def test_results_draw_themselves_in_a_notebook_without_obeying_the_text() -> None:
    model = charrnn.load(LSTM)
    picture = model.surprisal("the heron <b>", unknown="replace")._repr_html_()
    assert picture.count("<span") == 13
    assert "<b>" not in picture
    assert "bits per character" in model.evaluate("the heron")._repr_html_()


def test_training_tells_its_events_in_order(
    tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[object] = []
    run = charrnn.train(text_file, on_event=told.append, **TINY)
    kinds = [type(event) for event in told]
    assert kinds.index(Ready) < kinds.index(Started) < kinds.index(Step)
    assert {Evaluated, Drawn} <= set(kinds)
    assert (run.result.steps, run.result.stopped) == (6, False)
    assert charrnn.load().path.parent.resolve() == run.path.resolve()


def test_nothing_is_written_before_a_run_is_ready(
    tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def refuse(event: object) -> None:
        if isinstance(event, Ready):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        charrnn.train(text_file, on_event=refuse, **TINY)
    assert list(tmp_path.iterdir()) == [text_file]


@pytest.mark.parametrize("problem", [KeyboardInterrupt, MemoryError, ZeroDivisionError])
@pytest.mark.parametrize("during", [Ready, SettingsChosen, Started])
def test_a_start_that_fails_leaves_nothing_that_refuses_the_next(
    tmp_path: Path,
    text_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    problem: type[BaseException],
    during: type,
) -> None:
    monkeypatch.chdir(tmp_path)

    def fail(event: object) -> None:
        if isinstance(event, during):
            raise problem

    for _ in range(2):
        with pytest.raises(problem):
            charrnn.train(text_file, run="deep/run", on_event=fail, **TINY)
    left = {path.name for path in tmp_path.rglob("*")} - {"runs", ".latest", ".latest.lock"}
    assert left == {text_file.name}


def test_a_first_step_that_fails_leaves_nothing_that_refuses_the_next(
    tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "fit", mock.Mock(side_effect=MemoryError))
        with pytest.raises(MemoryError):
            charrnn.train(text_file, run="run", **TINY)
    assert not Path("run").exists()
    assert charrnn.train(text_file, run="run", **TINY).result.steps == 6


def test_a_start_that_fails_leaves_the_run_that_it_was_to_replace_and_its_text(
    tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path("run")
    run.mkdir()
    text = text_file.rename(run / "herons.txt")
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "fit", mock.Mock(side_effect=MemoryError))
        with pytest.raises(MemoryError):
            charrnn.train(text, run=run, **TINY)
    assert list(run.iterdir()) == [text]
    charrnn.train(text, run=run, **TINY)
    with pytest.raises(KeyboardInterrupt):
        charrnn.train(text, run=run, overwrite=True, on_event=stop_when_ready, **TINY)
    assert charrnn.resume(run).result.steps == 6


def stop_when_ready(event: object) -> None:
    if isinstance(event, Ready):
        raise KeyboardInterrupt


def test_a_current_folder_that_takes_no_mark_is_noted_and_nothing_more(
    tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    Path("runs").touch()
    notes: list[str] = []

    def note(event: object) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    run = charrnn.train(text_file, run=tmp_path / "run", on_event=note, **TINY)
    assert run.result.steps == 6
    assert charrnn.resume(tmp_path / "run", on_event=note).result.steps == 6
    marks = [text for text in notes if text.startswith("the run is not marked as the latest: runs")]
    assert len(marks) == 2


@pytest.mark.slow
def test_a_run_that_is_stopped_resumes_to_the_same_model(
    tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = charrnn.train(text_file, run="whole", **TINY)
    steps: list[int] = []

    def count(event: object) -> None:
        if isinstance(event, Step):
            steps.append(event.step)

    cut = charrnn.train(
        text_file, run="cut", on_event=count, should_stop=lambda: len(steps) == 3, **TINY
    )
    assert (cut.result.stopped, cut.result.steps) == (True, 3)
    ended = charrnn.resume("cut")
    assert (ended.result.stopped, ended.result.steps) == (False, 6)
    weights = [charrnn.load(run.path).file.weights for run in (whole, ended)]
    for name, values in weights[0].items():
        np.testing.assert_array_equal(values, weights[1][name])


@pytest.mark.slow
def test_a_run_is_fine_tuned_from_another(trained: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("The badger ground the corn, and the mouse asked everybody. ö" * 40)
    notes: list[object] = []
    tuned = charrnn.train(other, base=trained.path, run="tuned", steps=4, on_event=notes.append)
    assert "ö" in charrnn.load(tuned.path).alphabet.characters
    with pytest.raises(UsageError, match="hidden"):
        charrnn.train(other, base=trained.path, run="more", hidden=99)


def test_mistakes_are_told(trained: Run, text_file: Path) -> None:
    with pytest.raises(RunDirectoryError):
        charrnn.train(text_file, **TINY)
    with pytest.raises(ValueError, match="did you mean"):
        charrnn.train(text_file, hiden=3)
    with pytest.raises(UsageError, match="layers"):
        charrnn.train(text_file, run="r", layers=-1)
    with pytest.raises(CheckpointError):
        charrnn.load("nosuch")
    with pytest.raises(CheckpointError):
        charrnn.resume("nosuch")


@pytest.mark.slow
def test_a_notebook_shows_a_bar(
    tmp_path: Path,
    text_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    charrnn.train(text_file, run="quiet", **TINY)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    charrnn.train(text_file, run="shown", **TINY)
    assert "held-out loss" in "".join(capsys.readouterr())


@pytest.mark.slow
def test_the_command_line_draws_and_scores_the_same() -> None:
    model = charrnn.load(LSTM)
    command = [sys.executable, "-m", "charrnn"]
    options = ["--seed", "5", "--length", "60", "--temp", "0.8", "--prime", "the "]
    drawn = subprocess.run(
        [*command, "sample", str(LSTM), *options], capture_output=True, check=True, timeout=120
    ).stdout.decode()
    assert drawn == model.generate("the ", seed=5, length=60, temperature=0.8)
    scored = subprocess.run(
        [*command, "eval", str(LSTM), "-", "--json"],
        input=b"the heron stood",
        capture_output=True,
        check=True,
        timeout=120,
    ).stdout
    assert json.loads(scored)["nats_per_char"] == model.evaluate("the heron stood").nats_per_char
