"""Fetching the catalogue's downloads: gone on with where they broke off, verified, then in place.

What comes is gathered in a file beside the text's place. It stays there when the connection breaks,
so the next try goes on from its end, and whoever has no network can put it there by other means. It
becomes the text only once its digest is right.
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
from charrnn.data.catalogue import Download, Zipped
from charrnn.errors import CorpusError, Remedy, StorageError
from charrnn.files import copy_atomically, is_file, make_folder, remove, write_chunks_atomically
from charrnn.locking import Lock

TRIES = 5
"""Times that a broken connection is taken up again, as long as each brings something."""

_SECONDS_OF_SILENCE = 30.0
_CHUNK_BYTES = 1 << 16
_PARTIAL_CONTENT = 206


def gathering_place(download: Download) -> Path:
    """Where the bytes of a download are gathered until they are whole and verified."""
    return download.path.with_name(f"{download.name}.download")


def fetch(download: Download) -> Iterator[int]:
    """Fetch a text into the user's cache, from the network or from :func:`gathering_place`.

    Yields:
        How many bytes have come, now and then.

    Raises:
        CorpusError: there is no way to the server, it answers with something else, or another
            process is fetching the same; says how to go on.
        StorageError: the disk refused.
    """
    gathered = gathering_place(download)
    make_folder(gathered.parent)
    lock = Lock(gathered.with_suffix(".lock"))
    if not lock.acquire():
        raise CorpusError(f"{download.name}: is being fetched by another charrnn")
    try:
        if not download.is_here:
            yield from _complete(download, gathered)
            _verify(download, gathered)
            _put_in_place(download, gathered)
            remove(gathered)
    finally:
        lock.release()


def _complete(download: Download, gathered: Path) -> Iterator[int]:
    """Fetch what is missing."""
    reason = "nothing came"
    for _ in range(TRIES):
        begin = _size(gathered)
        if begin >= download.bytes:
            return
        try:
            yield from _go_on(download, gathered, begin)
        except (OSError, http.client.HTTPException) as problem:
            reason = _reason(problem)
        if _size(gathered) <= begin:
            break
    if _size(gathered) < download.bytes:
        raise CorpusError(
            f"{download.name}: {_size(gathered):,} of {download.bytes:,} bytes are here; the rest "
            f"did not come: {reason}",
            Remedy("try again to go on from there", "fetch", download.name),
            Remedy(f"fetch {download.url} by other means, put it at {gathered}, and try again"),
        )


def _go_on(download: Download, gathered: Path, begin: int) -> Iterator[int]:
    """One request for all from a byte on, appended as it comes."""
    headers = {"Range": f"bytes={begin}-", "User-Agent": f"charrnn/{__version__}"}
    # The address is the catalogue's own, not a user's.
    request = urllib.request.Request(download.url, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=_SECONDS_OF_SILENCE) as response:  # noqa: S310
        # A server may ignore the range and send everything; what is here already is passed over.
        here = begin if response.status == _PARTIAL_CONTENT else 0
        _check_answer(download, response, here)
        while data := response.read1(min(_CHUNK_BYTES, download.bytes - here)):
            _append(gathered, data[max(begin - here, 0) :])
            here += len(data)
            yield here


def _reason(problem: Exception) -> str:
    """Why a request failed, without what urllib wraps around it."""
    cause = problem.reason if type(problem) is urllib.error.URLError else problem
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


def _check_answer(download: Download, response: http.client.HTTPResponse, here: int) -> None:
    """Raise CorpusError if what the server announces is not what is to come."""
    announced = response.headers.get("Content-Range", "")
    if here and not re.match(rf"bytes {here}-", announced):
        raise CorpusError(
            f"{download.name}: {download.url} answers with another part than was asked for "
            f"({announced:.60})"
        )
    if response.length is not None and here + response.length != download.bytes:
        raise CorpusError(
            f"{download.name}: {download.url} has {here + response.length:,} bytes, not "
            f"{download.bytes:,}: it is not the text that charrnn knows"
        )


def _append(gathered: Path, data: bytes) -> None:
    try:
        with gathered.open("ab") as stream:
            stream.write(data)
    except OSError as problem:
        raise StorageError(f"{gathered}: could not be written: {problem.strerror}") from problem


def _size(path: Path) -> int:
    return path.stat().st_size if is_file(path) else 0


def _verify(download: Download, gathered: Path) -> None:
    """Raise CorpusError, and throw away what has come, unless it has the digest it must have."""
    with gathered.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != download.sha256:
        size = _size(gathered)
        remove(gathered)
        raise CorpusError(
            f"{download.name}: what came from {download.url} is not the text that charrnn knows: "
            f"{size:,} bytes with SHA-256 {digest}, not {download.bytes:,} with "
            f"{download.sha256}. It was thrown away",
            Remedy("try again, perhaps over another network"),
        )


def _put_in_place(download: Download, gathered: Path) -> None:
    if not isinstance(download, Zipped):
        copy_atomically(gathered, download.path)
        return
    try:
        with zipfile.ZipFile(gathered) as archive, archive.open(download.member) as member:
            write_chunks_atomically(download.path, _unpack(download, member))
    except (zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError, EOFError) as problem:
        raise CorpusError(f"{gathered}: cannot be unpacked: {problem}") from problem


def _unpack(download: Zipped, member: IO[bytes]) -> Iterator[bytes]:
    """Read a member of exactly the size it must have; what is larger is not read to its end."""
    size = 0
    while size <= download.size and (data := member.read(_CHUNK_BYTES)):
        yield data
        size += len(data)
    if size != download.size:
        raise CorpusError(
            f"{download.name}: unpacks to {'more' if size > download.size else 'fewer'} than "
            f"{download.size:,} bytes: it is not the text that charrnn knows"
        )
