"""The checkpoint file: what goes in comes out, and nothing else is let in."""

import errno
import json
import os
import pickle
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from charrnn.checkpoints import checkpoint
from charrnn.checkpoints.checkpoint import (
    MODEL,
    TRAINING,
    Arrays,
    Checkpoint,
    open_checkpoint,
    read_checkpoint,
    read_header,
    write_checkpoint,
)
from charrnn.checkpoints.migrations import FORMAT
from charrnn.errors import CheckpointError

HEADER: dict[str, Any] = {
    "text": 'heron, Füchse, 狐, 🦊, "quoted"\n\0',
    "numbers": [0, -1, 2**63 - 1, 0.1, 1e-300],
    "nested": {"none": None, "true": True, "empty": []},
}
ARRAYS: Arrays = {
    "weights": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "exact": np.array([0.1, -0.0, 5e-324]),
    "scalar": np.array(3.5, dtype=np.float32),
    "bytes": np.arange(256, dtype=np.uint8),
    "counts": np.array([-(2**63), 2**63 - 1]),
    "nothing": np.zeros((0, 4), dtype=np.float32),
}
SOUND = {"format": FORMAT, "kind": MODEL}


def canonical(envelope: dict[str, Any]) -> str:
    return json.dumps(envelope, separators=(",", ":"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.safetensors"


@pytest.fixture
def content(path: Path) -> bytes:
    """The bytes of a sound checkpoint, which stands at ``path``."""
    write_checkpoint(path, Checkpoint(MODEL, HEADER, ARRAYS))
    return path.read_bytes()


def refused(path: Path, read: Callable[[Path], object] = read_checkpoint) -> bool:
    """Return whether reading raises an error of the right kind that names the file."""
    try:
        read(path)
    except CheckpointError as problem:
        return problem.exit_code == 4 and str(problem).startswith(str(path))
    return False


def by_hand(header: str, *tensors: tuple[str, str, int]) -> bytes:
    """A safetensors file of charrnn's with vectors of (name, type, bytes), digest untrue."""
    listing: dict[str, Any] = {"__metadata__": {"charrnn": header}}
    end = 0
    for name, kind, size in tensors:
        listing[name] = {"dtype": kind, "shape": [1], "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(listing).encode()
    return len(text).to_bytes(8, "little") + text + bytes(end)


def enveloped(**entries: object) -> bytes:
    return by_hand(canonical({**SOUND, **entries, "sha256": "0" * 64}))


@pytest.mark.parametrize("kind", [MODEL, TRAINING])
def test_header_and_arrays_come_back_as_they_were(path: Path, kind: str) -> None:
    write_checkpoint(path, Checkpoint(kind, HEADER, ARRAYS))
    found = read_checkpoint(path)
    assert (found.kind, found.header) == (kind, HEADER)
    assert read_header(path) == (kind, HEADER)
    assert set(found.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        got = found.arrays[name]
        assert (got.dtype, got.shape, got.tobytes()) == (array.dtype, array.shape, array.tobytes())


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0)[::2],
    ],
    ids=["transposed", "columns first", "strided"],
)
def test_arrays_come_back_whatever_their_order_in_memory(path: Path, array: NDArray[Any]) -> None:
    write_checkpoint(path, Checkpoint(MODEL, {}, {"array": array}))
    np.testing.assert_array_equal(read_checkpoint(path).arrays["array"], array)


def test_the_same_content_is_written_byte_for_byte_the_same(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(20)]
    for path in paths:
        write_checkpoint(path, Checkpoint(MODEL, HEADER, ARRAYS))
    assert len({path.read_bytes() for path in paths}) == 1


def test_the_order_in_which_arrays_are_named_does_not_matter(path: Path) -> None:
    backwards = dict(reversed(ARRAYS.items()))
    write_checkpoint(path, Checkpoint(MODEL, HEADER, backwards))
    assert set(read_checkpoint(path).arrays) == set(ARRAYS)


def test_a_file_is_json_and_the_arrays_bytes_with_nothing_pickled(content: bytes) -> None:
    start = 8 + int.from_bytes(content[:8], "little")
    listing = json.loads(content[8:start])
    envelope = json.loads(listing.pop("__metadata__")["charrnn"])
    assert len(envelope.pop("sha256")) == 64
    assert envelope == {**SOUND, **HEADER}
    assert set(listing) == set(ARRAYS)
    stored = {name: slice(*entry["data_offsets"]) for name, entry in listing.items()}
    for name, where in stored.items():
        assert content[start:][where] == ARRAYS[name].tobytes()
    assert len(content) == start + sum(array.nbytes for array in ARRAYS.values())


def test_a_pickle_is_refused_and_never_run(path: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.mkdir, (tmp_path / "sprung",)

    path.write_bytes(pickle.dumps(Trap()))
    assert refused(path)
    assert refused(path, read_header)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.slow
def test_a_file_cut_short_anywhere_is_refused(path: Path, content: bytes) -> None:
    def accepted(length: int) -> bool:
        path.write_bytes(content[:length])
        return not (refused(path) and refused(path, read_header))

    assert [length for length in range(len(content)) if accepted(length)] == []


def test_a_file_with_something_after_its_end_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content + b"\0")
    assert refused(path)


@pytest.mark.slow
def test_a_bit_flipped_anywhere_is_noticed(path: Path, content: bytes) -> None:
    draw = random.Random(1)

    def accepted(position: int) -> bool:
        damaged = bytearray(content)
        damaged[position] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        return not refused(path)

    assert [position for position in range(len(content)) if accepted(position)] == []


def test_random_bytes_in_the_header_raise_no_other_error(path: Path, content: bytes) -> None:
    draw = random.Random(2)
    for _ in range(200):
        damaged = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(content) // 2)] = draw.randrange(256)
        path.write_bytes(damaged)
        for read in (read_checkpoint, read_header):
            assert damaged == content or refused(path, read)


NO_CHECKPOINTS = {
    "empty": b"",
    "empty header": bytes(8),
    "absurd header length": b"\xff" * 8 + b"{}",
    "plain text": b"not a checkpoint at all",
    "no metadata": save({"weights": np.zeros(2)}),
    "other metadata": save({"weights": np.zeros(2)}, metadata={"format": "pt"}),
    "nothing for JSON": by_hand(""),
    "not JSON": by_hand("not JSON"),
    "a JSON list": by_hand("[]"),
    "deep JSON lists": by_hand("[" * 200_000),
    "deep JSON objects": by_hand('{"format":' * 50_000),
    "absurd JSON number": by_hand('{"format":' + "9" * 5000 + "}"),
    "no format": by_hand("{}"),
    "format as text": enveloped(format="1"),
    "format as truth": enveloped(format=True),
    "format as fraction": enveloped(format=1.0),
    "format zero": enveloped(format=0),
    "negative format": enveloped(format=-1),
    "future format": enveloped(format=FORMAT + 1),
    "unknown kind": enveloped(kind="optimiser"),
    "no kind": enveloped(kind=None),
    "kind as list": enveloped(kind=[MODEL]),
}


def test_what_is_no_checkpoint_is_refused(path: Path) -> None:
    for content in NO_CHECKPOINTS.values():
        for read in (read_checkpoint, read_header):
            path.write_bytes(content)
            assert refused(path, read)


def test_a_path_without_a_file_is_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("missing", "", "some.safetensors/below", "n" * 300):
        for read in (read_checkpoint, read_header):
            assert refused(tmp_path / name, read)


def test_a_future_format_is_named_by_its_number_beside_the_one_known_here(path: Path) -> None:
    path.write_bytes(enveloped(format=FORMAT + 41))
    with pytest.raises(CheckpointError, match=f"format {FORMAT + 41}.* format {FORMAT}"):
        read_checkpoint(path)


def test_another_programs_safetensors_file_is_told_apart_from_a_damaged_one(path: Path) -> None:
    path.write_bytes(save({"weights": np.zeros(2)}))
    with pytest.raises(CheckpointError, match="not one of charrnn's"):
        read_checkpoint(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_that_are_not_finite_are_neither_written_nor_read(
    path: Path, value: float, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = {"sound": np.zeros(3), "odd": np.array([1, value, 2], dtype=dtype)}
    with pytest.raises(ValueError, match=r"odd .* not finite"):
        write_checkpoint(path, Checkpoint(MODEL, {}, arrays))
    assert not path.exists()
    with monkeypatch.context() as unchecked:
        unchecked.setattr(checkpoint, "is_finite", lambda array: True)
        write_checkpoint(path, Checkpoint(MODEL, {}, arrays))
    with pytest.raises(CheckpointError, match=r"'odd'.* not finite"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("dtype", "size"), [("F16", 2), ("BF16", 2), ("I32", 4), ("U64", 8), ("BOOL", 1), ("C64", 8)]
)
def test_a_tensor_of_an_unknown_type_is_refused_by_name(path: Path, dtype: str, size: int) -> None:
    path.write_bytes(by_hand(canonical(SOUND), ("odd", dtype, size)))
    with pytest.raises(CheckpointError, match=f"'odd' is of type {dtype}"):
        read_checkpoint(path)


def test_more_tensors_than_any_model_has_are_refused(path: Path) -> None:
    path.write_bytes(by_hand(canonical(SOUND), *((str(n), "U8", 1) for n in range(9000))))
    with pytest.raises(CheckpointError, match="9,000 tensors"):
        read_checkpoint(path)


@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.bool_])
def test_a_type_that_no_reader_takes_is_not_written(path: Path, dtype: type) -> None:
    with pytest.raises(ValueError, match="odd is of type"):
        write_checkpoint(path, Checkpoint(MODEL, {}, {"odd": np.zeros(2, dtype=dtype)}))


@pytest.mark.parametrize(
    "header",
    [
        json.dumps(SOUND),
        canonical(SOUND).replace("{", '{"format":1,', 1),
        canonical({**SOUND, "text": "\u00e9"}).replace("\\u00e9", "\u00e9"),
    ],
    ids=["other blanks", "a key twice", "characters not escaped"],
)
def test_a_header_that_was_not_written_here_is_refused(path: Path, header: str) -> None:
    path.write_bytes(by_hand(header))
    with pytest.raises(CheckpointError, match="not written as charrnn writes it"):
        read_checkpoint(path)


def test_a_header_is_not_taken_from_a_file_whose_tensors_are_damaged(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert refused(path, read_header)


@pytest.mark.slow
def test_a_header_is_read_with_little_of_the_tensors_in_memory(path: Path) -> None:
    size = 2**25
    write_checkpoint(path, Checkpoint(MODEL, HEADER, {"large": np.zeros(size, np.uint8)}))
    tracemalloc.start()
    try:
        assert read_header(path) == (MODEL, HEADER)
        assert tracemalloc.get_traced_memory()[1] < size / 8
    finally:
        tracemalloc.stop()


def test_a_file_that_shrinks_while_it_is_read_is_refused(path: Path) -> None:
    # More than is read ahead.
    write_checkpoint(path, Checkpoint(MODEL, HEADER, {"large": np.zeros(2**20, np.uint8)}))
    with open_checkpoint(path) as file:
        os.truncate(path, 2**19)
        with pytest.raises(CheckpointError, match="shorter while it was read"):
            file.verify()
        with pytest.raises(CheckpointError, match="shorter while it was read"):
            file.read()


def test_a_file_that_cannot_be_opened_is_refused_with_the_reason(
    path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CheckpointError, match="cannot be read: Permission denied"):
        read_checkpoint(path)


def test_a_device_a_pipe_and_a_folder_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for odd in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        assert refused(odd)
        assert refused(odd, read_header)
