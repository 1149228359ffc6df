"""Files of older formats load as what they were; a file that lies about its format is refused."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from charrnn.checkpoints.checkpoint import (
    MODEL,
    TRAINING,
    encode_checkpoint,
    read_checkpoint,
    read_header,
    write_checkpoint,
)
from charrnn.checkpoints.migrations import FORMAT, upgrade_header
from charrnn.checkpoints.model_file import read_model
from charrnn.config.cells import CELLS, takers
from charrnn.config.model import ModelConfig
from charrnn.config.training import ComputeConfig, SourceConfig, TrainConfig
from charrnn.data.corpus import fit_corpus
from charrnn.data.encoded_text import ContinuousText
from charrnn.errors import CheckpointError
from charrnn.evaluation.evaluate import evaluate
from charrnn.inference.torch_backend import TorchBackend, restore_network
from charrnn.training.progress import Progress
from charrnn.training.run_config import read_request, read_run
from charrnn.training.session import resume_session
from tests.support import GOLDEN

TEXT = GOLDEN / "format-1" / "reeds.txt"

OWN: dict[str, dict[str, Any]] = {
    "lstm": {"lstm_gates": "separate", "forget_bias": 1.0},
    "gru": {"gru_reset": "after"},
    "rnn": {"activation": "tanh"},
}
"""The fixed settings of every cell in format 1."""


@dataclass(frozen=True)
class Golden:
    """A run whose files were kept when their format was new.

    Attributes:
        format: of its files.
        cell: of its model.
        nats_per_char: what reeds.txt cost under it, said the version that wrote it.
        settings: of its model, besides the cell and what all of them share.
        halvings: how often it went back; None for one that would not.
        best_nats_per_char: the same under its best model, if that is packed or has an expert.
    """

    format: int
    cell: str
    nats_per_char: float
    settings: dict[str, Any]
    halvings: int | None = None
    best_nats_per_char: float | None = None

    def nats_of(self, which: str) -> float:
        """The cost under its best model, or under its last checkpoint."""
        best = self.best_nats_per_char if which == "best" else None
        return self.nats_per_char if best is None else best

    @property
    def model(self) -> ModelConfig:
        """Its model."""
        shared = {"layers": 2, "hidden": 6, "embedding": 4, "dropout": 0.1, "norm": "layer"}
        return ModelConfig(cell=self.cell, **{**shared, **self.settings})

    def path(self, which: str) -> Path:
        """Its best model, or its last checkpoint."""
        return GOLDEN / f"format-{self.format}" / f"{self.cell}-{which}.safetensors"


_OF_1: dict[str, Any] = {"init_gain": 1.0, "weight_drop": 0.0}
_DIVERGING = {"weight_drop": 0.2, "norm": "none", "init_gain": 1.8, "activation": "relu"}
RUNS = (
    Golden(1, "lstm", 2.7235416702886557, {**OWN["lstm"], **_OF_1}),
    Golden(1, "gru", 2.5749888802044802, {**OWN["gru"], **_OF_1}),
    Golden(1, "rnn", 2.6187909485044956, {**OWN["rnn"], **_OF_1}),
    Golden(2, "lstm", 3.0028974526099947, {"weight_drop": 0.0, "lstm_gates": "capped"}),
    Golden(2, "gru", 2.703101087134528, {"weight_drop": 0.0, "gru_reset": "before"}),
    Golden(2, "stack", 2.956305904704408, {"weight_drop": 0.0, "stacks": 2, "stack_depth": 5}),
    Golden(3, "lstm", 2.897057182464844, {"weight_drop": 0.2}),
    Golden(3, "gru", 2.6779271846042154, {"weight_drop": 0.2}),
    Golden(3, "list", 2.8336810294300916, {"stacks": 2, "stack_depth": 5, "init_gain": 0.5}),
    Golden(4, "gru", 2.699501142584683, {"weight_drop": 0.2}),
    Golden(4, "rnn", 2.837794766743312, _DIVERGING, halvings=3),
    Golden(
        5,
        "lstm",
        2.786652570377063,
        {"weight_drop": 0.2, "lstm_gates": "coupled"},
        best_nats_per_char=2.786518217663886,
    ),
    Golden(
        6, "gru", 2.4914948592986046, {"weight_drop": 0.2}, best_nats_per_char=0.6038959957636422
    ),
)

Header = dict[str, Any]

every_cell = pytest.mark.parametrize("cell", OWN)


def every_golden(formats: range) -> pytest.MarkDecorator:
    runs = [golden for golden in RUNS if golden.format in formats]
    return pytest.mark.parametrize("run", runs, ids=[f"{run.cell}-{run.format}" for run in runs])


def golden(cell: str, which: str) -> Path:
    """A file of format 1."""
    return next(run for run in RUNS if run.cell == cell).path(which)


def envelope_of(path: Path) -> Header:
    with safe_open(path, framework="np") as file:
        envelope: Header = json.loads(file.metadata()["charrnn"])
    return envelope


def forge(source: Path, target: Path, change: Callable[[Header], object]) -> Path:
    """A copy with another header, its digest true, as an attacker would make it."""
    arrays = read_checkpoint(source).arrays
    envelope = envelope_of(source)
    del envelope["sha256"]
    change(envelope)
    target.write_bytes(encode_checkpoint(envelope, arrays))
    return target


def assert_refused(path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(CheckpointError) as caught:
        read(path)
    assert caught.value.exit_code == 4
    assert str(caught.value).startswith(str(path))


def test_every_golden_file_is_tried() -> None:
    tried = {run.path(which) for run in RUNS for which in ("best", "last")}
    assert tried == set(GOLDEN.glob("format-*/*.safetensors"))
    assert {run.format for run in RUNS} == set(range(1, FORMAT + 1))


@pytest.mark.slow
@every_golden(range(1, FORMAT + 1))
@pytest.mark.parametrize("which", ["best", "last"])
def test_a_model_scores_a_text_as_it_always_did(run: Golden, which: str) -> None:
    path = run.path(which)
    assert envelope_of(path)["format"] == run.format
    model = read_model(path)
    assert model.model == run.model
    ids = model.alphabet.encode(TEXT.read_text(encoding="utf-8"))
    backend = TorchBackend(restore_network(model), model.expert)
    score = evaluate(backend, ContinuousText(ids), model.alphabet)
    # Every run was best at its end, so that its average is what was kept.
    assert score.nats_per_char == pytest.approx(run.nats_of(which), abs=1e-6)


@every_golden(range(1, 4))
def test_an_older_run_goes_on_without_what_it_did_not_know(run: Golden, tmp_path: Path) -> None:
    steps = envelope_of(run.path("last"))["progress"]["step"] + 4

    def lengthen(envelope: Header) -> None:
        envelope["train"]["steps"] = envelope["progress"]["total"] = steps

    path = forge(run.path("last"), tmp_path / "last.safetensors", lengthen)
    session = resume_session(read_run(path), fit_corpus([TEXT]))
    assert session.request.train.on_divergence == "stop"
    trainer = session.trainer
    assert (trainer.good, trainer.progress.halvings) == (None, 0)
    assert trainer.train_state.weight_drop == run.model.weight_drop
    assert not trainer.finished
    assert list(trainer.fit())
    best = trainer.progress.best_nats_per_char
    assert best is not None
    assert best < envelope_of(path)["progress"]["best_nats_per_char"] + 0.01
    write_checkpoint(tmp_path / "after", session.checkpoint())
    assert envelope_of(tmp_path / "after")["format"] == FORMAT
    assert envelope_of(tmp_path / "after")["progress"]["step"] == steps


@every_golden(range(4, FORMAT + 1))
def test_a_run_knows_how_often_it_went_back_and_where_to(run: Golden) -> None:
    trainer = resume_session(read_run(run.path("last")), fit_corpus([TEXT])).trainer
    assert trainer.finished
    assert trainer.progress.halvings == (run.halvings or 0)
    assert (trainer.good is None) == (run.halvings is None)
    assert trainer.good is None or trainer.good.progress.step == 20


@every_cell
def test_a_model_of_format_1_knows_what_it_was_trained_on(cell: str) -> None:
    model = read_model(golden(cell, "best"))
    assert (model.corpus.name, model.corpus.characters) == ("reeds", len(TEXT.read_text()))
    assert model.scores is not None
    assert model.scores.step == 40


@every_cell
def test_a_run_of_format_1_reads_as_what_it_was_asked_to_do(cell: str) -> None:
    request, facts = read_request(golden(cell, "last"))
    assert request.model == read_model(golden(cell, "best")).model
    assert request.train == TrainConfig(
        steps=40,
        batch=4,
        window=16,
        evaluations=2,
        optimizer="adamw",
        learning_rate=6e-3,
        weight_decay=0.01,
        clip=1.0,
        clip_value=0.0,
        experts="none",
    )
    assert request.source == SourceConfig(paths=("/tmp/golden/reeds.txt",))
    assert (facts.name, facts.valid) == ("reeds", 0.1)


@every_cell
def test_a_run_of_format_1_is_taken_up_and_saved_in_todays_format(
    tmp_path: Path, cell: str
) -> None:
    before = read_checkpoint(golden(cell, "last"))
    request, facts = read_request(golden(cell, "last"))
    session = resume_session(read_run(golden(cell, "last")), fit_corpus([TEXT]), request)
    assert session.corpus == facts
    assert session.trainer.finished
    write_checkpoint(tmp_path / "last", session.checkpoint())
    assert envelope_of(tmp_path / "last")["format"] == FORMAT
    after = read_checkpoint(tmp_path / "last")
    assert set(after.arrays) == set(before.arrays)
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(after.arrays[name], array)
    assert read_request(tmp_path / "last")[0].model == request.model


@every_cell
def test_a_header_of_format_1_is_upgraded_to_exactly_todays_fields(cell: str) -> None:
    kind, header = read_header(golden(cell, "last"))
    assert kind == TRAINING
    old = envelope_of(golden(cell, "last"))
    for part, config in (
        ("model", ModelConfig),
        ("train", TrainConfig),
        ("compute", ComputeConfig),
        ("source", SourceConfig),
        ("progress", Progress),
    ):
        assert set(header[part]) == {field.name for field in fields(config)}
        assert {name: header[part][name] for name in old[part]} == old[part]
    assert header["corpus"] == {**old["corpus"], "records": None}
    upgraded = {"model", "train", "progress", "corpus"}
    untouched = set(old) - {"format", "kind", "sha256", *upgraded}
    assert {name: header[name] for name in untouched} == {name: old[name] for name in untouched}
    assert set(header) == untouched | upgraded
    assert read_checkpoint(golden(cell, "last")).header == header


@every_cell
def test_a_header_says_of_format_1_what_was_true_then_whatever_the_defaults_become(
    monkeypatch: pytest.MonkeyPatch, cell: str
) -> None:
    expected = read_header(golden(cell, "best"))[1]["model"]
    others = {"forget_bias": 3.0, "lstm_gates": "capped", "gru_reset": "before"}
    entry = replace(CELLS[cell], settings={**CELLS[cell].settings, **others, "activation": "relu"})
    monkeypatch.setitem(CELLS, cell, entry)
    assert read_header(golden(cell, "best"))[1]["model"] == expected
    own = {name: value for name, value in expected.items() if takers(name) and value is not None}
    assert own == OWN[cell]


def test_a_header_of_today_is_left_alone() -> None:
    header = {"model": {"cell": "lstm"}, "train": {}, "odd": 1}
    assert upgrade_header(FORMAT, header) == header


@pytest.mark.parametrize("header", [{}, {"model": None}, {"model": [1], "train": "x"}])
def test_what_is_no_header_is_left_to_the_reader(header: Header) -> None:
    assert upgrade_header(1, header) == header


def test_an_upgrade_changes_nothing_in_place() -> None:
    header = {"model": {"cell": "gru"}, "train": {"seed": 1}}
    assert upgrade_header(1, header)["model"] != {"cell": "gru"}
    assert header == {"model": {"cell": "gru"}, "train": {"seed": 1}}


MODEL_OF_1 = ("cell", "layers", "hidden", "embedding", "dropout", "norm")
"""The settings of a model's shape in files of format 1."""

NEW = {
    "model": [field.name for field in fields(ModelConfig) if field.name not in MODEL_OF_1],
    "train": ["optimizer", "clip_value"],
}
"""The fields that came with format 2."""


@pytest.mark.parametrize(
    ("part", "name"), [(part, name) for part, names in NEW.items() for name in names]
)
def test_a_file_of_format_1_with_a_field_of_format_2_is_refused(
    tmp_path: Path, part: str, name: str
) -> None:
    for value in (read_header(golden("rnn", "last"))[1][part][name], 1, "stack", None):

        def lie(envelope: Header, value: object = value) -> None:
            envelope[part][name] = value

        forged = forge(golden("rnn", "last"), tmp_path / "last", lie)
        assert_refused(forged, read_request)
        if part == "model":
            assert_refused(forged, read_model)


def test_a_file_of_format_1_with_every_field_of_format_2_is_refused(tmp_path: Path) -> None:
    _, header = read_header(golden("gru", "best"))
    forged = forge(golden("gru", "best"), tmp_path / "best", lambda old: old.update(header))
    assert_refused(forged, read_model)


@pytest.mark.parametrize(
    ("part", "name"), [(part, name) for part, names in NEW.items() for name in names]
)
def test_a_file_of_format_2_that_lacks_a_new_field_is_refused(
    tmp_path: Path, part: str, name: str
) -> None:
    path = tmp_path / "last"
    saved = read_checkpoint(golden("lstm", "last"))
    del saved.header[part][name]
    write_checkpoint(path, saved)
    assert envelope_of(path)["format"] == FORMAT
    assert_refused(path, read_request)
    if part == "model":
        assert_refused(path, read_model)


@pytest.mark.parametrize("which", ["best", "last"])
def test_a_file_of_format_1_that_calls_itself_2_is_refused(tmp_path: Path, which: str) -> None:
    forged = forge(golden("gru", which), tmp_path / which, lambda header: header.update(format=2))
    assert_refused(forged, read_model)


ODD: dict[str, Callable[[Header], object]] = {
    "a cell that came later": lambda header: header["model"].update(cell="stack"),
    "another cell": lambda header: header["model"].update(cell="lstm"),
    "a cell that never was": lambda header: header["model"].update(cell="transformer"),
    "a cell in a list": lambda header: header["model"].update(cell=["rnn"]),
    "a cell in a table": lambda header: header["model"].update(cell={"rnn": 1}),
    "a cell of nothing": lambda header: header["model"].update(cell=None),
    "no cell": lambda header: header["model"].pop("cell"),
    "an odd field": lambda header: header["model"].update(heads=8),
    "a norm that came later": lambda header: header["model"].update(norm="batch"),
    "an empty model": lambda header: header.update(model={}),
    "a model of nothing": lambda header: header.update(model=None),
    "a model in a list": lambda header: header.update(model=[header["model"]]),
    "no model": lambda header: header.pop("model"),
    "format 0": lambda header: header.update(format=0),
    "format 1.0": lambda header: header.update(format=1.0),
    "format true": lambda header: header.update(format=True),
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_header_of_format_1_is_refused(tmp_path: Path, what: str) -> None:
    for which in ("best", "last"):
        assert_refused(forge(golden("rnn", which), tmp_path / which, ODD[what]), read_model)


ODD_RUNS: dict[str, Callable[[Header], object]] = {
    "no training": lambda header: header.pop("train"),
    "training in a list": lambda header: header.update(train=[]),
    "an odd field": lambda header: header["train"].update(momentum=0.9),
    "a length too many": lambda header: header["train"].update(epochs=1),
    "no clipping": lambda header: header["train"].pop("clip"),
    "clipping by nothing": lambda header: header["train"].update(clip=None),
    "no rate": lambda header: header["train"].update(learning_rate=None),
    "the kind of a model": lambda header: header.update(kind=MODEL),
}


@pytest.mark.parametrize("what", ODD_RUNS)
def test_an_odd_run_of_format_1_is_refused(tmp_path: Path, what: str) -> None:
    assert_refused(forge(golden("rnn", "last"), tmp_path / "last", ODD_RUNS[what]), read_request)


GRU_OF_3 = GOLDEN / "format-3" / "gru-last.safetensors"
NEW_IN_4 = (
    ("train", "on_divergence", "stop"),
    ("progress", "halvings", 0),
    ("corpus", "records", None),
)


@pytest.mark.parametrize(("part", "name", "value"), NEW_IN_4)
def test_a_run_of_format_3_with_a_field_of_format_4_is_refused(
    tmp_path: Path, part: str, name: str, value: object
) -> None:
    path = forge(
        GRU_OF_3,
        tmp_path / "last",
        lambda envelope: envelope[part].update({name: value}),
    )
    assert_refused(path, lambda path: resume_session(read_run(path), fit_corpus([TEXT])))


@pytest.mark.parametrize(("part", "name", "value"), NEW_IN_4)
def test_a_run_of_format_4_that_lacks_a_new_field_is_refused(
    tmp_path: Path, part: str, name: str, value: object
) -> None:
    path = tmp_path / "last"
    saved = read_checkpoint(GRU_OF_3)
    assert saved.header[part].pop(name) == value
    write_checkpoint(path, saved)
    assert_refused(path, lambda path: resume_session(read_run(path), fit_corpus([TEXT])))
