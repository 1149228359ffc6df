"""Processors: the quotas of control groups wherever they are set, and the threads that follow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.config import control_groups, processors
from charrnn.config.control_groups import list_groups
from charrnn.config.processors import count_usual_threads, measure_quota

ROOT = Path(__file__).parents[2]

OWN, MOUNTS = "proc/self/cgroup", "proc/self/mountinfo"
UNIFIED = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""
HYBRID_OWN = "9:cpuset:/s\n4:cpu,cpuacct:/a/b\n1:name=systemd:/a/b\n0::/a/b\n"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a system of the test's own, with 16 processors and no control groups."""
    monkeypatch.setattr(control_groups, "_SYSTEM", tmp_path)
    monkeypatch.setattr(processors, "count_processors", lambda: 16)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return tmp_path


def put(system: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = system / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def quota_of_version_1(folder: str, quota: int, period: int = 100_000) -> dict[str, str]:
    return {
        f"{folder}/cpu.cfs_quota_us": f"{quota}\n",
        f"{folder}/cpu.cfs_period_us": f"{period}\n",
    }


def test_without_groups_every_processor_has_a_thread(system: Path) -> None:
    assert (measure_quota(), count_usual_threads()) == (None, 16)


PLACES: dict[str, tuple[dict[str, str], float | None]] = {
    "none, version 2": ({OWN: "0::/a\n", MOUNTS: UNIFIED}, None),
    "a container's root": (
        {OWN: "0::/\n", MOUNTS: UNIFIED, "sys/fs/cgroup/cpu.max": "250000 100000\n"},
        2.5,
    ),
    "a nested group": (
        {OWN: "0::/a/b\n", MOUNTS: UNIFIED, "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"},
        1.5,
    ),
    "the group above": (
        {
            OWN: "0::/a/b\n",
            MOUNTS: UNIFIED,
            "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/cpu.max": "100000 50000\n",
        },
        2.0,
    ),
    "the least of both": (
        {
            OWN: "0::/a/b\n",
            MOUNTS: UNIFIED,
            "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/a/cpu.max": "300000 100000\n",
        },
        3.0,
    ),
    "another group": (
        {OWN: "0::/a\n", MOUNTS: UNIFIED, "sys/fs/cgroup/b/cpu.max": "100000 100000\n"},
        None,
    ),
    "version 1": (
        {
            OWN: HYBRID_OWN,
            MOUNTS: HYBRID,
            **quota_of_version_1("sys/fs/cgroup/cpu,cpuacct/a/b", 50_000),
            # Version 2 does not have the controller here; nor does cpuset have quotas.
            "sys/fs/cgroup/cpuset/s/cpu.max": "1000 100000\n",
        },
        0.5,
    ),
    "above in version 1, none in the group": (
        {
            OWN: HYBRID_OWN,
            MOUNTS: HYBRID,
            **quota_of_version_1("sys/fs/cgroup/cpu,cpuacct/a/b", -1),
            **quota_of_version_1("sys/fs/cgroup/cpu,cpuacct/a", 120_000, 40_000),
        },
        3.0,
    ),
    "version 2 of a hybrid": (
        {
            OWN: "5:memory:/m\n0::/a/b\n",
            MOUNTS: HYBRID,
            "sys/fs/cgroup/unified/a/cpu.max": "200000 100000\n",
        },
        2.0,
    ),
    "the mount is the group": (
        {
            OWN: "4:cpu:/docker/1f/in\n",
            MOUNTS: "32 31 0:29 /docker/1f /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n",
            **quota_of_version_1("sys/fs/cgroup/cpu", 100_000),
        },
        1.0,
    ),
    "the host's name for the group": (
        {OWN: "0::/docker/1f\n", MOUNTS: UNIFIED, "sys/fs/cgroup/cpu.max": "100000 100000\n"},
        1.0,
    ),
    "a mount that does not hold the group": (
        {
            OWN: "4:cpu:/a\n",
            MOUNTS: "32 31 0:29 /other /one rw - cgroup cgroup rw,cpu\n"
            "33 31 0:29 / /all rw - cgroup cgroup rw,cpu\n",
            **quota_of_version_1("one", 100_000),
            **quota_of_version_1("all/a", 700_000),
        },
        7.0,
    ),
    "a group outside of the namespace": (
        {OWN: "0::/../b\n", MOUNTS: UNIFIED, "sys/fs/cgroup/cpu.max": "300000 100000\n"},
        3.0,
    ),
    "a mount with a blank": (
        {
            OWN: "0::/a\n",
            MOUNTS: r"30 23 0:26 / /my\040groups rw - cgroup2 none rw" "\n",
            "my groups/a/cpu.max": "100000 100000\n",
        },
        1.0,
    ),
    "files of something else": (
        {OWN: "0::/a\n", MOUNTS: "nonsense\n" + UNIFIED, "sys/fs/cgroup/a/cpu.max": "\n"},
        None,
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_quota_is_found_where_it_is_set(system: Path, place: str) -> None:
    files, expected = PLACES[place]
    put(system, files)
    assert measure_quota() == expected


def test_one_walk_serves_memory_and_processors(system: Path) -> None:
    put(system, {OWN: "4:memory:/m/n\n3:cpu:/c\n0::/\n", MOUNTS: HYBRID})
    assert [str(group.folder) for group in list_groups("cpu")] == [
        "sys/fs/cgroup/cpu,cpuacct/c",
        "sys/fs/cgroup/cpu,cpuacct",
        "sys/fs/cgroup/unified",
    ]
    # Its controller is not mounted.
    assert [str(group.folder) for group in list_groups("memory")] == ["sys/fs/cgroup/unified"]


def test_the_usual_threads_are_those_of_the_strictest_bound(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(system, {OWN: "0::/\n", MOUNTS: UNIFIED})
    quota = system / "sys/fs/cgroup/cpu.max"
    quota.parent.mkdir(parents=True)
    for text, expected in (("max 100000", 16), ("150000 100000", 2), ("1000 100000", 1)):
        quota.write_text(text)
        assert count_usual_threads() == expected
    quota.write_text("9900000 100000")
    for value, expected in (("4", 4), ("2,1", 2), ("64", 16), ("nonsense", 16), ("0", 1)):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert count_usual_threads() == expected


TELL = """
import sys
from pathlib import Path
from charrnn.config.processors import count_processors, count_usual_threads, measure_quota
Path(sys.argv[1], "cgroup.procs").write_text("0")
print(measure_quota(), count_usual_threads() == min(count_processors(), 2))
"""


def test_the_quota_of_a_real_group_is_found() -> None:
    mounted = Path("/sys/fs/cgroup/cpu")
    if not (mounted / "cpu.cfs_quota_us").exists():
        mounted = Path("/sys/fs/cgroup")
    above = mounted / f"charrnn-test-{os.getpid()}"
    inner = above / "inner"
    try:
        above.mkdir()
    except OSError as problem:
        pytest.skip(f"no control group can be made: {problem.strerror}")
    try:
        inner.mkdir()
        for name, quota in (("cpu.max", "150000 100000"), ("cpu.cfs_quota_us", "150000")):
            if (above / name).exists():
                (above / name).write_text(quota)
                break
        else:
            pytest.skip("the control groups have no quotas of processors")
        environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
        told = subprocess.run(
            [sys.executable, "-c", TELL, str(inner)],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (told.stdout, told.stderr) == ("1.5 True\n", "")
    finally:
        inner.rmdir()
        above.rmdir()
