"""A small share of the reader's trials, and that each of them can fail."""

from pathlib import Path

import pytest

from charrnn.checkpoints import checkpoint, model_file
from charrnn.checkpoints.checkpoint import CheckpointFile
from charrnn.checkpoints.safetensors_io import Specs, TensorSpec
from tests.robustness import hostile
from tests.robustness.hostile import HOSTILE, refuse_hostile_files
from tests.robustness.mutations import put_together, take_apart
from tests.robustness.promise import Promise, assert_kept, put_to_the_test
from tests.robustness.reader import PROMISES, is_sound_or_refused, refuses, subjects

pytestmark = pytest.mark.slow

SHARE = {
    "A checkpoint with any one bit of its header flipped is refused": 400,
    "A checkpoint with a bit of its data flipped is refused": 100,
    "A checkpoint cut short at any length is refused": 200,
    "A checkpoint with bytes after its end is refused": 50,
    "A checkpoint with two blocks swapped is refused": 100,
    "A fuzzed checkpoint is refused, and crashes no reader": 1000,
    "A forged checkpoint, its digest true, is refused or sound, and crashes no reader": 600,
    "A forged run, its digest true, is refused or goes on": 20,
    "A checkpoint that changes while it is read is refused or read whole": 50,
    "A file made to do harm gets one line, exit code 4 and little memory": 5,
}


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.text)
def test_a_share_of_the_trials_finds_nothing(promise: Promise) -> None:
    # What a draw leaves as it was is tried as nothing.
    assert_kept(promise, SHARE[promise.text], seed=11)


def test_more_than_a_million_fuzzed_files_are_tried() -> None:
    assert sum(p.count for p in PROMISES if "fuzzed" in p.text or "forged" in p.text) > 10**6


@pytest.mark.parametrize("name", subjects())
def test_the_files_that_are_disturbed_are_sound(name: str) -> None:
    data = subjects()[name]
    assert put_together(take_apart(data)) == data
    assert refuses(data) == "taken for a sound file"
    assert is_sound_or_refused(data) is None


def failures_of(promise: str, count: int) -> tuple[str, ...]:
    (found,) = (each for each in PROMISES if promise in each.text)
    return put_to_the_test(found, count, seed=11).failures


def test_a_reader_without_a_digest_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CheckpointFile, "_check_digest", lambda file, contents: None)
    assert failures_of("bit of its data", 50)
    assert failures_of("blocks swapped", 50)


def test_a_reader_that_takes_other_spellings_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Anything(bytes):
        def __ne__(self, other: object) -> bool:
            return False

    def spell(text: str, specs: Specs) -> bytes:
        return Anything()

    monkeypatch.setattr(checkpoint, "encode_head", spell)
    assert failures_of("fuzzed", 1000)


def test_a_reader_that_lets_weights_through_that_are_not_finite_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoint, "is_finite", lambda array: True)
    assert any("unsound" in wrong for wrong in failures_of("forged checkpoint", 600))


def test_a_reader_that_takes_any_tensors_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def accept(path: Path, config: object, size: int, specs: dict[str, TensorSpec]) -> None:
        return None

    monkeypatch.setattr(model_file, "check_weights", accept)
    assert failures_of("forged checkpoint", 300)


def test_a_program_that_takes_a_hostile_file_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(path: Path) -> None:
        path.write_bytes(hostile.SOUND)

    monkeypatch.setattr(hostile, "HOSTILE", {"none at all": copy})
    (wrong,) = refuse_hostile_files(1, seed=1)
    assert wrong
    assert wrong.startswith("verify of none at all: exit 0, saying ")


def test_a_program_that_fills_the_memory_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile, "LIMIT_MB", 1)
    (wrong,) = refuse_hostile_files(1, seed=1)
    assert wrong
    assert "MB of memory held" in wrong


def test_every_hostile_file_is_another(tmp_path: Path) -> None:
    for number, make in enumerate(HOSTILE.values()):
        make(tmp_path / str(number))
    small = [path for path in tmp_path.iterdir() if path.is_file() and path.stat().st_size < 2**21]
    assert len({path.read_bytes() for path in small}) == len(small)
    assert len(list(tmp_path.iterdir())) >= len(HOSTILE) - 1
