"""Files made to do harm, and files that change as they are read, through the real program."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

from charrnn.checkpoints.checkpoint import read_checkpoint, read_header
from charrnn.errors import CheckpointError
from tests.robustness.mutations import Parts, put_together, take_apart
from tests.support import GOLDEN

SOUND = (GOLDEN / "format-2/gru-best.safetensors").read_bytes()
LIMIT_MB = 256
"""Most memory that a process may have held when it refuses a file; for an empty one it holds 50."""

_GIGABYTE = 2**30
_PROGRAM = """
import re, resource, sys
from pathlib import Path

resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
from charrnn.cli.entry import main

try:
    main()
finally:
    held = re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())
    Path("held").write_text(held[1])
"""
"""charrnn, ended if it hangs or grows without end; writes the kilobytes that it held at most."""

_COMMANDS = (("verify",), ("sample", "--length", "1"), ("eval",))


def _content(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def _table(table: bytes, data: bytes = b"") -> Callable[[Path], object]:
    return _content(len(table).to_bytes(8, "little") + table + data)


def _sparse(begin: bytes) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        path.write_bytes(begin)
        os.truncate(path, 10 * _GIGABYTE)

    return make


def _forged(change: Callable[[Parts], object]) -> Callable[[Path], object]:
    parts = take_apart(SOUND)
    change(parts)
    return _content(put_together(parts))


def _setting(name: str, value: object) -> Callable[[Path], object]:
    return _forged(lambda parts: parts.envelope["model"].update({name: value}))


def _alphabet(characters: str) -> Callable[[Path], object]:
    return _forged(lambda parts: parts.envelope["alphabet"].update(characters=characters))


def _first(change: Callable[[str, list[int], bytes], Any]) -> Callable[[Path], object]:
    """The first tensor changed."""

    def apply(parts: Parts) -> None:
        name = next(iter(parts.tensors))
        parts.tensors[name] = change(*parts.tensors[name])

    return _forged(apply)


def _headed(text: str) -> Callable[[Path], object]:
    return _table(json.dumps({"__metadata__": {"charrnn": text}}).encode())


def _huge_header(unit: bytes) -> Callable[[Path], object]:
    return _table(unit * (2**24 // len(unit)))


def _edited(old: bytes, new: bytes) -> Callable[[Path], object]:
    start = 8 + int.from_bytes(SOUND[:8], "little")
    assert old in SOUND[:start]
    return _table(SOUND[8:start].replace(old, new, 1), SOUND[start:])


HOSTILE: dict[str, Callable[[Path], object]] = {
    "nothing": _content(b""),
    "one byte": _content(b"\0"),
    "text": _content(b"Once, when the river was low"),
    "a pickle": _content(pickle.dumps({"weights": [1.0]})),
    "10 GB of nothing": _sparse(b""),
    "a model and 10 GB of nothing": _sparse(SOUND),
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a device without end": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a header longer than all memory": _content(b"\xff" * 8 + SOUND[8:]),
    "a header of blanks": _huge_header(b" "),
    "a header of brackets": _huge_header(b"["),
    "a header of lists": _huge_header(b"[],"),
    "a header of tables": _huge_header(b'{"a":'),
    "a header of one number": _huge_header(b"9"),
    "a header of one name": _huge_header(b'{"name'),
    "deep lists": _headed("[" * 100_000),
    "deep tables": _headed('{"a":' * 100_000),
    "many lists": _headed("[" + "[]," * 5_000_000 + "[]]"),
    "a number of 5,000 digits": _headed('{"format":' + "9" * 5000 + "}"),
    "a tensor twice": _edited(b'"head.bias":', b'"head.bias":0,"head.bias":'),
    "a key twice": _edited(rb"{\"format\":2", rb"{\"format\":2,\"format\":2"),
    "a format of the future": _forged(lambda parts: parts.envelope.update(format=10**6)),
    "a billion layers": _setting("layers", 10**9),
    "2**31 units": _setting("hidden", 2**31),
    "the largest network allowed": _forged(
        lambda parts: parts.envelope["model"].update(layers=64, hidden=16384, embedding=16384)
    ),
    "a number that is none": _setting("dropout", float("nan")),
    "a number without end": _setting("dropout", float("inf")),
    "an alphabet with a character twice": _alphabet("aa"),
    "an alphabet with a surrogate": _alphabet("a\ud800"),
    "an alphabet of all Unicode": _alphabet("".join(map(chr, range(0x10000, 0x110000)))),
    "weights that are not finite": _first(lambda k, s, d: (k, s, b"\0\0\xc0\x7f" * (len(d) // 4))),
    "a tensor missing": _forged(lambda parts: parts.tensors.pop("head.bias")),
    "a tensor unknown": _forged(lambda parts: parts.tensors.update(odd=("U8", [1], b"\0"))),
    "5,000 tensors": _forged(
        lambda parts: parts.tensors.update({f"t{n}": ("U8", [1], b"\0") for n in range(5000)})
    ),
    "a name of megabytes": _forged(
        lambda parts: parts.tensors.update({"n" * 10**6: ("U8", [0], b"")})
    ),
    "a tensor larger than the file": _first(lambda k, s, d: (k, [2**31, 2**31], d)),
    "a tensor of nothing times too much": _first(lambda k, s, d: (k, [0, 2**62, 2**62], d)),
    "a tensor of another type": _first(lambda k, s, d: ("I64", [len(d) // 8], d)),
}


def refuse_hostile_files(count: int, seed: int) -> Iterator[str | None]:
    """Each file given to the program: a line and a way out, exit code 4, and little memory."""
    names = Random(seed).sample(list(HOSTILE), min(count, len(HOSTILE)))
    for number, name in enumerate(names):
        with tempfile.TemporaryDirectory() as folder:
            HOSTILE[name](Path(folder, "got.safetensors"))
            command, *options = _COMMANDS[number % len(_COMMANDS)]
            wrong = _run(folder, command, "got.safetensors", *options)
        yield wrong and f"{command} of {name}: {wrong}"


def _run(folder: str, *arguments: str) -> str | None:
    """Run the program and return the problem with the way it ended; None if there is none."""
    process = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "TERM": "dumb", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    held = Path(folder, "held")
    lines = process.stdout.decode().splitlines()
    problem, *ways_out = lines or [""]
    is_told = problem.startswith("charrnn: ") and len(ways_out) <= 1
    if process.returncode != 4 or not is_told or not all(way[:2] == "  " for way in ways_out):
        return f"exit {process.returncode}, saying {' / '.join(lines)[-400:]}"
    megabytes = int(held.read_text()) // 1024
    return f"{megabytes} MB of memory held" if megabytes > LIMIT_MB else None


def read_while_it_changes(count: int, seed: int) -> Iterator[str | None]:
    """A file that another process overwrites, cuts and lengthens in place, read meanwhile."""
    ones = [take_apart(SOUND) for _ in range(2)]
    for fill, parts in enumerate(ones):
        # Larger than what is read at once.
        parts.tensors["large"] = ("U8", [2**20], bytes([fill]) * 2**20)
    contents = [put_together(parts) for parts in ones]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "changing")
        path.write_bytes(contents[0])
        writer = get_context("spawn").Process(
            target=_rewrite, args=(path, contents, seed), daemon=True
        )
        writer.start()
        try:
            for number in range(count):
                yield _read_something(path, (read_checkpoint, read_header)[number % 2])
        finally:
            writer.kill()
            writer.join()


def _rewrite(path: Path, contents: list[bytes], seed: int) -> None:
    draw = Random(seed)
    whole = len(contents[0])
    while True:
        with path.open("r+b") as stream:
            stream.write(draw.choice(contents))
        time.sleep(draw.random() / 500)
        os.truncate(path, draw.choice((0, 100, whole // 2, whole, whole, whole)))


def _read_something(path: Path, read: Callable[[Path], object]) -> str | None:
    try:
        found = read(path)
    except CheckpointError:
        return None
    except Exception as crash:  # noqa: BLE001
        return f"{type(crash).__name__}: {crash!s:.200}"
    large = getattr(found, "arrays", {}).get("large")
    return None if large is None or large.min() == large.max() else "a mixture was read"
