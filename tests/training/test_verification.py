"""Verified checkpoints: their content, and the files of a run."""

import shutil
from pathlib import Path

import pytest

from charrnn.checkpoints.checkpoint import MODEL, TRAINING, read_header
from charrnn.checkpoints.model_file import read_model
from charrnn.errors import CheckpointError
from charrnn.training.verification import find_checkpoints, verify_checkpoint
from tests.support import GOLDEN

BEST = GOLDEN / "format-3" / "lstm-best.safetensors"
LAST = GOLDEN / "format-3" / "lstm-last.safetensors"


def test_a_verified_file_tells_what_it_holds() -> None:
    model, best, last = read_model(BEST), verify_checkpoint(BEST), verify_checkpoint(LAST)
    assert (best.kind, last.kind) == (MODEL, TRAINING)
    assert (best.path, best.version) == (BEST, read_header(BEST)[1]["charrnn"])
    assert len(best.digest) == 64
    assert (best.model, best.alphabet, best.corpus) == (model.model, model.alphabet, model.corpus)
    assert (best.parameters, best.tensors) == (model.parameters, len(model.weights))
    assert last.parameters == best.parameters
    assert last.tensors > best.tensors
    assert best.scores
    assert best.step == best.scores.step
    assert last.step


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    data = bytearray(BEST.read_bytes())
    data[-1] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="digest"):
        verify_checkpoint(tmp_path / "damaged.safetensors")


def test_a_run_stands_for_both_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path("runs/herons")
    run.mkdir(parents=True)
    shutil.copy(BEST, run / "best.safetensors")
    shutil.copy(LAST, run / "last.safetensors")
    assert find_checkpoints("herons") == [run / "best.safetensors", run / "last.safetensors"]
    assert find_checkpoints(str(BEST)) == [BEST]
    with pytest.raises(CheckpointError):
        find_checkpoints("ravens")
