"""Writing: the old file or the new one, whole, whatever the disk refuses; links, pipes, modes."""

import errno
import os
import re
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

from charrnn import files
from charrnn.errors import StorageError
from charrnn.files import (
    Disk,
    append_line,
    append_output,
    check_disk_space,
    clear_leftovers,
    copy_atomically,
    find_descriptor,
    find_replaced,
    flush_folder,
    make_folder,
    name_temporary,
    remove,
    remove_folder,
    write_atomically,
    write_chunks_atomically,
    write_output,
)
from tests.support.disks import Fault, FaultyDisk, SippingDisk, WatchedDisk, refusal

Patch = pytest.MonkeyPatch
WRITING = ("create", "write", "sync", "close", "rename")
"""The requests of a write before the new content is in place."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    return path


class Refusing(FaultyDisk):
    """A full disk that refuses one kind of request, some bytes of a write taken."""

    def __init__(self, *requests: str) -> None:
        super().__init__(Fault(refusal(errno.ENOSPC), requests, torn=True), 1)


class Watching(WatchedDisk):
    """Remembers the requests that were made of it."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    def meet(self, request: str, *given: object) -> None:
        self.requests.append(request)


def failed_write(path: Path, patch: Patch, *requests: str) -> str:
    with patch.context() as patched:
        patched.setattr(files, "disk", Refusing(*requests))
        with pytest.raises(StorageError) as caught:
            write_atomically(path, b"the new content")
    assert caught.value.exit_code == 7
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("before", [b"old", b"the old content is longer", b""])
def test_a_write_replaces_the_content_and_leaves_no_temporary_file(
    path: Path, before: bytes
) -> None:
    path.write_bytes(before)
    write_atomically(path, b"the new one")
    assert path.read_bytes() == b"the new one"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("request_", WRITING)
def test_a_refused_write_leaves_the_old_content_and_no_temporary_file(
    path: Path, monkeypatch: Patch, request_: str
) -> None:
    message = failed_write(path, monkeypatch, request_)
    assert "No space left" in message
    assert "the old content still stands" in message
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_what_fails_while_writing_leaves_the_old_content_and_no_temporary_file(path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"the new"
        raise KeyError("the rest")

    with pytest.raises(KeyError):
        write_chunks_atomically(path, chunks())
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_refused_folder_fsync_is_reported_without_a_false_word_on_what_stands(
    path: Path, monkeypatch: Patch
) -> None:
    message = failed_write(path, monkeypatch, "sync_folder")
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() in (b"old", b"the new content")
    assert path.read_bytes() == b"old" or "old content still stands" not in message


@pytest.mark.parametrize("request_", WRITING)
def test_a_refused_write_creates_nothing_where_there_was_nothing(
    tmp_path: Path, monkeypatch: Patch, request_: str
) -> None:
    assert "old content" not in failed_write(tmp_path / "new", monkeypatch, request_)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["missing/x", "kept/x", "n" * 256, "folder"])
def test_a_path_that_cannot_be_written_is_a_storage_error(path: Path, name: str) -> None:
    (path.parent / "folder").mkdir()
    with pytest.raises(StorageError, match="could not be written"):
        write_atomically(path.parent / name, b"new")


def test_a_refusal_is_reported_even_if_the_temporary_file_cannot_be_removed(
    path: Path, monkeypatch: Patch
) -> None:
    failed_write(path, monkeypatch, "sync", "remove")
    assert path.read_bytes() == b"old"


def test_a_leftover_temporary_file_does_no_harm(path: Path) -> None:
    name_temporary(path).write_bytes(b"half of something that was longer")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    clear_leftovers(path.parent, path.name)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("problem", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("request_", WRITING)
def test_a_write_that_is_broken_off_leaves_the_old_content_and_no_temporary_file(
    path: Path, monkeypatch: Patch, request_: str, problem: type[BaseException]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(files, "disk", FaultyDisk(Fault(problem, (request_,)), 1))
        with pytest.raises(problem):
            write_atomically(path, b"lost")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_disk_that_takes_little_at_a_time_gets_it_all(path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(files, "disk", SippingDisk())
    write_atomically(path, b"the new content")
    append_line(path, ", and more")
    assert path.read_bytes() == b"the new content, and more\n"


def test_content_reaches_the_disk_before_its_name_does(path: Path, monkeypatch: Patch) -> None:
    disk = Watching()
    monkeypatch.setattr(files, "disk", disk)
    write_atomically(path, b"new")
    assert disk.requests == ["create", "write", "sync", "close", "rename", "sync_folder"]


def test_to_sync_is_to_ask_the_system_to(path: Path, monkeypatch: Patch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    write_atomically(path, b"new")
    folder = [] if os.name == "nt" else [path.parent.stat().st_ino]
    assert synced == [path.stat().st_ino, *folder]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot open folders")
@pytest.mark.parametrize(
    ("number", "is_lacking"),
    [
        *((number, True) for number in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)),
        *((number, True) for number in (errno.EBADF, errno.EACCES, errno.EPERM)),
        *((number, False) for number in (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS)),
    ],
)
def test_a_folder_need_not_be_synced_where_that_is_unknown(
    path: Path, monkeypatch: Patch, number: int, is_lacking: bool
) -> None:
    assert Disk().sync_folder(path.parent)
    monkeypatch.setattr(os, "fsync", mock.Mock(side_effect=refusal(number)()))
    if is_lacking:
        assert not Disk().sync_folder(path.parent)
    else:
        with pytest.raises(OSError, match=re.escape(os.strerror(number))):
            Disk().sync_folder(path.parent)


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot open folders")
def test_a_folder_that_may_be_written_and_not_listed_is_written(
    path: Path, monkeypatch: Patch
) -> None:
    real = os.open

    def refuse_folders(name: Path, flags: int, mode: int = 0o777) -> int:
        if Path(name).is_dir():
            raise refusal(errno.EACCES)()
        return real(name, flags, mode)

    monkeypatch.setattr(os, "open", refuse_folders)
    write_atomically(path, b"new")
    append_line(path.parent / "log", "one")
    make_folder(path.parent / "folder")
    assert not flush_folder(path.parent)
    remove_folder(path.parent / "folder")
    assert path.read_bytes() == b"new"
    assert sorted(file.name for file in path.parent.iterdir()) == ["kept", "log"]


def test_a_copy_is_a_replacement_too(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    path.write_bytes(os.urandom((1 << 20) + 3))
    copy_atomically(path, copy)
    assert copy.read_bytes() == path.read_bytes()
    with pytest.raises(StorageError, match="copy"):
        copy_atomically(tmp_path / "missing", copy)
    assert copy.read_bytes() == path.read_bytes()
    assert set(tmp_path.iterdir()) == {path, copy}


def test_the_check_of_disk_space_writes_the_sizes_and_leaves_nothing(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    written: list[int] = []

    class Weighing(WatchedDisk):
        def meet(self, request: str, *given: object) -> None:
            if request == "remove" and not written:
                written.extend(sorted(file.stat().st_size for file in tmp_path.iterdir()))

    monkeypatch.setattr(files, "disk", Weighing())
    check_disk_space(tmp_path, [0, 5, (1 << 20) + 7])
    assert written == [0, 5, (1 << 20) + 7]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("nth", range(1, 13))
def test_a_check_that_is_refused_says_how_much_was_wanted_and_leaves_nothing(
    tmp_path: Path, monkeypatch: Patch, nth: int
) -> None:
    fault = Fault(refusal(errno.ENOSPC), torn=True)
    monkeypatch.setattr(files, "disk", FaultyDisk(fault, nth))
    with pytest.raises(StorageError, match=r"1,030 bytes .*No space left"):
        check_disk_space(tmp_path, [1000, 20, 10])
    assert not list(tmp_path.iterdir())


def test_only_the_temporary_files_of_the_names_given_are_cleared(tmp_path: Path) -> None:
    leftover = tmp_path / ".last.safetensors.123.tmp"
    others = {tmp_path / name for name in (".mine.tmp", ".last.safetensors.tmp", ".mine.1.tmp")}
    for file in (leftover, *others):
        file.touch()
    clear_leftovers(tmp_path, "last.safetensors")
    assert set(tmp_path.iterdir()) == others


def test_a_file_is_removed_for_good_or_was_not_there(path: Path, monkeypatch: Patch) -> None:
    disk = Watching()
    monkeypatch.setattr(files, "disk", disk)
    for _ in range(2):
        remove(path)
    assert not path.exists()
    assert disk.requests == ["remove", "sync_folder", "remove"]
    with pytest.raises(StorageError, match="cannot be removed"):
        remove(path.parent)


def test_lines_are_appended_and_each_is_flushed_to_the_disk(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    log, disk = tmp_path / "log", Watching()
    monkeypatch.setattr(files, "disk", disk)
    append_line(log, "one")
    append_line(log, "zwei, drüben")
    assert log.read_text(encoding="utf-8") == "one\nzwei, drüben\n"
    line = ["extend", "write", "sync", "close"]
    assert disk.requests == [*line, "sync_folder", *line]


@pytest.mark.parametrize("request_", ["extend", "write", "sync"])
def test_a_refused_append_leaves_the_lines_before_and_no_part_of_another(
    tmp_path: Path, monkeypatch: Patch, request_: str
) -> None:
    log = tmp_path / "log"
    append_line(log, "one")
    with monkeypatch.context() as patched:
        patched.setattr(files, "disk", Refusing(request_))
        with pytest.raises(StorageError, match="No space left") as caught:
            append_line(log, "two")
    assert str(log) in str(caught.value)
    assert log.read_bytes() == b"one\n"


def test_output_that_is_refused_leaves_no_part_behind_what_was_there(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    kept = tmp_path / "kept.txt"
    append_output(kept, b"one\n")
    with monkeypatch.context() as patched:
        patched.setattr(files, "disk", Refusing("write"))
        with pytest.raises(StorageError, match="No space left"):
            append_output(kept, b"two\n")
    assert kept.read_bytes() == b"one\n"


def test_a_folder_is_made_with_those_above_it_and_may_be_there_already(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_and_those_above_it_are_there_to_stay(tmp_path: Path, monkeypatch: Patch) -> None:
    disk = Watching()
    monkeypatch.setattr(files, "disk", disk)
    make_folder(tmp_path / "a" / "b")
    assert disk.requests[:4] == ["make_folder", "sync_folder"] * 2
    disk.requests.clear()
    # It may be the work of a process that was killed before it could sync.
    make_folder(tmp_path / "a" / "b")
    assert disk.requests == ["sync_folder"]


def test_a_folder_that_another_process_makes_first_is_as_good(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    class Overtaken(WatchedDisk):
        def meet(self, request: str, *given: object) -> None:
            if request == "make_folder":
                (tmp_path / "made").mkdir()

    monkeypatch.setattr(files, "disk", Overtaken())
    make_folder(tmp_path / "made")
    assert (tmp_path / "made").is_dir()


@pytest.mark.parametrize("name", ["kept", "kept/below", "n" * 300])
def test_a_folder_that_cannot_be_made_is_a_storage_error(path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="cannot be made a folder"):
        make_folder(path.parent / name)


NOBODY = 65534
ENTRY = struct.Struct("<HHI")
"""An entry of an access list: kind, permissions, number."""

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other links, pipes and modes")
root_only = pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0, reason="only root may give files to others"
)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask() -> Iterator[None]:
    """The usual one, whatever the tests are run with."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe, and the descriptor of its reader, who waits for nothing."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


@posix
@pytest.mark.parametrize("name", ["link", "chain", "in/up", "in/absolute"])
@pytest.mark.parametrize("write", [write_atomically, lambda path, data: write_output(path, [data])])
def test_a_link_is_followed_to_its_end_which_alone_is_replaced(
    path: Path, name: str, write: Callable[[Path, bytes], None]
) -> None:
    folder = path.parent
    (folder / "elsewhere").mkdir()
    (folder / "in").symlink_to("elsewhere")
    links = {"link": "kept", "chain": "link", "in/up": "../chain", "in/absolute": str(path)}
    for link, target in links.items():
        (folder / link).symlink_to(target)
    assert find_replaced(folder / name) is not None
    write(folder / name, b"new")
    assert path.read_bytes() == b"new"
    assert not path.is_symlink()
    assert {link: str((folder / link).readlink()) for link in links} == links
    assert {one.name for one in folder.iterdir()} == {"kept", "elsewhere", "in", "link", "chain"}


@posix
def test_a_link_to_nothing_yet_stays_and_leads_to_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("new")
    assert find_replaced(tmp_path / "link") is None
    write_output(tmp_path / "link", [b"new"])
    append_line(tmp_path / "link", " line")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "new").read_bytes() == b"new line\n"


@posix
def test_links_that_lead_nowhere_are_refused_and_stay(tmp_path: Path) -> None:
    links = {"one": "two", "two": "one", "far": "missing/new", "folder": "."}
    for link, target in links.items():
        (tmp_path / link).symlink_to(target)
    for link in links:
        for write in (write_atomically, lambda path, data: write_output(path, [data])):
            with pytest.raises(StorageError, match=f"{link}: could not be written"):
                write(tmp_path / link, b"new")
        with pytest.raises(StorageError, match=f"{link}: could not be written"):
            find_replaced(tmp_path / link)
    assert {one.name: str(one.readlink()) for one in tmp_path.iterdir()} == links


def test_another_name_of_a_file_keeps_the_old_content(path: Path) -> None:
    other = path.with_name("other")
    other.hardlink_to(path)
    write_atomically(path, b"new")
    assert (path.read_bytes(), other.read_bytes()) == (b"new", b"old")


@posix
@pytest.mark.parametrize("by", ["its name", "a link"])
def test_output_goes_into_a_pipe_and_a_file_of_charrnn_does_not(
    pipe: tuple[Path, int], by: str
) -> None:
    path, reader = pipe
    named = path if by == "its name" else path.with_name("link")
    if named != path:
        named.symlink_to(path.name)
    assert find_replaced(named) is None
    write_output(named, [b"one, ", b"two, "])
    append_output(named, b"three")
    assert os.read(reader, 100) == b"one, two, three"
    for keep in (write_atomically, lambda path, _: append_line(path, "line")):
        with pytest.raises(StorageError, match="not a file but a device, a pipe or a socket"):
            keep(named, b"new")
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert not list(path.parent.glob(".*"))


@posix
def test_a_pipe_that_nobody_reads_any_more_is_told_as_such() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(StorageError, match="Broken pipe") as caught:
        write_output(Path(f"/dev/fd/{writer}"), [b"lost"])
    assert isinstance(caught.value.__cause__, BrokenPipeError)
    os.close(writer)


@root_only
def test_a_device_is_written_into_and_a_disk_is_not(tmp_path: Path) -> None:
    null, disk = tmp_path / "null", tmp_path / "disk"
    try:
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(disk, 0o666 | stat.S_IFBLK, os.makedev(7, 0))
        null.write_bytes(b"")
    except OSError:
        pytest.skip("no device may be made here")
    write_output(null, [b"gone"])
    assert stat.S_ISCHR(null.stat().st_mode)
    with pytest.raises(StorageError, match="it is a disk"):
        write_output(disk, [b"no"])
    assert stat.S_ISBLK(disk.stat().st_mode)


@posix
def test_a_socket_is_refused_and_stays(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.chdir(tmp_path)  # The path of a socket may be short only.
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(StorageError, match="it is a socket"):
            write_output(Path("socket"), [b"no"])
        assert stat.S_ISSOCK(Path("socket").stat().st_mode)


@posix
@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="there is no /dev/fd here")
def test_an_open_file_is_written_into_where_it_stands(path: Path) -> None:
    with path.open("r+b", buffering=0) as file:
        file.write(b"head, ")
        named = Path(f"/dev/fd/{file.fileno()}")
        link = path.with_name("link")
        link.symlink_to(named)
        assert find_descriptor(link) == find_descriptor(named) == file.fileno()
        assert find_replaced(named) is None
        write_output(link, [b"body, "])
        append_output(named, b"more, ")
        file.write(b"tail")
    assert path.read_bytes() == b"head, body, more, tail"
    assert find_descriptor(path) is None
    assert find_descriptor(Path("7")) is None
    with pytest.raises(StorageError, match="Bad file descriptor"):
        write_output(named, [b"closed"])


@posix
@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o666])
def test_a_file_keeps_its_mode_and_is_never_open_to_more(
    path: Path, monkeypatch: Patch, mode: int
) -> None:
    class Peeking(WatchedDisk):
        def meet(self, request: str, *given: object) -> None:
            if request == "write":
                modes.extend(mode_of(one) for one in path.parent.glob(".*.tmp"))

    path.chmod(mode)
    modes: list[int] = []
    monkeypatch.setattr(files, "disk", Peeking())
    write_atomically(path, b"new")
    assert mode_of(path) == mode
    assert modes == [mode]


@posix
@pytest.mark.usefixtures("umask")
def test_a_new_file_follows_the_umask_or_the_file_that_it_is_like(path: Path) -> None:
    new, like, missing, log, copy = (path.with_name(name) for name in "abcde")
    path.chmod(0o600)
    write_atomically(new, b"new")
    write_atomically(like, b"new", like=path)
    write_atomically(missing, b"new", like=path.with_name("missing"))
    append_line(log, "line", like=path)
    copy_atomically(new, copy, private=True)
    modes = [mode_of(one) for one in (new, like, missing, log, copy)]
    assert modes == [0o644, 0o600, 0o644, 0o600, 0o600]
    new.chmod(0o604)
    write_atomically(new, b"new", like=path)
    log.chmod(0o640)
    append_line(log, "line", like=path)
    assert (mode_of(new), mode_of(log)) == (0o604, 0o640)


@root_only
def test_a_file_keeps_its_owner_and_its_group(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY - 1)
    write_atomically(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY - 1)


@posix
def test_a_group_that_cannot_be_given_leaves_ones_own_no_rights(
    path: Path, monkeypatch: Patch
) -> None:
    path.chmod(0o664)
    monkeypatch.setattr(os, "fchown", mock.Mock(side_effect=refusal(errno.EPERM)()))
    write_atomically(path, b"new")
    assert mode_of(path) == 0o644


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no access lists are known here")
def test_a_file_keeps_its_access_list_and_takes_none_of_the_folders(path: Path) -> None:
    nobody, everyone = 0xFFFFFFFF, ((1, 6), (2, 4), (4, 0), (16, 4), (32, 0))
    entries = [
        ENTRY.pack(kind, rights, NOBODY if kind == 2 else nobody) for kind, rights in everyone
    ]
    listed = struct.pack("<I", 2) + b"".join(entries)
    plain = path.with_name("plain")
    plain.touch(0o640)
    try:
        os.setxattr(path, "system.posix_acl_access", listed)
        os.setxattr(path.parent, "system.posix_acl_default", listed)
    except OSError:
        pytest.skip("this file system keeps no access lists")
    for file in (path, plain):
        write_atomically(file, b"new")
    assert os.getxattr(path, "system.posix_acl_access") == listed
    assert "system.posix_acl_access" not in os.listxattr(plain)


@posix
def test_a_temporary_file_follows_no_link_that_lies_in_wait(path: Path, monkeypatch: Patch) -> None:
    victim, planted = path.with_name("victim"), path.with_name(".kept.1.tmp")
    victim.write_bytes(b"precious")
    planted.symlink_to(victim)
    monkeypatch.setattr(files, "name_temporary", lambda _: planted)
    with pytest.raises(StorageError, match="File exists"):
        write_atomically(path, b"new")
    assert (victim.read_bytes(), path.read_bytes()) == (b"precious", b"old")


def test_nobody_can_foresee_the_name_of_a_temporary_file(path: Path) -> None:
    names = {name_temporary(path) for _ in range(9)}
    assert len(names) == 9
    assert all(name.match(".kept.*.tmp") for name in names)


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, b"new")
    assert [one.name for one in tmp_path.iterdir()] == [name]


@root_only
@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe", "file"])
def test_what_others_laid_into_a_shared_folder_is_not_trusted(tmp_path: Path, kind: str) -> None:
    shared, victim = tmp_path / "shared", tmp_path / "victim"
    shared.mkdir()
    shared.chmod(0o1777)
    laid = shared / "laid"
    victim.write_bytes(b"precious")
    if kind == "pipe":
        os.mkfifo(laid)
    elif kind == "file":
        laid.touch()
    else:
        laid.symlink_to(victim if kind == "link" else tmp_path / "new")
    os.chown(laid, NOBODY, NOBODY, follow_symlinks=False)
    for write in (write_atomically, append_output, lambda path, data: write_output(path, [data])):
        with pytest.raises(StorageError, match="belongs to another user"):
            write(laid, b"new")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "new").exists()
    mine = shared / "mine"
    mine.symlink_to(victim)
    write_output(mine, [b"new"])
    assert victim.read_bytes() == b"new"


def test_output_is_appended_to_a_file_or_begins_it(path: Path, tmp_path: Path) -> None:
    append_output(path, b" and more")
    append_output(tmp_path / "new", b"new")
    assert (path.read_bytes(), (tmp_path / "new").read_bytes()) == (b"old and more", b"new")
    with pytest.raises(StorageError, match="Is a directory"):
        append_output(tmp_path, b"no")


def test_a_path_with_a_null_character_is_refused(tmp_path: Path) -> None:
    for write in (write_atomically, append_output, lambda path, data: write_output(path, [data])):
        with pytest.raises(StorageError, match="could not be written"):
            write(tmp_path / "a\0b", b"new")
