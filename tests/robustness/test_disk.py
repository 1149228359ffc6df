"""A share of the trials of what is kept on a disk, and what their own tools do."""

import random
from contextlib import chdir
from pathlib import Path

import pytest

from charrnn.files import write_atomically
from tests.robustness.clocks import whatever_the_clock_says
from tests.robustness.here import RUN, on
from tests.robustness.mounted import can_mount, on_real_disks
from tests.robustness.powercut import after_power_cuts, record
from tests.robustness.promise import Trials
from tests.robustness.refusals import when_a_disk_refuses
from tests.robustness.volume import Change, Files, PowerCut, Sync, Volume, outcomes, read_in
from tests.robustness.writers import many_at_once

pytestmark = pytest.mark.slow

unmountable = pytest.mark.skipif(
    not can_mount(), reason="no file system can be mounted here in a namespace of one's own"
)


@pytest.mark.parametrize(
    ("trials", "count"),
    [
        (after_power_cuts, 20),
        (when_a_disk_refuses, 10),
        (whatever_the_clock_says, 5),
        (many_at_once, 1),
        pytest.param(on_real_disks, 6, marks=unmountable),
    ],
)
def test_what_is_kept_on_a_disk_is_safe(trials: Trials, count: int) -> None:
    results = list(trials(count, 11))
    assert len(results) == count
    assert [result for result in results if result] == []


def test_a_run_writes_nothing_but_through_the_layer_that_is_recorded(tmp_path: Path) -> None:
    events = record(tmp_path, 60)
    everything = [Sync(event.place) for event in events if isinstance(event, Change)]
    (recorded,) = outcomes([*events, *everything], random.Random(1))
    assert recorded == read_in(tmp_path)
    assert {str(RUN.last), str(RUN.best), str(RUN.log)} < recorded.keys()


def contents(volume: Volume, name: str) -> set[bytes | None]:
    """Return the possible contents of a file after a power cut; None stands for no file."""
    possible: list[Files] = []
    for seed in range(9):
        possible += outcomes(volume.events, random.Random(seed))
    return {files.get(name) for files in possible}


def test_a_power_cut_may_take_what_was_not_synced_and_nothing_else(tmp_path: Path) -> None:
    path, volume = Path("kept"), Volume()
    with chdir(tmp_path), on(volume):
        write_atomically(path, b"old")
        assert contents(volume, "kept") == {b"old"}
        file = volume.create(Path("new"))
        volume.write(file, memoryview(b"longer"))
        volume.rename(Path("new"), path)
        torn = contents(volume, "kept") - {b"old", b"", b"longer"}
        assert torn
        assert all(part and b"longer".startswith(part) for part in torn)
        volume.sync(file)
        assert contents(volume, "kept") == {b"old", b"longer"}
        volume.sync_folder(Path())
        assert contents(volume, "kept") == {b"longer"}
        volume.remove(path)
        assert contents(volume, "kept") == {b"longer", None}
        volume.close(file)


def test_what_lies_in_a_folder_is_lost_with_the_folder(tmp_path: Path) -> None:
    volume = Volume()
    with chdir(tmp_path), on(volume):
        volume.make_folder(Path("in"))
        write_atomically(Path("in/kept"), b"kept")
        assert contents(volume, "in/kept") == {b"kept", None}
        volume.sync_folder(Path())
        assert contents(volume, "in/kept") == {b"kept"}


def test_a_process_that_dies_does_nothing_more(tmp_path: Path) -> None:
    volume = Volume()
    with chdir(tmp_path), on(volume):
        volume.dies_at = 2
        with pytest.raises(PowerCut):
            write_atomically(Path("kept"), b"kept")
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]
