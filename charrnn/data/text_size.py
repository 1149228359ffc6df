"""Bounds on the bytes of a text, and signs that it has no end.

A file is refused from its size. A pipe or a device does not tell its size: it is refused as soon as
all that has come repeats itself or looks random, or at a smaller bound. The user raises the bounds,
and turns the look at the bytes off, by the environment variable LIMIT.
"""

from __future__ import annotations

import io
import os
import stat
import zlib
from collections.abc import Iterable, Iterator

from charrnn.config.limits import format_size, raise_limit, read_limit
from charrnn.errors import CorpusError, Remedy

MOST_BYTES = 4 << 30
"""The most bytes of files."""

MOST_STREAMED_BYTES = 1 << 30
"""The most bytes of a stream that does not tell its size."""

LIMIT = "CHARRNN_TEXT_BYTES"
"""The environment variable that sets both."""

MOST_ALIKE_BYTES = 1 << 27
"""The most bytes of a stream, one after another, that repeat themselves or look random."""

_BLOCK_BYTES = 1 << 20
_PATTERN_BYTES = 1 << 10
_SAMPLE_BYTES = 1 << 12
_SPARSE = 16
"""A large file that takes this many times less room on the disk than its size is mostly holes."""

_GIVE_A_PART = Remedy("give a part of it")


def find_most_bytes() -> int:
    """Find the most bytes that files may have together."""
    most = read_limit(LIMIT)
    return MOST_BYTES if most is None else most


def check_file(name: object, status: os.stat_result, before: int = 0) -> None:
    """Raise CorpusError if a file is too large, or consists of holes, as its size tells.

    Args:
        name: its name in errors.
        status: of the file.
        before: bytes of the texts before it.
    """
    size, most = before + status.st_size, find_most_bytes()
    if size > most:
        raise make_size_error(name, most, size)
    on_disk = getattr(status, "st_blocks", None)
    if (
        status.st_size > MOST_ALIKE_BYTES
        and on_disk is not None
        and on_disk * 512 * _SPARSE < status.st_size
        and read_limit(LIMIT) is None
    ):
        raise CorpusError(
            f"{name}: has {status.st_size:,} bytes, of which {on_disk * 512:,} lie on the disk: it "
            "consists of holes, which read as zeros",
            _GIVE_A_PART,
            raise_limit(LIMIT, size),
        )


def make_size_error(name: object, most: int, size: int | None = None) -> CorpusError:
    """Make the error of a text with more than ``most`` bytes, with its size if that is known."""
    return CorpusError(
        f"{name}: has more than {most:,} bytes, the most that a text may have, or is endless",
        _GIVE_A_PART,
        raise_limit(LIMIT, 4 * most if size is None else size),
    )


def guard_stream(name: object, file: int | None, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass on the bytes of a stream until it shows that it has no end.

    Args:
        name: its name in errors.
        file: the open file; None if there is none.
        chunks: its bytes.

    Raises:
        CorpusError: it has too many bytes; or all of them repeat themselves or look random.
    """
    status = None if file is None else os.fstat(file)
    # The files of /proc have no size, and some of them no end.
    if status is not None and stat.S_ISREG(status.st_mode) and status.st_size:
        check_file(name, status)
        yield from _count(name, chunks, find_most_bytes())
        return
    most = read_limit(LIMIT)
    if most is not None:
        yield from _count(name, chunks, most)
        return
    is_device = status is not None and stat.S_ISCHR(status.st_mode)
    most_alike = _BLOCK_BYTES if is_device else MOST_ALIKE_BYTES
    yield from _look(name, _count(name, chunks, MOST_STREAMED_BYTES), most_alike)


def _count(name: object, chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    size = 0
    for data in chunks:
        size += len(data)
        if size > most:
            raise make_size_error(name, most)
        yield data


def _look(name: object, chunks: Iterable[bytes], most_alike: int) -> Iterator[bytes]:
    """Pass on chunks until so many bytes of them hold nothing to learn."""
    alike, block = 0, io.BytesIO()
    for data in chunks:
        yield data
        block.write(data)
        if block.tell() < _BLOCK_BYTES:
            continue
        seen, block = block.getvalue(), io.BytesIO()
        sign = find_sign(seen)
        alike = alike + len(seen) if sign else 0
        if alike >= most_alike:
            raise CorpusError(
                f"{name}: {sign} for {format_size(alike)}, and may have no end",
                _GIVE_A_PART,
                raise_limit(LIMIT, 4 * MOST_STREAMED_BYTES),
            )


def find_sign(block: bytes) -> str:
    r"""Find a sign that the text of a block goes on without an end; empty if there is none.

    >>> find_sign(b"y\n" * 10_000)
    'repeats the same 2 bytes'
    """
    period = block.find(block[:_PATTERN_BYTES], 1)
    if period > 0 and block[period:] == block[:-period]:
        return f"repeats the same {period:,} bytes" if period > 1 else "repeats the same byte"
    sample = block[:_SAMPLE_BYTES]
    return "looks random" if len(zlib.compress(sample, 1)) >= len(sample) else ""
