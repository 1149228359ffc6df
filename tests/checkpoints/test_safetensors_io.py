"""The container: what the safetensors library writes, and nothing that it merely puts up with."""

import json
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load, save

from charrnn.checkpoints import safetensors_io
from charrnn.checkpoints.checkpoint import MODEL, Arrays, CheckpointFile, encode_checkpoint
from charrnn.checkpoints.migrations import FORMAT
from charrnn.checkpoints.safetensors_io import (
    MOST_BYTES,
    MOST_PARTS,
    MOST_TABLE_BYTES,
    TensorSpec,
    encode_file,
    parse_json,
    read_array,
)
from charrnn.data.file_kinds import HEAD_BYTES
from charrnn.errors import CheckpointError, UsageError

ARRAYS: Arrays = {
    "z.small": np.arange(5, dtype=np.uint8),
    "a.float": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "b.double": np.array(0.1),
    "m.count": np.array([[-(2**63)], [2**63 - 1]]),
    "b.none": np.zeros((0, 4), np.float32),
}
TEXT = json.dumps({"quoted": '"\\', "text": "F\u00fcchse \U0001f98a\n"})

Table = dict[str, Any]


def sound() -> bytes:
    return encode_checkpoint({"format": FORMAT, "kind": MODEL}, ARRAYS)


def reading(data: bytes) -> CheckpointFile:
    return CheckpointFile(Path("some"), BytesIO(data))


def refusal(data: bytes) -> str:
    with pytest.raises(CheckpointError, match=r"^some: ") as caught:
        reading(data).read()
    return str(caught.value)


def with_table(table: bytes, data: bytes = b"") -> bytes:
    return len(table).to_bytes(8, "little") + table + data


def split(data: bytes) -> tuple[bytes, bytes]:
    start = 8 + int.from_bytes(data[:8], "little")
    return data[8:start], data[start:]


def respelled(old: bytes, new: bytes) -> bytes:
    """A sound file but for its table, in which the first ``old`` has become ``new``."""
    table, data = split(sound())
    assert old in table
    return with_table(table.replace(old, new, 1), data)


@pytest.mark.parametrize("names", [list(ARRAYS), list(reversed(ARRAYS)), ["z.small"], []])
def test_a_file_is_what_the_safetensors_library_writes(names: list[str]) -> None:
    arrays = {name: ARRAYS[name] for name in names}
    assert encode_file(TEXT, arrays) == save(arrays, metadata={"charrnn": TEXT})


def test_the_safetensors_library_reads_a_file() -> None:
    found = load(sound())
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


def test_arrays_that_are_read_can_be_written_to() -> None:
    for array in reading(sound()).read().values():
        assert array.flags.writeable
        assert array.flags.c_contiguous


SPELLINGS = {
    "a blank": (b'{"dtype"', b'{ "dtype"'),
    "blanks before": (b'{"__metadata__"', b' {"__metadata__"'),
    "a tab for padding": (b" ", b"\t"),
    "more padding": (b" ", b" " * 9),
    "no padding": (b" ", b""),
    "an escape": (b'"dtype"', b'"d\\u0074ype"'),
    "an escape in the header": (b"format", b"f\\u006frmat"),
    "a fact more": (b'{"dtype"', b'{"odd":1,"dtype"'),
    "metadata more": (b'{"charrnn"', b'{"odd":"","charrnn"'),
    "a type twice": (b'{"dtype"', b'{"dtype":"F64","dtype"'),
    "metadata twice": (b'{"__metadata__"', b'{"__metadata__":{},"__metadata__"'),
    "a tensor twice": (b'"z.small":', b'"z.small":{"dtype":"U8","shape":[5]},"z.small":'),
    "an offset as a fraction": (b"[0,16]", b"[0.0,16]"),
    "another offset": (b"[0,16]", b"[8,16]"),
    "a negative offset": (b"[0,16]", b"[-8,8]"),
    "a gap": (b"[16,24]", b"[17,25]"),
    "an overlap": (b"[16,24]", b"[8,16]"),
    "a size as a fraction": (b'"shape":[5]', b'"shape":[5.0]'),
    "a size as a power": (b'"shape":[5]', b'"shape":[5e0]'),
    "a size as truth": (b'"shape":[5]', b'"shape":[true]'),
    "a size as text": (b'"shape":[5]', b'"shape":["5"]'),
    "a size that is not a number": (b'"shape":[5]', b'"shape":[NaN]'),
    "a negative size": (b'"shape":[5]', b'"shape":[-5]'),
    "another size": (b'"shape":[5]', b'"shape":[4]'),
    "a size of 20 digits": (b'"shape":[5]', b'"shape":[' + b"9" * 20 + b"]"),
    "a size of 5,000 digits": (b'"shape":[5]', b'"shape":[' + b"9" * 5000 + b"]"),
    "sizes whose product is huge": (b'"shape":[5]', b'"shape":[4294967296,4294967296,0]'),
    "no list of sizes": (b'"shape":[5]', b'"shape":5'),
    "many sizes": (b'"shape":[5]', b'"shape":[5' + b",1" * 70 + b"]"),
    "no type": (b'"dtype":"U8"', b'"dtype":null'),
    "types": (b'"dtype":"U8"', b'"dtype":["U8"]'),
    "an unknown type": (b'"dtype":"U8"', b'"dtype":"I8"'),
    "a tensor of nothing": (b'"z.small":{', b'"z.small":null,"z":{'),
    "a long name": (b"z.small", b"z" * 10**6),
    "no name": (b"z.small", b""),
    "a name with an escape": (b"z.small", b"z\\u001b[2J"),
    "a name that is not ASCII": (b"z.small", "f\u00fc".encode()),
    "not UTF-8": (b"z.small", b"\xff"),
    "a header that is not text": (b'{"charrnn":"', b'{"charrnn":1,"x":"'),
}


def test_another_spelling_is_refused() -> None:
    for spelling in SPELLINGS.values():
        assert len(refusal(respelled(*spelling)).splitlines()) == 1


def test_tensors_in_another_order_are_refused_though_the_library_takes_them() -> None:
    table, data = split(sound())
    parsed: Table = json.loads(table)
    swapped = {"__metadata__": parsed.pop("__metadata__"), **dict(reversed(parsed.items()))}
    text = json.dumps(swapped, separators=(",", ":")).encode()
    assert load(with_table(text, data))
    assert "not written as charrnn writes it" in refusal(with_table(text, data))


@pytest.mark.parametrize("extra", [-1, 1, 8])
def test_a_file_of_another_length_than_its_table_tells_is_refused(extra: int) -> None:
    data = sound()
    changed = data[:extra] if extra < 0 else data + bytes(extra)
    assert f"{len(changed):,} bytes long" in refusal(changed)
    with pytest.raises(SafetensorError):
        load(changed)


@pytest.mark.parametrize(
    "bomb",
    [
        b'{"__metadata__":{"charrnn":"' + b"[]," * 5_000_000 + b'"}}',
        b"[" + b"[]," * 5_000_000 + b"[]]",
        b"{" + b",".join(b'"%d":{}' % number for number in range(1_000_000)) + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"__metadata__":{"charrnn":"' + b"[[" * 50_000 + b'"}}',
        b"[" + b"9" * 10**7 + b"]",
    ],
    ids=["quoted", "lists", "tables", "deep lists", "deep tables", "deep and quoted", "digits"],
)
def test_json_that_would_grow_in_memory_is_refused_before_it_does(bomb: bytes) -> None:
    data = with_table(bomb)
    tracemalloc.start()
    try:
        refusal(data)
        # The bytes are held as read and as text, and little besides.
        assert tracemalloc.get_traced_memory()[1] < 4 * len(bomb) + 2**24
    finally:
        tracemalloc.stop()


def test_a_table_that_is_too_long_is_refused_before_it_is_read() -> None:
    stream = BytesIO((MOST_TABLE_BYTES + 8).to_bytes(8, "little") + bytes(2 * HEAD_BYTES))
    with pytest.raises(CheckpointError, match="does not begin as a model file does"):
        CheckpointFile(Path("some"), stream)
    assert stream.tell() <= HEAD_BYTES


def test_a_file_that_is_too_long_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("w+b") as stream:
        stream.write(sound())
        stream.truncate(MOST_BYTES + 1)
        with pytest.raises(CheckpointError, match=r"8,589,934,593 bytes long; at most"):
            CheckpointFile(Path("some"), stream)
        assert stream.tell() == 0


def test_tensors_are_not_read_where_the_table_does_not_fit_the_file() -> None:
    data = sound()
    stream = BytesIO(data + b"\0")
    with pytest.raises(CheckpointError):
        CheckpointFile(Path("some"), stream)
    assert stream.tell() == len(data) - len(split(data)[1])


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "f\u00fc", "n" * 201, "__metadata__ "])
def test_a_name_that_no_reader_takes_is_not_written(name: str) -> None:
    with pytest.raises(ValueError, match="tensor"):
        encode_file("{}", {name: np.zeros(1)})


def test_what_is_too_large_to_be_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safetensors_io, "MOST_BYTES", 200)
    assert len(encode_file("{}", {"a": np.zeros(10)})) <= 200
    with pytest.raises(UsageError, match=r"at most 200 are allowed\nGive it fewer layers"):
        encode_file("{}", {"a": np.zeros(100)})


@pytest.mark.parametrize("text", ["x" * MOST_TABLE_BYTES, "," * MOST_PARTS])
def test_a_header_that_is_too_large_to_be_read_is_not_written(text: str) -> None:
    with pytest.raises(UsageError, match="too many to be kept"):
        encode_file(text, {})


@pytest.mark.slow
def test_a_header_as_large_as_any_is_written_and_read() -> None:
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    paths = [f"/some/where/{number}.txt" for number in range(20_000)]
    envelope = {"format": FORMAT, "kind": MODEL, "alphabet": every, "paths": paths}
    header = reading(encode_checkpoint(envelope, {})).header
    assert header == {"alphabet": every, "paths": paths}


def test_json_is_parsed_up_to_its_bound() -> None:
    assert len(parse_json("[" + "0," * (MOST_PARTS - 2) + "0]")) == MOST_PARTS - 1
    with pytest.raises(ValueError, match="more parts"):
        parse_json("[" + "0," * MOST_PARTS + "0]")


def test_a_large_tensor_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safetensors_io, "_PIECE_BYTES", 64)
    asked: list[int] = []

    class Counting(BytesIO):
        def readinto(self, buffer: Any) -> int:
            asked.append(len(buffer))
            return super().readinto(buffer)

    array = np.arange(100, dtype=np.float32).reshape(4, 25)
    read = read_array(Counting(array.tobytes()), TensorSpec(array.dtype, array.shape))
    assert (read == array).all()
    assert asked == [64] * 6 + [16]
    with pytest.raises(ValueError, match="became shorter"):
        read_array(BytesIO(array.tobytes()[:-1]), TensorSpec(array.dtype, array.shape))
