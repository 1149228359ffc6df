"""Fetch the catalogue's downloads: resume partial ones, verify the digest, move them into place.

The received bytes are collected in a partial file beside the final path. The file stays there if
the connection breaks, so that the next attempt resumes at its end; a user without network access
can put a file there from elsewhere. It becomes the text once its digest has been verified.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from charrnn import __version__
from charrnn.data.catalogue import Download, Zipped, is_intact
from charrnn.errors import CorpusError, Remedy, StorageError
from charrnn.files import (
    append_output,
    clear_leftovers,
    is_file,
    make_folder,
    remove,
    write_chunks_atomically,
)
from charrnn.locking import Lock

TRIES = 5
"""The most attempts to resume a broken connection; each must receive some bytes."""

_TIMEOUT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 16
_PARTIAL_CONTENT = 206


def find_partial_path(download: Download) -> Path:
    """Return the path that collects the bytes of a download until they are verified."""
    return download.path.with_name(f"{download.name}.download")


def fetch_text(download: Download) -> Iterator[int]:
    """Fetch a text into the user's cache, from the network or from :func:`find_partial_path`.

    Yields:
        The number of bytes received so far.

    Raises:
        CorpusError: the server cannot be reached or answers with something else, or another
            process is fetching the same text; names the remedies.
        StorageError: a file cannot be written.
    """
    partial = find_partial_path(download)
    try:
        make_folder(partial.parent)
    except StorageError as problem:
        problem.remedies += (Remedy("set XDG_CACHE_HOME to a folder that may be written"),)
        raise
    lock = Lock(partial.with_suffix(".lock"))
    if not lock.acquire():
        raise CorpusError(f"{download.name}: is being fetched by another charrnn process")
    try:
        clear_leftovers(partial.parent, download.path.name)
        if not is_intact(download):
            yield from _complete(download, partial)
            _verify(download, partial)
            _put_in_place(download, partial)
            remove(partial)
    finally:
        lock.release()


def _complete(download: Download, partial: Path) -> Iterator[int]:
    """Fetch the missing bytes, and yield the number received so far."""
    reason = "nothing was received"
    for _ in range(TRIES):
        begin = _size(partial)
        if begin >= download.bytes:
            return
        try:
            yield from _request_rest(download, partial, begin)
        except (OSError, http.client.HTTPException) as problem:
            reason = _reason(problem)
        if _size(partial) <= begin:
            break
    if _size(partial) < download.bytes:
        raise CorpusError(
            f"{download.name}: only {_size(partial):,} of {download.bytes:,} bytes were received: "
            f"{reason}",
            Remedy("try again to fetch the rest", "fetch", download.name),
            Remedy(f"fetch {download.url} by other means, put it at {partial}, and try again"),
        )


def _request_rest(download: Download, partial: Path, begin: int) -> Iterator[int]:
    """Request all bytes from ``begin``, and append them as they arrive."""
    headers = {"Range": f"bytes={begin}-", "User-Agent": f"charrnn/{__version__}"}
    # The address is from the catalogue, not from a user.
    request = urllib.request.Request(download.url, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
        # A server may ignore the range and send everything; bytes received before are skipped.
        here = begin if response.status == _PARTIAL_CONTENT else 0
        _check_answer(download, response, here)
        while data := response.read1(min(_CHUNK_BYTES, download.bytes - here)):
            append_output(partial, data[max(begin - here, 0) :])
            here += len(data)
            yield here


def _reason(problem: Exception) -> str:
    """Return the reason of a failed request, without urllib's wrapping."""
    cause = problem.reason if type(problem) is urllib.error.URLError else problem
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


def _check_answer(download: Download, response: http.client.HTTPResponse, here: int) -> None:
    """Raise CorpusError if the server announces another range or size than requested."""
    announced = response.headers.get("Content-Range", "")
    if here and not re.match(rf"bytes {here}-", announced):
        raise CorpusError(
            f"{download.name}: {download.url} answers with another part than requested "
            f"({announced:.60})"
        )
    if response.length is not None and here + response.length != download.bytes:
        raise CorpusError(
            f"{download.name}: {download.url} has {here + response.length:,} bytes, not "
            f"{download.bytes:,}: it is not the text of the catalogue"
        )


def _size(path: Path) -> int:
    return path.stat().st_size if is_file(path) else 0


def _verify(download: Download, partial: Path) -> None:
    """Raise CorpusError, and delete the partial file, unless it has the catalogue's digest."""
    with partial.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != download.sha256:
        size = _size(partial)
        remove(partial)
        raise CorpusError(
            f"{download.name}: the file from {download.url} is not the text of the catalogue: "
            f"{size:,} bytes with SHA-256 {digest}, not {download.bytes:,} with "
            f"{download.sha256}. It was deleted",
            Remedy("try again, perhaps over another network"),
        )


def _put_in_place(download: Download, partial: Path) -> None:
    try:
        if isinstance(download, Zipped):
            with zipfile.ZipFile(partial) as archive, archive.open(download.member) as member:
                write_chunks_atomically(download.path, _check_text(download, member))
        else:
            with partial.open("rb") as stream:
                write_chunks_atomically(download.path, _check_text(download, stream))
    except (zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError, EOFError) as problem:
        raise CorpusError(f"{partial}: cannot be unpacked: {problem}") from problem


def _check_text(download: Download, stream: IO[bytes]) -> Iterator[bytes]:
    """Read a text, and raise CorpusError unless it has the catalogue's size and digest."""
    size, hashed = 0, hashlib.sha256()
    while size <= download.size and (data := stream.read(_CHUNK_BYTES)):
        yield data
        size += len(data)
        hashed.update(data)
    if size != download.size:
        raise CorpusError(
            f"{download.name}: unpacks to {'more' if size > download.size else 'fewer'} than "
            f"{download.size:,} bytes: it is not the text of the catalogue"
        )
    if hashed.hexdigest() != download.text_digest:
        raise CorpusError(
            f"{download.name}: unpacks to a text with SHA-256 {hashed.hexdigest()}, not "
            f"{download.text_digest}: it is not the text of the catalogue"
        )
