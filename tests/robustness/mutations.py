"""Files that are not quite checkpoints: bytes or structure disturbed, the digest true or not.

Written without the code that they try: a file is taken apart and put together again here.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

SIZES = {"F32": 4, "F64": 8, "I64": 8, "U8": 1}
_CODES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "U8": "|u1"}

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 64, 65, 2**31, 2**53 + 1, 2**63, 10**12, 10**400),
    *(0.0, -0.0, 0.5, 1e-320, 1e308, math.nan, math.inf, -math.inf),
    *("", "a", "aa", "\ud800", "\0", "x" * 5000, "text", "bytes", "model", "training", "none"),
    *("lstm", "gru", "rnn", "stack", "list", "layer", "batch", "sum", "relu", "sigmoid", "../x"),
    *([], {}, [[]], [0], ["a", "a"], {"a": 1}, [[[[[[]]]]]]),
)
_ODD_FLOATS = (b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\0\0\x80\xff", b"\xff\xff\x7f\x7f", b"\1\0\0\0")


@dataclass
class Parts:
    """A checkpoint taken apart.

    Attributes:
        envelope: its header, without the digest.
        tensors: of each its type, shape and bytes, by name.
    """

    envelope: dict[str, Any]
    tensors: dict[str, tuple[str, list[int], bytes]]


def take_apart(data: bytes) -> Parts:
    """The parts of a sound file."""
    start = 8 + int.from_bytes(data[:8], "little")
    table = json.loads(data[8:start])
    envelope = json.loads(table.pop("__metadata__")["charrnn"])
    del envelope["sha256"]
    tensors = {
        name: (entry["dtype"], entry["shape"], data[start:][slice(*entry["data_offsets"])])
        for name, entry in table.items()
    }
    return Parts(envelope, tensors)


def put_together(parts: Parts) -> bytes:
    """A file of some parts, whatever they are, in charrnn's spelling and its digest true."""
    digest = hashlib.sha256(_spell(parts.envelope).encode())
    for name, (kind, shape, data) in sorted(parts.tensors.items()):
        digest.update(f"\n{name} {_CODES.get(kind, kind)} {tuple(shape)}\n".encode() + data)
    text = _spell({**parts.envelope, "sha256": digest.hexdigest()})
    table: dict[str, Any] = {"__metadata__": {"charrnn": text}}
    body = b""
    order = ("I64", "F64", "F32", "U8")
    ranked = {kind: rank for rank, kind in enumerate(order)}
    for name in sorted(parts.tensors, key=lambda n: (ranked.get(parts.tensors[n][0], 9), n)):
        kind, shape, data = parts.tensors[name]
        offsets = [len(body), len(body) + len(data)]
        table[name] = {"dtype": kind, "shape": shape, "data_offsets": offsets}
        body += data
    head = _spell(table).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + body


def _spell(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def disturb_bytes(draw: Random, data: bytes, other: bytes) -> bytes:
    """Some bytes changed, lost, added, moved, or taken from another file."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        # Most of what can go wrong stands at the beginning.
        size = max(len(changed), 1)
        at = draw.randrange(size) if draw.random() < 0.5 else draw.randrange(min(size, 64))
        length = draw.choice((1, 1, 2, 4, 8, 64, 512))
        match draw.randrange(9):
            case 0 if changed:
                changed[at] ^= 1 << draw.randrange(8)
            case 1 if changed:
                changed[at] = draw.choice(b'\0\xff \t\n"\\{}[],:09eE-+.u')
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                changed[at:at] = draw.randbytes(length)
            case 5:
                to = draw.randrange(size)
                block = changed[at : at + length]
                changed[at : at + length] = changed[to : to + length]
                changed[to : to + length] = block
            case 6:
                changed[at : at + length] = bytes(length)
            case 7:
                changed[at:] = other[at:]
            case 8:
                changed[:8] = max(0, len(data) + draw.randint(-99, 99)).to_bytes(8, "little")
    return bytes(changed)


def respell(draw: Random, data: bytes) -> bytes:
    """The same content, or nearly, in another spelling of the same table."""
    start = 8 + int.from_bytes(data[:8], "little")
    table = json.loads(data[8:start])
    if draw.random() < 0.7:
        _disturb_tree(draw, table)
    if draw.random() < 0.2:
        table = dict(draw.sample(list(table.items()), len(table)))
    style: dict[str, Any] = {"separators": draw.choice([(",", ":"), (", ", ":"), (",", ": ")])}
    text = json.dumps(table, ensure_ascii=draw.random() < 0.9, **style)
    if draw.random() < 0.2:
        at = text.find('"', draw.randrange(len(text))) + 1
        end = text.find(":", at)
        end = text.find(",", end) if end > 0 else end
        if at < end:
            text = text[:at] + text[at:end] + ',"' + text[at:end] + text[end:]
    head = text.encode("utf-8", "surrogatepass")
    head += b" " * draw.choice((0, -len(head) % 8, -len(head) % 8, 8))
    return len(head).to_bytes(8, "little") + head + data[start:]


def disturb_parts(draw: Random, parts: Parts) -> None:
    """Change one to three things of a file that is to be put together again."""
    for _ in range(draw.choice((1, 1, 2, 3))):
        if draw.random() < 0.6 or not parts.tensors:
            _disturb_tree(draw, parts.envelope)
        else:
            draw.choice(_TENSOR_CHANGES)(draw, parts.tensors)


def _disturb_tree(draw: Random, tree: Any) -> None:
    """Change one thing somewhere in plain data."""
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = draw.choice(keys)
        if not isinstance(node[key], dict | list) or not node[key] or draw.random() < 0.1:
            break
        node = node[key]
    match draw.randrange(8):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[draw.choice(("odd", "__metadata__", "", str(key) * 2))] = node[key]
        case 2:
            other = draw.choice(keys)
            node[key], node[other] = node[other], node[key]
        case 3 if type(node[key]) in (int, float) and abs(node[key]) < 2**64:
            node[key] += draw.choice((-1, 1, 0.5, 1e-9, 10**6))
        case 4 if isinstance(node[key], str) and node[key]:
            letters = list(node[key])
            letters[draw.randrange(len(letters))] = draw.choice("aZ0\0\ud800\U0001f98a\u202e")
            node[key] = "".join(letters)
        case _:
            node[key] = deepcopy(draw.choice(_ODD))


Tensors = dict[str, tuple[str, list[int], bytes]]


def _lose(draw: Random, tensors: Tensors) -> None:
    del tensors[draw.choice(list(tensors))]


def _rename(draw: Random, tensors: Tensors) -> None:
    name = draw.choice(list(tensors))
    new = draw.choice((name + "x", name[:-1], "", "a b", "\u00fc", "__metadata__", "n" * 300))
    tensors[new] = tensors.pop(name)


def _exchange(draw: Random, tensors: Tensors) -> None:
    one, two = (draw.choice(list(tensors)) for _ in range(2))
    tensors[one], tensors[two] = tensors[two], tensors[one]


def _retype(draw: Random, tensors: Tensors) -> None:
    name = draw.choice(list(tensors))
    _, shape, data = tensors[name]
    kind = draw.choice((*SIZES, "F16", "BF16", "BOOL", "", "U64"))
    whole = len(data) // SIZES.get(kind, 1)
    tensors[name] = (kind, draw.choice((shape, [whole], [1, whole])), data)


def _reshape(draw: Random, tensors: Tensors) -> None:
    name = draw.choice(list(tensors))
    kind, shape, data = tensors[name]
    odd: Any = draw.choice((0, 1, 2, -1, 2**31, 2**63, 10**30, True, 1.0, "1", None, []))
    new = draw.choice((shape[::-1], [*shape, 1], [1] * 9, [], [odd], [odd, *shape], shape[:-1]))
    tensors[name] = (kind, new, data)


def _resize(draw: Random, tensors: Tensors) -> None:
    name = draw.choice(list(tensors))
    kind, _, data = tensors[name]
    width = SIZES.get(kind, 1)
    size = draw.choice((0, 1, 2, 7, len(data) // width + 1))
    tensors[name] = (kind, [size], (data + bytes(64))[: size * width])


def _poison(draw: Random, tensors: Tensors) -> None:
    name = draw.choice(list(tensors))
    kind, shape, data = tensors[name]
    at = draw.randrange(0, max(len(data) - 3, 1), 4)
    new = draw.choice((*_ODD_FLOATS, draw.randbytes(4)))
    tensors[name] = (kind, shape, (data[:at] + new + data[at + 4 :])[: len(data)])


_TENSOR_CHANGES: tuple[Callable[[Random, Tensors], None], ...] = (
    *(_lose, _rename, _exchange, _retype, _reshape, _resize),
    *(_poison, _poison, _poison),
)
