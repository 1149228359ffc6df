"""Downloads: resumed, verified and put in place whole, from a server that may do anything."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import socket
import zipfile
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from charrnn import files
from charrnn.data import download
from charrnn.data.catalogue import Download, Zipped, is_intact, locate_entry
from charrnn.data.download import TRIES, fetch_text, find_partial_path
from charrnn.errors import CorpusError, StorageError
from charrnn.locking import Lock
from tests.support.disks import Fault, FaultyDisk, refusal
from tests.support.web import Site, serve

BODY = random.Random(1).randbytes(300_000)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and no proxy before the loopback."""
    monkeypatch.setattr("charrnn.folders.user_cache_path", lambda *_, **__: tmp_path)
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "corpora"


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as site:
        site.body = BODY
        yield site


def described(site: Site, body: bytes = BODY) -> Download:
    digest = hashlib.sha256(body).hexdigest()
    return Download("reeds", "MIT", "Reeds.", site.url, len(body), digest)


def zipped(site: Site, text: bytes, *, member: str = "reeds", size: int | None = None) -> Zipped:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("reeds", text)
    site.body = buffer.getvalue()
    download = described(site, site.body)
    return Zipped(
        **download.to_dict(),
        member=member,
        text_bytes=len(text) if size is None else size,
        text_sha256=hashlib.sha256(text).hexdigest(),
    )


def assert_in_place(download: Download, text: bytes = BODY) -> None:
    assert is_intact(download)
    assert download.path.read_bytes() == text
    assert not find_partial_path(download).exists()


def failure(download: Download) -> str:
    with pytest.raises(CorpusError) as raised:
        list(fetch_text(download))
    assert not download.path.exists()
    return str(raised.value)


def test_a_text_is_fetched_once_and_how_far_it_is_is_told(site: Site) -> None:
    download = described(site)
    assert not is_intact(download)
    told = list(fetch_text(download))
    assert told == sorted(told)
    assert told[-1] == len(BODY)
    assert_in_place(download)
    assert list(fetch_text(download)) == []
    assert site.asked == ["bytes=0-"]


@pytest.mark.parametrize("announces_length", [True, False])
def test_a_broken_transfer_goes_on_where_it_broke_off(site: Site, announces_length: bool) -> None:
    site.announces_length = announces_length
    site.breaks_after = 100_000
    download = described(site)
    list(fetch_text(download))
    assert site.asked == ["bytes=0-", "bytes=100000-", "bytes=200000-"]
    assert_in_place(download)


@pytest.mark.parametrize("announces_length", [True, False])
def test_a_server_that_ignores_the_range_is_read_again_from_the_beginning(
    site: Site, announces_length: bool
) -> None:
    site.announces_length = announces_length
    site.honors_range = False
    site.breaks_after = 100_000
    download = described(site)
    assert "100,000 of 300,000 bytes were received" in failure(download)
    assert find_partial_path(download).read_bytes() == BODY[:100_000]
    site.breaks_after = None
    list(fetch_text(download))
    assert site.asked == ["bytes=0-", "bytes=100000-", "bytes=100000-"]
    assert_in_place(download)


def test_a_connection_is_not_taken_up_again_for_ever(site: Site) -> None:
    site.breaks_after = 10
    message = failure(described(site))
    assert len(site.asked) == TRIES
    assert f"{10 * TRIES} of 300,000 bytes were received" in message


def test_an_interrupted_fetch_keeps_what_came(site: Site) -> None:
    download = described(site)
    fetching = fetch_text(download)
    assert isinstance(fetching, Generator)
    come = next(fetching)
    fetching.close()
    assert find_partial_path(download).read_bytes() == BODY[:come]
    list(fetch_text(download))
    assert site.asked == ["bytes=0-", f"bytes={come}-"]
    assert_in_place(download)


def test_the_wrong_text_is_thrown_away_and_nothing_is_put_in_place(site: Site) -> None:
    download = described(site)
    site.body = BODY[:-1] + bytes([BODY[-1] ^ 1])
    message = failure(download)
    assert "is not the text of the catalogue" in message
    assert download.sha256 in message
    assert not find_partial_path(download).exists()
    site.body = BODY
    list(fetch_text(download))
    assert_in_place(download)


def test_what_broke_off_and_goes_on_as_another_text_is_noticed(site: Site) -> None:
    download = described(site)
    find_partial_path(download).parent.mkdir(parents=True)
    find_partial_path(download).write_bytes(b"something else" * 10)
    assert "is not the text" in failure(download)
    list(fetch_text(download))
    assert_in_place(download)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_text_of_another_size_is_refused_before_it_comes(site: Site, change: int) -> None:
    download = described(site)
    site.body = BODY[:-1] if change < 0 else BODY + b"!"
    assert f"has {len(BODY) + change:,} bytes, not 300,000" in failure(download)
    assert not find_partial_path(download).exists()


def test_an_endless_body_is_cut_off_at_the_size_it_must_have(site: Site) -> None:
    site.announces_length = False
    site.endless = True
    download = described(site)
    list(fetch_text(download))
    assert_in_place(download)
    wrong = replace(download, name="wrong", sha256="0" * 64)
    assert "300,000 bytes with SHA-256" in failure(wrong)


def test_another_part_than_was_asked_for_is_refused(site: Site) -> None:
    download = described(site)
    find_partial_path(download).parent.mkdir(parents=True)
    find_partial_path(download).write_bytes(BODY[:1000])
    site.moved_by = 5
    assert "another part" in failure(download)
    assert find_partial_path(download).read_bytes() == BODY[:1000]


def test_an_error_of_the_server_is_told_with_a_way_out(site: Site) -> None:
    site.status = 404
    download = described(site)
    message = failure(download)
    assert "404" in message
    assert site.url in message
    assert str(find_partial_path(download)) in message
    assert "charrnn.fetch('reeds')" in message


def test_without_a_network_there_is_a_way_out_that_works(site: Site) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        download = replace(described(site), url=f"http://127.0.0.1:{port}/reeds")
        message = failure(download)
    assert "0 of 300,000 bytes were received" in message
    assert "refused" in message
    find_partial_path(download).write_bytes(BODY)
    assert list(fetch_text(download)) == []
    assert_in_place(download)


def test_a_server_that_falls_silent_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        message = failure(replace(described(site), url=f"http://127.0.0.1:{port}/reeds"))
    assert "timed out" in message


def test_a_text_that_was_cut_short_in_the_cache_is_fetched_again(site: Site) -> None:
    download = described(site)
    list(fetch_text(download))
    download.path.write_bytes(BODY[:-1])
    assert not is_intact(download)
    list(fetch_text(download))
    assert_in_place(download)


@pytest.mark.parametrize("as_archive", [False, True])
def test_a_text_that_was_altered_in_the_cache_is_refused_and_fetched_again(
    site: Site, as_archive: bool
) -> None:
    download = zipped(site, BODY) if as_archive else described(site)
    list(fetch_text(download))
    status = download.path.stat()
    download.path.write_bytes(BODY[:-1] + bytes([BODY[-1] ^ 1]))
    os.utime(download.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not is_intact(download)
    with pytest.raises(CorpusError, match="not the text of the catalogue") as raised:
        locate_entry(download)
    assert "charrnn.fetch('reeds')" in str(raised.value)
    list(fetch_text(download))
    assert_in_place(download)
    assert locate_entry(download) == download.path


def test_an_archive_of_another_text_of_the_same_size_is_refused(site: Site) -> None:
    download = replace(zipped(site, BODY), text_sha256="0" * 64)
    assert "unpacks to a text with SHA-256" in failure(download)


def test_two_at_once_do_not_write_into_one_another(site: Site) -> None:
    download = described(site)
    find_partial_path(download).parent.mkdir(parents=True)
    lock = Lock(find_partial_path(download).with_suffix(".lock"))
    assert lock.acquire()
    assert "being fetched by another" in failure(download)
    lock.release()
    list(fetch_text(download))
    assert_in_place(download)


def test_a_full_disk_is_told_and_what_is_there_is_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = described(site)
    full = FaultyDisk(Fault(refusal(errno.ENOSPC), ("extend",)), 1)
    with monkeypatch.context() as patch:
        patch.setattr(files, "disk", full)
        with pytest.raises(StorageError, match="No space left"):
            list(fetch_text(download))
    assert site.asked == ["bytes=0-"]
    list(fetch_text(download))
    assert_in_place(download)


def test_a_text_in_an_archive_is_unpacked(site: Site) -> None:
    text = b"The heron stood in the ford. " * 10_000
    download = zipped(site, text)
    list(fetch_text(download))
    assert download.size == len(text)
    assert_in_place(download, text)


@pytest.mark.parametrize(("size", "word"), [(10, "more"), (10**9, "fewer")])
def test_a_text_that_unpacks_to_another_size_is_refused(site: Site, size: int, word: str) -> None:
    assert f"unpacks to {word} than {size:,} bytes" in failure(zipped(site, BODY, size=size))


def test_a_bomb_is_not_unpacked_to_its_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    unpack = download._check_text

    def counting(download: Download, member: IO[bytes]) -> Iterator[bytes]:
        for data in unpack(download, member):
            read.append(len(data))
            yield data

    monkeypatch.setattr(download, "_check_text", counting)
    failure(zipped(site, bytes(50_000_000), size=100))
    assert 0 < sum(read) <= download._CHUNK_BYTES


def test_an_archive_without_the_text_or_damaged_is_refused(site: Site) -> None:
    assert "cannot be unpacked" in failure(zipped(site, BODY, member="rushes"))
    download = zipped(site, BODY)
    # The size and the digest are those of the damaged archive, as a wrong catalogue would have it.
    site.body = site.body[:200_000] + bytes(1000) + site.body[201_000:]
    digest = hashlib.sha256(site.body).hexdigest()
    assert "cannot be unpacked" in failure(replace(download, name="damaged", sha256=digest))
    site.body = b"no archive at all"
    digest = hashlib.sha256(site.body).hexdigest()
    bad = replace(download, name="no_archive", sha256=digest, bytes=len(site.body))
    assert "cannot be unpacked" in failure(bad)


def test_nothing_half_unpacked_is_left(site: Site, cache: Path) -> None:
    failure(zipped(site, BODY, size=10))
    assert not list(cache.glob(".*.tmp"))
