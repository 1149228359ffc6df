"""The run directory: its lock, its log, and how a run or a model is found."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from charrnn import files
from charrnn.checkpoints.checkpoint import MODEL, TRAINING, Checkpoint, read_checkpoint
from charrnn.checkpoints.run_directory import (
    REPORT_MARK,
    RunDirectory,
    Sizes,
    estimate_sizes,
)
from charrnn.checkpoints.run_index import RUNS, find_latest_run, find_model, find_run, mark_latest
from charrnn.errors import CheckpointError, RunDirectoryError, StorageError
from charrnn.files import name_temporary
from charrnn.locking import Lock
from tests.robustness.here import PLANS, RESUME, RUN, charrnn
from tests.support.disks import Fault, FaultyDisk, HurriedDisk, refusal
from tests.support.optimizers import OPTIMIZERS_HERE

HOLDER = """
import sys, time
from pathlib import Path
from charrnn.checkpoints.run_directory import RunDirectory

with RunDirectory(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""
Find = Callable[[str | None], Path]

TRAINED = Checkpoint(
    TRAINING,
    {},
    {f"{part}.w": np.ones(100_000, dtype=np.float32) for part in ("model", "average")},
)
"""A run's checkpoint before its first step."""

RECORDS: list[dict[str, Any]] = [
    {"step": 1, "loss": 2.5},
    {"step": 2, "best": None},
    {"step": 3, "who": "Füchse"},
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without a directory of their own go below the current folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run() -> RunDirectory:
    run = RunDirectory(RUNS / "tales")
    run.path.mkdir(parents=True)
    return run


@contextmanager
def held_elsewhere(run: RunDirectory) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run's lock until it is killed."""
    command = [sys.executable, "-c", HOLDER, str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def new_run(path: Path) -> RunDirectory:
    path.mkdir(parents=True, exist_ok=True)
    return RunDirectory(path)


def test_a_second_process_is_refused_until_the_first_is_killed(run: RunDirectory) -> None:
    with held_elsewhere(run) as process:
        with pytest.raises(RunDirectoryError, match="in use") as caught, run.locked():
            pass
        assert caught.value.exit_code == 6
        assert str(run.path) in str(caught.value)
        assert [remedy.means for remedy in caught.value.remedies] == ["", "run"]
        process.kill()
        process.wait()
        with run.locked():
            assert process.returncode


def test_a_refused_process_leaves_the_holders_files_alone(run: RunDirectory) -> None:
    with held_elsewhere(run):
        written = name_temporary(run.last)
        written.write_bytes(b"being written")
        with pytest.raises(RunDirectoryError), run.locked():
            pass
        assert written.exists()


def test_the_lock_is_held_within_and_free_after_even_an_error(run: RunDirectory) -> None:
    def fail_within() -> None:
        with run.locked():
            with pytest.raises(RunDirectoryError), RunDirectory(run.path).locked():
                pass
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail_within()


def test_locking_makes_the_directory_and_clears_what_a_crash_left_half_written() -> None:
    run = RunDirectory(RUNS / "deep" / "tales")
    with run.locked():
        half = name_temporary(run.best)
        half.write_bytes(b"half")
    with run.locked():
        assert not half.exists()


@pytest.mark.parametrize(
    "in_the_way", ["tales", "tales/.lock/x", "tales/.last.safetensors.1.tmp/x"]
)
def test_a_directory_that_cannot_be_locked_is_a_storage_error(
    tmp_path: Path, in_the_way: str
) -> None:
    path = tmp_path / in_the_way
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(StorageError, match="tales"), RunDirectory(tmp_path / "tales").locked():
        pass


@pytest.mark.parametrize("name", ["last", "best", "log"])
def test_a_directory_with_a_run_is_refused_with_every_way_out(run: RunDirectory, name: str) -> None:
    run.refuse_if_begun()
    file: Path = getattr(run, name)
    file.touch()
    with pytest.raises(RunDirectoryError) as caught:
        run.refuse_if_begun()
    assert caught.value.exit_code == 6
    assert str(run.path) in str(caught.value)
    assert [remedy.means for remedy in caught.value.remedies] == ["resume", "overwrite", "run"]
    file.unlink()
    run.refuse_if_begun()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("file.txt/run", "Not a directory"),
        ("file.txt", "file.txt is no folder"),
        ("dangling/run", "dangling is no folder"),
        ("loop/run", "Too many levels"),
        ("a\0b", "null byte"),
        ("n" * 300 + "/run", "too long"),
    ],
)
def test_a_place_that_no_run_can_have_is_refused_without_a_try(path: str, reason: str) -> None:
    Path("file.txt").touch()
    Path("dangling").symlink_to("nothing")
    Path("loop").symlink_to("loop")
    before = set(Path().iterdir())
    with pytest.raises(StorageError, match=reason):
        RunDirectory(Path(path)).check_place()
    assert set(Path().iterdir()) == before
    RunDirectory(Path("new/folders/run")).check_place()
    assert set(Path().iterdir()) == before


def test_a_directory_that_is_missing_or_only_locked_holds_no_run() -> None:
    run = RunDirectory(RUNS / "tales")
    run.refuse_if_begun()
    with run.locked():
        run.refuse_if_begun()


def test_a_new_run_keeps_its_text_and_forgets_the_old_runs_files(run: RunDirectory) -> None:
    kept, old = (run.copy_of(Path(name), "0123456789abcdef") for name in ("new", "old"))
    for file in (run.last, run.best, run.log, kept, old):
        file.touch()
    run.forget_others(kept=(kept,))
    assert {file.name for file in run.path.glob("[!.]*")} == {run.last.name, kept.name}


def test_no_report_on_a_replaced_run_is_left_whatever_it_is_called(run: RunDirectory) -> None:
    reports = (run.report, run.path / "mine.htm")
    for file in (*reports, run.last):
        file.write_bytes(b"<!doctype html>\n" + REPORT_MARK + b' 0.1.0">')
    run.begin(TRAINED, {})
    assert set(run.path.glob("[!.]*")) == {run.last}


@pytest.mark.skipif(os.name == "nt", reason="Windows has other modes")
def test_a_runs_new_files_get_the_mode_of_its_last_checkpoint(
    run: RunDirectory, tmp_path: Path
) -> None:
    text = tmp_path / "text"
    text.touch(0o644)
    copy = run.copy_of(text, "0123456789abcdef")
    for file in (run.last, run.best, run.log):
        file.touch(0o600)
    run.begin(TRAINED, {text: copy})
    run.save_best(TRAINED)
    run.append({"step": 1})
    assert {
        file.name: file.stat().st_mode & 0o777 for file in run.path.glob("[!.]*")
    } == dict.fromkeys((run.last.name, run.best.name, run.log.name, copy.name), 0o600)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes with names")
@pytest.mark.parametrize("name", ["last", "best", "log"])
def test_a_run_is_not_begun_over_a_pipe_which_stays(run: RunDirectory, name: str) -> None:
    pipe: Path = getattr(run, name)
    os.mkfifo(pipe)
    with pytest.raises(StorageError, match=f"{pipe.name}.*not a file but a device, a pipe"):
        run.begin(TRAINED, {})
    assert list(run.path.iterdir()) == [pipe]


@pytest.mark.skipif(os.name == "nt", reason="Windows makes no links for everybody")
@pytest.mark.parametrize("name", ["last", "best", "log"])
def test_a_link_in_a_run_leads_to_the_runs_own_files_alone(
    run: RunDirectory, tmp_path: Path, name: str
) -> None:
    link: Path = getattr(run, name)
    own, foreign = tmp_path / "own", tmp_path / "foreign"
    run.save_best(TRAINED)
    run.append(RECORDS[0])
    (run.log if name == "log" else run.best).rename(own)
    foreign.write_text("mine")
    link.unlink(missing_ok=True)
    link.symlink_to(foreign)
    with pytest.raises(StorageError, match=f"{link.name}: is a link to a file that is not of a"):
        run.check_disk_space(TRAINED)
    assert foreign.read_text() == "mine"
    link.unlink()
    link.symlink_to(own)
    run.check_disk_space(TRAINED)
    run.forget_after(1, 0)
    run.save_last(TRAINED)
    assert link.is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="Windows has other modes")
def test_the_copy_of_a_text_from_a_pipe_is_the_users_alone(
    run: RunDirectory, tmp_path: Path
) -> None:
    text = tmp_path / "text"
    text.touch(0o644)
    copy = run.copy_of(text, "0123456789abcdef")
    run.begin(TRAINED, {text: copy})
    assert copy.stat().st_mode & 0o777 == 0o600


def test_a_users_own_files_in_the_directory_are_left_alone(run: RunDirectory) -> None:
    names = ("corpus-mine.txt", "corpus-of-tales-0.txt", ".mine.tmp", "mine.safetensors")
    own = [run.path / name for name in (*names, "report.html", "about.html")]
    for file in own:
        file.write_text("<!doctype html><title>mine</title>")
    with run.locked():
        run.forget_others(kept=())
    assert all(file.exists() for file in own)


def test_a_text_that_is_trained_on_where_it_lies_is_not_forgotten(run: RunDirectory) -> None:
    text = run.copy_of(Path("0"), "0123456789abcdef")
    text.touch()
    run.begin(TRAINED, {}, sources=[Path("runs/../runs") / run.path.name / text.name])
    assert text.exists()


def test_a_new_run_that_is_refused_leaves_the_old_one_and_no_copy(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "text"
    for file in (run.last, run.best, run.log, text):
        file.touch()
    monkeypatch.setattr(run, "check_disk_space", mock.Mock(side_effect=StorageError("full")))
    with pytest.raises(StorageError):
        run.begin(TRAINED, {text: run.copy_of(text, "0123456789abcdef")})
    assert set(run.path.iterdir()) == {run.last, run.best, run.log}


def test_the_check_asks_for_the_space_that_the_saves_will_take(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        "charrnn.checkpoints.run_directory.check_disk_space",
        lambda folder, sizes: asked.extend(sizes),
    )
    run.check_disk_space(TRAINED)
    weights = TRAINED.arrays["model.w"].nbytes
    # One more last checkpoint than stays; the optimizer's numbers are still to come.
    assert 4 * weights <= asked[0] < 5 * weights
    assert sum(asked) >= (4 + 4 + 1) * weights
    asked.clear()
    run.last.write_bytes(bytes(5 * weights))
    run.best.write_bytes(bytes(2 * weights))
    run.check_disk_space(TRAINED)
    assert 4 * weights <= sum(asked) < 6 * weights


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_saved_in_a_directory_that_was_taken_away(
    run: RunDirectory, replaced: bool
) -> None:
    with run.locked():
        run.save_last(TRAINED)
        shutil.rmtree(run.path)
        another = RunDirectory(run.path)
        if replaced:
            with another.locked():
                another.save_last(Checkpoint(MODEL, {"whose": "another's"}, {}))
        for save in (run.save_last, run.save_best, run.check_disk_space):
            with pytest.raises(StorageError, match="removed, moved or replaced") as caught:
                save(TRAINED)
            assert caught.value.exit_code == 7
        with pytest.raises(StorageError, match="removed, moved or replaced"):
            run.append({"step": 1})
        with pytest.raises(StorageError, match="removed, moved or replaced"):
            run.discard()
    assert run.path.exists() == replaced
    assert not replaced or read_checkpoint(run.last).header == {"whose": "another's"}


def without_locks(patch: pytest.MonkeyPatch, number: int = errno.ENOLCK) -> None:
    """Make the file system answer requests for locks as one that has none."""

    def refuse(file: int, *, blocking: bool) -> bool:
        raise OSError(number, os.strerror(number))

    patch.setattr("charrnn.locking.lock_descriptor", refuse)


def test_where_there_are_no_locks_that_is_noted_and_nobodys_files_are_cleared(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch)
    half = run.path / f".{run.last.name}.1.tmp"
    half.touch()
    notes: list[str] = []
    with run.locked(notes.append):
        run.save_last(TRAINED)
        run.save_best(TRAINED)
        run.append({"step": 1})
    assert half.exists()
    assert [note for note in notes if "no locks (No locks available)" in note] == notes


def test_where_there_are_no_locks_one_of_two_processes_notices_and_stops(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch)
    other = RunDirectory(run.path)
    with run.locked(), other.locked():
        other.save_last(Checkpoint(MODEL, {"whose": "another's"}, {}))
        for save in (run.save_last, run.save_best, run.check_disk_space):
            with pytest.raises(StorageError, match="another process has replaced it"):
                save(TRAINED)
        with pytest.raises(StorageError, match="another process has replaced it"):
            run.append({"step": 1})
        with pytest.raises(StorageError, match="another process has replaced it"):
            run.discard()
        other.append({"step": 1})
        other.save_last(Checkpoint(MODEL, {"whose": "another's, later"}, {}))
    assert read_checkpoint(run.last).header == {"whose": "another's, later"}


def test_names_that_cannot_be_flushed_are_noted(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgetful(HurriedDisk):
        def sync_folder(self, path: Path) -> bool:
            return False

    monkeypatch.setattr(files, "disk", Forgetful())
    notes: list[str] = []
    with run.locked(notes.append):
        run.save_last(TRAINED)
    assert len(notes) == 1
    assert "power cut" in notes[0]


def test_a_lock_that_does_not_come_is_noted_with_its_file(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_slow(lock: Lock, on_slow: Callable[[], object]) -> bool:
        on_slow()
        return False

    monkeypatch.setattr(Lock, "acquire", be_slow)
    notes: list[str] = []
    with pytest.raises(RunDirectoryError), run.locked(notes.append):
        pass
    assert len(notes) == 1
    assert f"{run.path}/.lock: the file system does not answer" in notes[0]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, None])
def test_what_fails_before_a_run_has_begun_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    if number:
        without_locks(monkeypatch, number)
    (tmp_path / "mine").touch()
    for path in (Path("a/b/c"), tmp_path / "runs" / "d"):
        with pytest.raises((StorageError, KeyboardInterrupt)), RunDirectory(path).locked():
            raise KeyboardInterrupt
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_what_fails_before_a_run_has_begun_leaves_what_was_there(run: RunDirectory) -> None:
    (run.path / ".lock").touch()
    (run.path / "mine").touch()
    with pytest.raises(KeyboardInterrupt), run.locked():
        raise KeyboardInterrupt
    assert {file.name for file in run.path.iterdir()} == {".lock", "mine"}


def test_a_folder_that_was_made_and_cannot_be_flushed_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = Fault(refusal(errno.EIO), ("sync_folder",))
    monkeypatch.setattr(files, "disk", FaultyDisk(fault, 3))
    with pytest.raises(StorageError, match="cannot be flushed"), RunDirectory(Path("a/b")).locked():
        pass
    assert not list(tmp_path.iterdir())


def test_clearing_what_cannot_be_removed_is_a_storage_error(run: RunDirectory) -> None:
    run.log.mkdir()
    with pytest.raises(StorageError, match="tales"):
        run.forget_others(kept=())


def test_checkpoints_are_kept_under_their_names(run: RunDirectory) -> None:
    run.save_last(Checkpoint(MODEL, {"which": "last"}, {}))
    run.save_best(Checkpoint(MODEL, {"which": "best"}, {}))
    for name in ("last", "best"):
        found = read_checkpoint(run.path / f"{name}.safetensors")
        assert found.header == {"which": name}


def test_log_records_come_back_in_order(run: RunDirectory) -> None:
    assert run.records() == []
    for record in RECORDS:
        run.append(record)
    assert run.records() == RECORDS
    assert len(run.log.read_text(encoding="utf-8").splitlines()) == len(RECORDS)


def test_log_records_survive_a_last_line_cut_short_anywhere(run: RunDirectory) -> None:
    whole = [json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in RECORDS]
    torn = whole.pop()
    for length in range(len(torn) - 1):
        run.log.write_bytes(b"".join(whole) + torn[:length])
        assert run.records() == RECORDS[:-1]


def test_a_resumed_run_logs_on_after_a_line_that_was_cut_short(run: RunDirectory) -> None:
    run.append(RECORDS[0])
    with run.log.open("a", encoding="utf-8") as log:
        log.write('{"step": 2, "who')
    run.forget_after(1, 0)
    run.append(RECORDS[1])
    assert run.records() == RECORDS[:2]


@pytest.mark.parametrize("step", range(5))
def test_what_the_log_says_beyond_a_step_is_forgotten(run: RunDirectory, step: int) -> None:
    note = {"event": "note", "step": 0}
    for record in [*RECORDS, note]:
        run.append(record)
    run.forget_after(step, 0)
    assert run.records() == [*RECORDS[:step], note]


def test_what_the_log_says_of_going_back_once_more_is_forgotten(run: RunDirectory) -> None:
    going_back = [{"event": "rollback", "step": 1, "halvings": number} for number in (1, 2, 3)]
    for record in [RECORDS[0], *going_back]:
        run.append(record)
    run.forget_after(1, 2)
    assert run.records() == [RECORDS[0], *going_back[:2]]


@pytest.mark.parametrize(
    "line",
    ["", "null", "[1]", "\0", "{'step': 1}", "[" * 200_000, '{"step": "x"}', '{"step": null}'],
    ids=range(8),
)
def test_a_damaged_line_in_the_log_stops_no_run(run: RunDirectory, line: str) -> None:
    run.log.write_text(f'{line}\n{{"step": 1}}\n{{"step": 9}}\n', encoding="utf-8")
    run.forget_after(5, 0)
    assert {"step": 1} in run.records()
    assert {"step": 9} not in run.records()


@pytest.mark.parametrize(
    "path",
    [
        "runs/tales",
        "runs/deep/tales",
        "runs/tales of herons",
        "runs/ tales",
        "runs/tales ",
        "runs/Füchse 狐",
        "elsewhere",
        "../elsewhere",
    ],
)
def test_the_run_marked_is_the_latest(run: RunDirectory, path: str) -> None:
    mark_latest(run.path)
    mark_latest(new_run(Path(path)).path)
    assert find_latest_run().resolve() == Path(path).resolve()
    assert find_run(None).resolve() == Path(path).resolve()


def test_the_latest_run_is_still_known_when_the_folder_has_moved(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_latest(run.path)
    new_run(Path("moved"))
    RUNS.rename(Path("moved") / RUNS)
    monkeypatch.chdir("moved")
    assert find_latest_run() == run.path


def test_the_latest_run_is_called_as_it_was_and_not_by_where_a_link_leads(
    run: RunDirectory, tmp_path: Path
) -> None:
    (RUNS / "tales").rename(tmp_path / "9f86d081")
    for link in (RUNS / "tales", Path("elsewhere")):
        link.symlink_to(tmp_path / "9f86d081")
        mark_latest(link)
        assert find_latest_run().name == link.name
    Path("shelf").symlink_to(RUNS)
    mark_latest(Path("shelf/tales"))
    assert find_latest_run().resolve() == tmp_path / "9f86d081"


@pytest.mark.parametrize("in_the_way", ["runs", "runs/.latest/x", "runs/.latest.lock/x"])
def test_a_mark_that_cannot_be_written_is_a_storage_error_and_leaves_what_was_there(
    tmp_path: Path, in_the_way: str
) -> None:
    run = new_run(tmp_path / "elsewhere")
    Path(in_the_way).parent.mkdir(parents=True, exist_ok=True)
    Path(in_the_way).touch()
    before = set(tmp_path.rglob("*"))
    with pytest.raises(StorageError, match="runs"):
        mark_latest(run.path)
    made = {path.name for path in set(tmp_path.rglob("*")) - before}
    assert made <= {".latest.lock"}
    with pytest.raises(CheckpointError, match="no latest run"):
        find_latest_run()


@pytest.mark.parametrize("request_", ["make_folder", "create", "write", "rename", "sync_folder"])
def test_a_folder_that_does_not_take_the_mark_gets_no_folder_of_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: str
) -> None:
    run = new_run(tmp_path / "elsewhere")
    fault = Fault(refusal(errno.EDQUOT), (request_,))
    monkeypatch.setattr(files, "disk", FaultyDisk(fault, 1))
    with pytest.raises(StorageError):
        mark_latest(run.path)
    assert set(tmp_path.iterdir()) == {run.path}


@pytest.mark.skipif(os.name == "nt", reason="Windows does not remove a current folder")
def test_a_current_folder_that_was_removed_has_no_mark_and_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "elsewhere")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(StorageError):
        mark_latest(run.path)
    with pytest.raises(CheckpointError, match="no latest run"):
        find_latest_run()


def test_a_mark_is_written_where_there_are_no_locks(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch)
    mark_latest(run.path)
    assert find_latest_run() == run.path


@pytest.mark.parametrize("find", [find_run, find_model])
def test_with_no_run_at_all_the_user_is_told_to_train_one(
    find: Find,
) -> None:
    with pytest.raises(CheckpointError, match="Train one") as caught:
        find(None)
    assert caught.value.exit_code == 4


def test_a_pointer_of_any_size_is_not_read_whole(run: RunDirectory) -> None:
    with (RUNS / ".latest").open("wb") as stream:
        stream.truncate(2**28)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="no latest run"):
            find_latest_run()
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_pipe_in_place_of_the_pointer_is_not_waited_for(run: RunDirectory) -> None:
    os.mkfifo(RUNS / ".latest")
    with pytest.raises(CheckpointError, match="no latest run"):
        find_latest_run()


def test_a_line_of_the_log_that_nests_is_left_out(run: RunDirectory) -> None:
    for depth in (1, *range(960, 1000), 100_000):
        run.log.write_text('{"step": 1, "odd": ' + "[" * depth + "]" * depth + '}\n{"step": 2}\n')
        run.forget_after(2, 0)
        assert run.records() == [{"step": 2}]


@pytest.mark.parametrize("pointer", [b"", b"\n", b"gone\n", b"\0\n", b"\xff\xfe", b"n" * 5000])
def test_a_pointer_to_no_run_is_no_find_latest_run(run: RunDirectory, pointer: bytes) -> None:
    (RUNS / ".latest").write_bytes(pointer)
    with pytest.raises(CheckpointError, match="no latest run"):
        find_latest_run()


@pytest.mark.parametrize("named", ["tales", "runs/tales", "runs/tales/", "./runs/../runs/tales"])
def test_a_run_is_found_by_name_and_by_path(run: RunDirectory, named: str) -> None:
    assert find_run(named).resolve() == run.path.resolve()


def test_a_run_is_found_outside_runs(tmp_path: Path) -> None:
    run = new_run(tmp_path / "elsewhere" / "mine")
    assert find_run(str(run.path)) == run.path
    assert find_run("elsewhere/mine").resolve() == run.path.resolve()


@pytest.mark.parametrize("find", [find_run, find_model])
@pytest.mark.parametrize("named", ["talse", "tale", "Tales"])
def test_a_mistyped_name_is_answered_with_the_nearest(
    run: RunDirectory, named: str, find: Find
) -> None:
    for name in ("herons", "tales"):
        new_run(RUNS / name).last.touch()
    with pytest.raises(CheckpointError, match="did you mean tales") as caught:
        find(named)
    assert named in str(caught.value)
    assert "herons" not in str(caught.value)


def test_a_name_like_no_other_is_answered_with_those_there_are(run: RunDirectory) -> None:
    for name in ("herons", "tales"):
        new_run(RUNS / name).last.touch()
    new_run(RUNS / "only a folder")
    with pytest.raises(CheckpointError, match=r"model file[.;:] Runs here: herons, tales\."):
        find_run("zzz")


def test_a_name_where_there_are_no_runs_is_refused_plainly() -> None:
    with pytest.raises(CheckpointError, match=r"^zzz: there is no such run or model file\.$"):
        find_run("zzz")


@pytest.mark.parametrize("named", ["t\0", "Once upon a time, " * 30])
def test_text_given_in_a_models_place_is_no_model(run: RunDirectory, named: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(named[:200])):
        find_model(named)


def test_the_best_model_is_used_and_the_last_only_where_there_is_no_best(
    run: RunDirectory,
) -> None:
    mark_latest(run.path)
    for file in (run.last, run.best):
        file.touch()
        for named in ("tales", str(run.path), str(run.path.resolve()), None):
            assert find_model(named).resolve() == file.resolve()


def test_a_model_file_is_found_by_its_path(run: RunDirectory, tmp_path: Path) -> None:
    run.best.touch()
    run.last.touch()
    assert find_model(str(run.last)) == run.last
    shared = tmp_path / "shared.safetensors"
    shared.touch()
    assert find_model(str(shared)) == shared


def test_a_run_without_a_model_is_refused_by_name(run: RunDirectory) -> None:
    with pytest.raises(CheckpointError, match="tales: is a folder that holds no model"):
        find_model("tales")


CHOICES = [
    *(("--optimizer", name) for name in OPTIMIZERS_HERE),
    ("--cell", "gru", "--layers", "2", "--connect", "residual"),
    ("--cell", "stack"),
    ("--pyramid", "1", "--layers", "2"),
    ("--norm", "batch"),
]


@pytest.mark.slow
@pytest.mark.parametrize("choices", CHOICES, ids=" ".join)
def test_what_is_foreseen_at_the_first_step_and_at_the_last_suffices(
    tmp_path: Path, choices: tuple[str, ...]
) -> None:
    foreseen: list[Sizes] = []

    def note(run: RunDirectory, checkpoint: Checkpoint) -> None:
        foreseen.append(estimate_sizes(checkpoint))

    train = PLANS[0].train("--hidden", "64", *choices)
    with mock.patch.object(RunDirectory, "check_disk_space", note):
        for command in (train, RESUME):
            ended = charrnn(*command, folder=tmp_path, stdin=PLANS[0].text)
            assert not ended.code, ended.said
    assert len(foreseen) == 2
    for sizes in foreseen:
        for file, size in ((RUN.last, sizes.last), (RUN.best, sizes.best), (RUN.log, sizes.log)):
            taken = (tmp_path / file).stat().st_size
            assert taken <= size < 2 * taken + (1 << 16)


@pytest.mark.skipif(os.name == "nt", reason="Windows makes no links for everybody")
def test_the_mark_of_the_latest_run_replaces_a_link_and_not_its_end(
    run: RunDirectory, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("mine")
    for target in (tmp_path / "mine", Path(run.path.name)):
        (RUNS / ".latest").unlink(missing_ok=True)
        (RUNS / ".latest").symlink_to(target)
        mark_latest(run.path)
        assert find_latest_run() == run.path
    assert (tmp_path / "mine").read_text() == "mine"
