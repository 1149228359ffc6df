"""charrnn verify, through the real program."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoints.checkpoint import read_checkpoint, read_header, write_checkpoint
from charrnn.checkpoints.migrations import FORMAT
from charrnn.checkpoints.model_file import read_model
from tests.support import GOLDEN
from tests.support.forked import forked
from tests.support.program import explain

BEST, LAST = "runs/herons/best.safetensors", "runs/herons/last.safetensors"


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained run that a test may change."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    return tmp_path


def found(result: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_of_the_latest_run_both_files_are_found_sound(trained: Path) -> None:
    result = forked("verify", "--json", cwd=trained)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    best, last = found(result)
    model = read_model(trained / BEST)
    assert model.scores
    assert best == {
        "model": BEST,
        "sound": True,
        "format": FORMAT,
        "kind": "model",
        "written_by": read_header(trained / BEST)[1]["charrnn"],
        "network": model.model.to_dict(),
        "parameters": sum(weight.size for weight in model.weights.values()),
        "expert": None,
        "tensors": len(model.weights),
        "alphabet": {
            "kind": "text",
            "size": len(model.alphabet),
            "symbols": model.alphabet.characters,
        },
        "corpus": {
            "name": "herons",
            "characters": model.corpus.characters,
            "text_sha256": model.corpus.digest,
            "valid": 0.1,
            "separator": None,
        },
        "steps": model.scores.step,
        "epochs": model.scores.epoch,
        "train_seconds": model.scores.train_seconds,
        "train_nats_per_char": model.scores.train_nats_per_char,
        "valid_nats_per_char": model.scores.valid_nats_per_char,
        "held_out_learnt": 0.0,
        "model_sha256": model.digest,
    }
    assert (last["model"], last["kind"], last["sound"], last["steps"]) == (
        LAST,
        "training",
        True,
        120,
    )
    assert last["tensors"] == len(read_checkpoint(trained / LAST).arrays)
    assert last["network"] == best["network"]
    assert last["model_sha256"] != best["model_sha256"]


@pytest.mark.parametrize("named", ["herons", "runs/herons"])
def test_a_run_is_verified_by_its_name_or_its_path(trained: Path, named: str) -> None:
    result = forked("verify", named, "--json", cwd=trained)
    assert [findings["model"] for findings in found(result)] == [BEST, LAST]


def test_a_file_is_described_for_people(trained: Path) -> None:
    result = forked("verify", BEST, cwd=trained)
    assert (result.returncode, result.stderr) == (0, b""), explain(result)
    facts = dict(line.split(maxsplit=1) for line in result.stdout.decode().splitlines())
    assert facts["file"] == BEST
    assert facts["format"].startswith(f"{FORMAT}, model, charrnn ")
    assert facts["network"] == "lstm 1 x 16"
    assert facts["corpus"].startswith("herons, ")
    assert facts["trained"].endswith(" nats per held-out character")
    assert facts["verdict"].startswith("sound")


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    sorted(GOLDEN.glob("*/*.safetensors")),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_files_of_every_format_are_sound(path: Path, tmp_path: Path) -> None:
    result = forked("verify", str(path), "--json", cwd=tmp_path)
    assert result.returncode == 0, explain(result)
    (findings,) = found(result)
    assert f"format-{findings['format']}" == path.parent.name


@pytest.mark.slow
def test_a_flipped_bit_is_told_in_one_line(folder: Path) -> None:
    content = bytearray((folder / BEST).read_bytes())
    content[-9] ^= 4
    (folder / BEST).write_bytes(content)
    result = forked("verify", BEST, cwd=folder)
    assert (result.returncode, result.stdout) == (4, b""), explain(result)
    (line,) = result.stderr.decode().splitlines()
    assert line.startswith(f"charrnn: {BEST}: cannot be used: it is damaged")


def test_what_is_unsound_does_not_keep_the_rest_from_being_looked_at(folder: Path) -> None:
    (folder / BEST).write_bytes(b"")
    result = forked("verify", "nowhere", "herons", "--json", cwd=folder)
    assert result.returncode == 4, explain(result)
    nowhere, best, last = found(result)
    assert [findings["sound"] for findings in (nowhere, best, last)] == [False, False, True]
    assert [findings["model"] for findings in (nowhere, best, last)] == ["nowhere", BEST, LAST]
    problems = f"{nowhere['problem']}\n{best['problem']}".replace("\n", "\n  ")
    assert result.stderr.decode() == f"charrnn: {problems}\n"


def rewrite(path: Path, part: str, **changes: object) -> None:
    """Change a part of a header and make the digest true again."""
    checkpoint = read_checkpoint(path)
    checkpoint.header[part].update(changes)
    write_checkpoint(path, checkpoint)


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("model", {"hidden": 2**31}),
        ("train", {"batch": 0}),
        ("compute", {"device": "tpu"}),
        ("source", {"paths": ["../secret"]}),
        ("progress", {"step": "far"}),
        ("corpus", {"digest": "none"}),
    ],
)
def test_a_run_whose_digest_is_true_and_whose_header_is_not_is_unsound(
    folder: Path, part: str, changes: dict[str, object]
) -> None:
    rewrite(folder / LAST, part, **changes)
    result = forked("verify", LAST, cwd=folder)
    assert (result.returncode, result.stdout) == (4, b""), explain(result)
    (line,) = result.stderr.decode().splitlines()
    assert line.startswith(f"charrnn: {LAST}: ")


def test_weights_that_a_run_would_go_on_with_are_verified_too(folder: Path) -> None:
    checkpoint = read_checkpoint(folder / LAST)
    del checkpoint.arrays["model.head.bias"]
    write_checkpoint(folder / LAST, checkpoint)
    result = forked("verify", LAST, cwd=folder)
    assert result.returncode == 4, explain(result)
    assert b"missing or unknown tensors: head.bias" in result.stderr


@pytest.mark.slow
def test_it_needs_no_torch(trained: Path) -> None:
    command = (sys.executable, "-X", "importtime", "-m", "charrnn", "verify", "herons")
    result = subprocess.run(command, capture_output=True, check=True, cwd=trained)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.decode().splitlines()}
    assert "charrnn.checkpoints.safetensors_io" in imported
    assert "torch" not in imported


@pytest.mark.slow
def test_its_help_imports_neither_torch_nor_numpy(tmp_path: Path) -> None:
    command = (sys.executable, "-X", "importtime", "-m", "charrnn", "verify", "--help")
    result = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.decode().splitlines()}
    assert "charrnn.cli.verify" in imported
    assert not {"torch", "numpy"} & imported


def test_with_no_run_at_all_there_is_nothing_to_verify(tmp_path: Path) -> None:
    result = forked("verify", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (4, b""), explain(result)
    assert b"no latest run" in result.stderr
